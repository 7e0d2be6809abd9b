"""Every way a card can be wrong, each with the line it is reported at: clauses CARD-2 to CARD-12."""

from pathlib import Path

import pytest

from superbin.errors import DocumentError
from superbin.io.datacards import read_datacards

CARD = """\
imax 2
jmax 1
kmax 3
shapes * * FAKE
bin a b
observation 5 6
bin a a b b
process s t s t
process 0 1 0 1
rate 1 4 1 5
x lnN 1.1 - 1.1 -
y lnN - 0.9/1.1 - 2
g gmN 10 - 0.4 - -
"""


def changed(old: str, new: str) -> str:
    assert CARD.count(old) == 1, old
    return CARD.replace(old, new)


def without(start: str) -> str:
    return "".join(line for line in CARD.splitlines(keepends=True) if not line.startswith(start))


# name: (text, line or None, part of the message)
BAD: dict[str, tuple[str, int | None, str]] = {
    "empty": ("", 1, "this is not a datacard"),
    "prose": ("Dear all,\nsee you tomorrow\n", 1, "this is not a datacard"),
    "truncated header": (CARD[: CARD.index("rate")], None, "ends before its rate line; it is truncated"),
    "truncated nuisances": (CARD[: CARD.index("g gmN")], 3, "kmax is 3 but the card has 2 nuisance lines"),
    "truncated line": (CARD[: CARD.index("- 2")], 12, "has 2 entries for 4 columns; is the line truncated"),
    "imax": (changed("imax 2", "imax 3"), 1, "imax is 3 but the card has 2 channels"),
    "jmax": (changed("jmax 1", "jmax 2"), 2, "jmax is 2 but the card has 1 processes"),
    "imax word": (changed("imax 2", "imax two"), 1, "imax is 'two'"),
    "imax alone": (changed("imax 2", "imax"), 1, "imax has no value"),
    "imax twice": ("imax 2\n" + CARD, 2, "a second imax line; the first is line 1"),
    "shapes": (changed("shapes * * FAKE", "shapes * * in.root h"), 4, "the card has shapes"),
    "unknown header": (changed("shapes * * FAKE", "data x"), 4, "'data' is not a header line"),
    "no observation": (without("observation"), None, "no observation line"),
    "two observations": (changed("observation 5 6", "observation 5 6\nobservation 5 6"), 7, "a second observation line"),
    "observation count": (changed("observation 5 6", "observation 5"), 6, "1 observations for 2 channels"),
    "observation negative": (changed("observation 5 6", "observation 5 -1"), 6, "observation -1 of channel 'b' is negative"),
    "observation nan": (changed("observation 5 6", "observation 5 nan"), 6, "observation 'nan' is not a finite number"),
    "channel twice": (changed("bin a b\n", "bin a a\n"), 5, "the same channel twice in one bin line"),
    "channel unknown": (changed("bin a a b b", "bin a a c c"), 7, "channel 'c' is not among the declared ones"),
    "channel without column": (changed("bin a a b b", "bin a a a a"), 8, "process 's' stands twice in channel 'a'"),
    "channel empty": (changed("bin a b\nobservation 5 6", "bin a b c\nobservation 5 6 7"), 7, "channel 'c' is declared but"),
    "no bin": (without("bin"), 8, "after 0 bin and 2 process lines"),
    "bin line empty": (changed("bin a a b b", "bin"), 7, "the bin line of the table is empty"),
    "third bin line": (changed("process s t s t", "bin a\nprocess s t s t"), 8, "a third bin line"),
    "one process line": (without("process 0"), 9, "after 2 bin and 1 process lines"),
    "process count": (changed("process s t s t", "process s t s"), 8, "3 entries after 'process'"),
    "process number": (changed("process 0 1 0 1", "process 0 1 0 x"), 9, "process number 'x' is not a whole number"),
    "signal and background": (changed("process 0 1 0 1", "process 0 1 1 1"), 9, "process 's' is a signal in one column"),
    "rate count": (changed("rate 1 4 1 5", "rate 1 4 1"), 10, "3 entries after 'rate'"),
    "rate negative": (changed("rate 1 4 1 5", "rate 1 4 1 -5"), 10, "rate -5 is negative"),
    "rate nan": (changed("rate 1 4 1 5", "rate 1 4 1 NaN"), 10, "rate 'NaN' is not a finite number"),
    "rate inf": (changed("rate 1 4 1 5", "rate 1 4 1 inf"), 10, "rate 'inf' is not a finite number"),
    "rate huge": (changed("rate 1 4 1 5", "rate 1 4 1 1e999"), 10, "rate '1e999' is too large"),
    "rate grouped": (changed("rate 1 4 1 5", "rate 1 4 1 1_000"), 10, "rate '1_000' is not a finite number"),
    "rate symbol": (changed("rate 1 4 1 5", "rate 1 4 1 -"), 10, "rate '-' is not a finite number"),
    "nuisance alone": (changed("x lnN 1.1 - 1.1 -", "x"), 11, "'x' stands alone"),
    "unknown kind": (changed("x lnN 1.1 - 1.1 -", "x param 0 1"), 11, "nuisance kind 'param' of 'x' is not known"),
    "shape kind": (changed("x lnN 1.1 - 1.1 -", "x shape 1 - 1 -"), 11, "shape belongs to a shape analysis"),
    "mc stats": (changed("x lnN 1.1 - 1.1 -", "* autoMCStats 0"), 11, "autoMCStats belongs to a shape analysis"),
    "factor zero": (changed("0.9/1.1", "0/1.1"), 12, "has a factor 0; factors are > 0"),
    "factor negative": (changed("0.9/1.1", "-0.9"), 12, "has a factor -0.9; factors are > 0"),
    "factor tiny": (changed("0.9/1.1", "1e-310"), 12, "factors are > 0"),
    "factor nan": (changed("0.9/1.1", "nan/1.1"), 12, "factor of 'y' 'nan' is not a finite number"),
    "factor missing": (changed("0.9/1.1", "0.9/"), 12, "factor of 'y' '' is not a finite number"),
    "three factors": (changed("0.9/1.1", "0.9/1/1.1"), 12, "has 3 factors"),
    "two kinds": (changed("y lnN - 0.9/1.1", "x lnU - 0.9/1.1"), 12, "'x' is lnU here but lnN on an earlier line"),
    "acts twice": (changed("y lnN - 0.9/1.1 - 2", "x lnN 1.2 - - 2"), 12, "'x' acts twice on process 's' in channel 'a'"),
    "gmN without count": (changed("g gmN 10 - 0.4 - -", "g gmN"), 13, "gmN 'g' needs a whole number"),
    "gmN broken count": (changed("g gmN 10", "g gmN 1.5"), 13, "gmN 'g' needs a whole number"),
    "gmN alpha": (changed("0.4 -", "-0.4 -"), 13, "alpha -0.4 of 'g' is negative"),
    "gmN rate": (changed("0.4 -", "0.7 -"), 13, "'g' gives 10 * 0.7 = 7 events"),
    "gmN twice on a column": (CARD + "h gmN 8 - 0.5 - -\n", 14, "has a second gmN, 'h'"),
    "nofloat alone": (changed("x lnN 1.1 - 1.1 -", "[nofloat] lnN 1.1 - 1.1 -"), 11, "[nofloat] has no name before it"),
    "gmN two counts": (CARD + "g gmN 11 - - - -\n", 14, "gmN 'g' counts 11 events here and 10"),
    "rateParam formula": (CARD + "f rateParam a t (@0*2) x\n", 14, "rateParam 'f' is the formula '(@0*2)'"),
    "rateParam file": (CARD + "f rateParam a t w.root:ws\n", 14, "only numbers are supported"),
    "rateParam short": (CARD + "f rateParam a t\n", 14, "needs a channel, a process, a number"),
    "rateParam nowhere": (CARD + "f rateParam c t 1\n", 14, "the card has no such column"),
    "rateParam range": (CARD + "f rateParam a t 1 0-5\n", 14, "is no range"),
    "rateParam outside": (CARD + "f rateParam a t 9 [0,5]\n", 14, "outside its range"),
    "rateParam negative": (CARD + "f rateParam a t -1\n", 14, "outside its range"),
    "rateParam other start": (CARD + "f rateParam a t 1\nf rateParam b t 2\n", 15, "another start or range than on line 14"),
    "rateParam twice": (CARD + "f rateParam a t 1\nf rateParam * t 1\n", 15, "'f' acts twice"),
    "rateParam name taken": (CARD + "x rateParam a t 1\n", 14, "'x' is rateParam here but lnN"),
    "group form": (CARD + "q group x y\n", 14, "must be written 'q group = nuisance"),
    "group member": (CARD + "q group = x z\n", 14, "names 'z', which is no nuisance"),
    "group extended first": (CARD + "q group += x\n", 14, "extended before it is defined"),
    "group twice": (CARD + "q group = x\nq group = y\n", 15, "is defined again; the first time was line 14"),
}  # fmt: skip


def test_the_card_itself_is_good(tmp_path: Path) -> None:
    """CARD-2 to CARD-6: every case below is one change away from a card that reads."""
    path = tmp_path / "good.txt"
    path.write_text(CARD, encoding="utf-8")
    assert len(read_datacards(path).terms) == 4


@pytest.mark.parametrize("case", BAD)
def test_bad_card(tmp_path: Path, case: str) -> None:
    """CARD-12, and the clause of each case: file, line, one line of text."""
    text, line, message = BAD[case]
    path = tmp_path / "card.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError) as caught:
        read_datacards(path)
    place = f"{path}:{line}: " if line is not None else f"{path}: "
    assert str(caught.value).startswith(place)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_not_utf8(tmp_path: Path) -> None:
    """CARD-1, CARD-12: the line of the first bad byte."""
    path = tmp_path / "card.txt"
    path.write_bytes(CARD.encode() + b"# caf\xe9\n")
    with pytest.raises(DocumentError, match=rf"{path}:14: byte 0xe9 is not UTF-8"):
        read_datacards(path)
