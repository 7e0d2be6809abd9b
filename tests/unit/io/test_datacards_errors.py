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
    "shapes short": (changed("shapes * * FAKE", "shapes * * in.root"), 4, "a shapes line is"),
    "shapes twice": (changed("shapes * * FAKE", "shapes * * FAKE\nshapes * * FAKE"), 5, "has a shapes line already, line 4"),
    "shapes nowhere": (changed("shapes * * FAKE", "shapes q * FAKE"), 4, "no shapes line is for process 's' in channel 'a'"),
    "shapes parametric": (changed("shapes * * FAKE", "shapes * * in.root w:$PROCESS"), 4, "'w:s' is an object of a RooFit workspace"),
    "shapes outside": (changed("shapes * * FAKE", "shapes * * ../in.root h"), 4, "is outside the card's folder"),
    "shapes absolute": (changed("shapes * * FAKE", "shapes * * /etc/passwd h"), 4, "is outside the card's folder"),
    "shapes table": (changed("shapes * * FAKE", "shapes * * in.csv h"), 4, "is not a ROOT file"),
    "shapes keyword": (changed("shapes * * FAKE", "shapes * * in.root $ENERGY/h"), 4, "has a word with $"),
    "shapes for some": (changed("shapes * * FAKE", "shapes * * in.root h\nshapes t a FAKE"), 4, "do not both have a histogram"),
    "unknown header": (changed("shapes * * FAKE", "data x"), 4, "'data' is not a header line"),
    "no observation": (without("observation"), None, "no observation line"),
    "two observations": (changed("observation 5 6", "observation 5 6\nobservation 5 6"), 7, "a second observation line"),
    "observation count": (changed("observation 5 6", "observation 5"), 6, "1 observations for 2 channels"),
    "observation negative": (changed("observation 5 6", "observation 5 -1"), 6, "observation -1 of channel 'b' is negative"),
    "rate of no histogram": (changed("rate 1 4 1 5", "rate 1 4 1 -1"), 10, "rate -1 of process 't' in channel 'b' means the integral"),
    "observation nan": (changed("observation 5 6", "observation 5 nan"), 6, "observation 'nan' is not a finite number"),
    "channel twice": (changed("bin a b\n", "bin a a\n"), 5, "the same channel twice in one bin line"),
    "channel unknown": (changed("bin a a b b", "bin a a c c"), 7, "channel 'c' is not among the declared ones"),
    "process twice": (changed("process s t s t", "process s t s s"), 8, "process 's' is twice in channel 'b'"),
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
    "nuisance alone": (changed("x lnN 1.1 - 1.1 -", "x"), 11, "'x' is alone"),
    "unknown kind": (changed("x lnN 1.1 - 1.1 -", "x lnX 0 1"), 11, "nuisance kind 'lnX' of 'x' is not known"),
    "discrete": (changed("x lnN 1.1 - 1.1 -", "x discrete"), 11, "is not read: it chooses between shapes of a RooFit workspace"),
    "constraint": (changed("x lnN 1.1 - 1.1 -", "x constr @0 a 1"), 11, "a constraint on a formula is not read"),
    "shape kind": (changed("x lnN 1.1 - 1.1 -", "x shape 1 - 1 -"), 11, "acts on process 's' in channel 'a', which has no histogram"),
    "shape pair": (changed("x lnN 1.1 - 1.1 -", "x shape 1/2 - 1 -"), 11, "is a pair; only lnN, lnU and shape? have pairs"),
    "shape negative": (changed("x lnN 1.1 - 1.1 -", "x shape -1 - 1 -"), 11, "scale -1 of 'x' is negative"),
    "mc stats channel": (CARD + "c autoMCStats 0\n", 14, "is for channel 'c', which the card does not have"),
    "mc stats words": (CARD + "a autoMCStats\n", 14, "autoMCStats is written 'channel autoMCStats threshold"),
    "mc stats mode": (CARD + "a autoMCStats 0 0 7\n", 14, "hist-mode '7'"),
    "param short": (CARD + "p param 1\n", 14, "needs a mean and an error"),
    "param error": (CARD + "p param 1 0\n", 14, "is not above zero"),
    "param pair": (CARD + "p param 1 1/2\n", 14, "write -x/+y"),
    "param mean": (CARD + "p param 1 1 [2,3]\n", 14, "has the mean 1 outside its range [2,3]"),
    "param twice": (changed("kmax 3", "kmax 5") + "p param 1 1\np param 1 1\n", 15, "is on line 14 already"),
    "extArg file": (CARD + "p extArg w.root:w\n", 14, "is from the RooFit workspace"),
    "extArg range": (CARD + "p extArg 1 [3,2]\n", 14, "low <= high"),
    "flatParam used": (CARD + "p flatParam\nf rateParam a t (@0) p\n", 14, "has no value, and a formula uses it"),
    "unif range": (CARD + "u unif 2 1 0.1 - - -\n", 14, "unif 'u' has the range 2 to 1"),
    "gmM two": (CARD + "u gmM 0.1 0.2 - -\n", 14, "has the uncertainties 0.1 and 0.2; it has one"),
    "gmM wide": (CARD + "u gmM 1.5 - - -\n", 14, "1e-6 to 1 are read"),
    "signal strength": (CARD + "r lnN 1.5 - - -\n", 14, "'r' is the signal strength; choose another name"),
    "param and lnN": (changed("kmax 3", "kmax 4") + "x param 1 1\n", 14, "'x' is param 1 -1/+1 [-3,5], but lnN in"),
    "edit unknown": (CARD + "nuisance edit erase a b x\n", 14, "nuisance edit 'erase' is not known"),
    "edit short": (CARD + "nuisance edit drop a b\n", 14, "has 2 words after it and needs 3"),
    "edit nothing": (CARD + "nuisance edit drop t c y\n", 14, "finds nothing; correct the names, or add 'ifexists'"),
    "edit expression": (CARD + "nuisance edit drop (a+)+ * y\n", 14, "repeats what repeats"),
    "edit bad expression": (CARD + "nuisance edit drop ( * y\n", 14, "is not a regular expression"),
    "edit add twice": (CARD + "nuisance edit add t a y lnN 1.2\n", 14, "add 'addq' or 'overwrite'"),
    "edit add directions": (CARD + "nuisance edit add t b y lnN 0.9 addq\n", 14, "go in different directions"),
    "edit rename unknown": (CARD + "nuisance edit rename z w\n", 14, "no nuisance 'z' is above this line"),
    "edit rename gmN": (CARD + "nuisance edit rename g w\n", 14, "gmN 'g' cannot be renamed"),
    "edit changepdf": (CARD + "nuisance edit changepdf g lnN\n", 14, "cannot be changed from gmN to lnN"),
    "edit changepdf pair": (CARD + "nuisance edit changepdf y trG\n", 14, "has no linear form"),
    "edit freeze": (CARD + "nuisance edit freeze zz\n", 14, "finds nothing"),
    "edit flip": (CARD + "nuisance edit flip * * x\n", 14, "needs p2n (factors above one) or n2p"),
    "edit flip kind": (CARD + "nuisance edit flip * * g p2n\n", 14, "gmN 'g' cannot be flipped"),
    "factor zero": (changed("0.9/1.1", "0/1.1"), 12, "has a factor 0; factors are > 0"),
    "factor negative": (changed("0.9/1.1", "-0.9"), 12, "has a factor -0.9; factors are > 0"),
    "factor tiny": (changed("0.9/1.1", "1e-310"), 12, "factors are > 0"),
    "factor nan": (changed("0.9/1.1", "nan/1.1"), 12, "factor of 'y' 'nan' is not a finite number"),
    "factor missing": (changed("0.9/1.1", "0.9/"), 12, "factor of 'y' '' is not a finite number"),
    "three factors": (changed("0.9/1.1", "0.9/1/1.1"), 12, "has 3 factors"),
    "two kinds": (changed("y lnN - 0.9/1.1", "x lnU - 0.9/1.1"), 12, "'x' is lnU here but lnN on an earlier line"),
    "gmN without count": (changed("g gmN 10 - 0.4 - -", "g gmN"), 13, "gmN 'g' needs a whole number"),
    "gmN broken count": (changed("g gmN 10", "g gmN 1.5"), 13, "gmN 'g' needs a whole number"),
    "gmN alpha": (changed("0.4 -", "-0.4 -"), 13, "alpha -0.4 of 'g' is negative"),
    "gmN rate": (changed("0.4 -", "0.7 -"), 13, "'g' gives 10 * 0.7 = 7 events"),
    "gmN twice on a column": (CARD + "h gmN 8 - 0.5 - -\n", 14, "has a second gmN, 'h'"),
    "nofloat alone": (changed("x lnN 1.1 - 1.1 -", "[nofloat] lnN 1.1 - 1.1 -"), 11, "[nofloat] has no name before it"),
    "gmN two counts": (CARD + "g gmN 11 - - - -\n", 14, "gmN 'g' counts 11 events here and 10"),
    "rateParam formula": (CARD + "f rateParam a t (@0*2 x\n", 14, "rateParam 'f': formula '(@0*2', character 6: ')' is expected"),
    "rateParam code": (CARD + "f rateParam a t __import__('os') x\n", 14, "rateParam 'f': formula"),
    "rateParam quotient": (CARD + "f rateParam a t 1/2*@0 x\n", 14, "a quotient of whole numbers is rounded down in ROOT"),
    "rateParam other formula": (CARD + "f rateParam a t (@0) x\nf rateParam b t (@0*2) x\n", 15, "is another formula than on line 14"),
    "rateParam file": (CARD + "f rateParam a t w.root:ws\n", 14, "is a function of the RooFit workspace"),
    "rateParam short": (CARD + "f rateParam a t\n", 14, "needs a channel, a process, and a number"),
    "rateParam nowhere": (CARD + "f rateParam c t 1\n", 14, "the card has no such column"),
    "rateParam range": (CARD + "f rateParam a t 1 [0-5]\n", 14, "is not a range"),
    "rateParam outside": (CARD + "f rateParam a t 9 [0,5]\n", 14, "outside its range"),
    "rateParam reversed": (CARD + "f rateParam a t 1 [2,0]\n", 14, "low <= high"),
    "gmN twice": (CARD + "g gmN 10 - 0.4 - -\n", 14, "'g' acts twice on process 't' in channel 'a'"),
    "trG twice": (changed("kmax 3", "kmax 5") + "h trG - 0.1 - -\nh trG - 0.2 - -\n", 15, "'h' acts twice on process 't'"),
    "unif ranges": (changed("kmax 3", "kmax 5") + "h unif -1 1 - 0.1 - -\nh unif -1 2 - - - 0.1\n", 15, "another kind or range on line 14"),
    "gmM widths": (changed("kmax 3", "kmax 5") + "h gmM - 0.1 - -\nh gmM - - - 0.2\n", 15, "the uncertainty 0.2 here and 0.1 on line 14"),
    "formula and param": (changed("kmax 3", "kmax 4") + "f rateParam a t (@0) r\nf param 1 0.1\n", 15, "only one with a number can be constrained"),
    "rateParam name taken": (CARD + "x rateParam a t 1\n", 14, "'x' is rateParam here but lnN"),
    "group form": (CARD + "q group x y\n", 14, "must be written 'q group = nuisance"),
    "group member": (CARD + "q group = x z\n", 14, "names 'z', which is not a nuisance"),
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
    """CARD-4, CARD-5, CARD-9, CARD-10, CARD-12: refused with file, line and one line of text."""
    text, line, message = BAD[case]
    path = tmp_path / "card.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DocumentError) as caught:
        read_datacards(path)
    place = f"{path}:{line}: " if line is not None else f"{path}: "
    assert str(caught.value).startswith(place)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_faults_at_once(tmp_path: Path) -> None:
    """IMP-2, CARD-12: every faulty line of every card is in one report, but for what may follow from another fault."""
    faulty = (
        changed("observation 5 6", "observation 5 -1")
        .replace("rate 1 4 1 5", "rate nan 4 1 -5")
        .replace("x lnN 1.1 - 1.1 -", "x lnN 1.1")
        .replace("y lnN", "y lnX")
    )
    (tmp_path / "a.txt").write_text(faulty + "all group = x nothing\n", encoding="utf-8")
    with pytest.raises(DocumentError) as caught:
        read_datacards(tmp_path / "a.txt")
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / 'a.txt'}: 5 faults: line 10: rate 'nan'")
    for part in (
        "line 10: rate -5",
        "line 6: observation -1",
        "line 11: lnN 'x' has 1",
        "line 12: nuisance kind 'lnX'",
    ):
        assert text.count(part) == 1
    # The header is read first, without it the table has no meaning; one shapes line is one fault.
    (tmp_path / "b.txt").write_text(changed("imax 2", "imax two").replace("jmax 1", "jmax"), encoding="utf-8")
    (tmp_path / "c.txt").write_text(
        changed("shapes * * FAKE", "shapes * * in.root w:$PROCESS"), encoding="utf-8"
    )
    with pytest.raises(DocumentError) as caught:
        read_datacards(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: 8 faults: a.txt: line 10: rate 'nan'")
    assert "b.txt: line 1: imax is 'two'" in str(caught.value)
    assert "b.txt: line 2: jmax has no value" in str(caught.value)
    assert str(caught.value).count("RooFit workspace") == 1
    assert "\n" not in str(caught.value)


def test_not_utf8(tmp_path: Path) -> None:
    """CARD-1, CARD-12: the line of the first bad byte."""
    path = tmp_path / "card.txt"
    path.write_bytes(CARD.encode() + b"# caf\xe9\n")
    with pytest.raises(DocumentError, match=rf"{path}:14: byte 0xe9 is not UTF-8"):
        read_datacards(path)
