"""What a counting datacard means, on small cards written for these tests: clauses CARD-1 to CARD-15."""

from pathlib import Path

import pytest

from superbin.errors import DocumentError, InputError
from superbin.io.datacards import Datacards, LogNuisance, Place, Placeholder, combine, read_datacards

TWO_CHANNELS = """\
Combination of north.txt and south.txt
# two channels
imax 2 number of channels
jmax 2
kmax 3
shapes * * FAKE
--------------
bin north south
observation 12 3.5
--------------
bin     north north south south
process sig   bkg   sig   other   # names
process -1    1     -1    2
rate    2.5   10    SIGNAL 4e0
--------------
lumi   lnN 1.025 -         1.025 -
scale  lnN -     0.9/1.2   -     ---
side   gmN 20    -   0.5   -     -
phi rateParam south oth* 1.0 [0,5]
theory group = lumi scale
theory group += side
"""

ONE_CHANNEL = """\
imax *
observation 0
bin a a
process 0 1
process s b
rate 0 .5
free lnU - 100
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def nuisance(cards: Datacards, name: str) -> LogNuisance:
    return next(n for n in cards.nuisances if n.name == name)


@pytest.fixture
def two(tmp_path: Path) -> Datacards:
    return read_datacards(write(tmp_path, "two.txt", TWO_CHANNELS))


def test_channels_and_terms(two: Datacards) -> None:
    """CARD-2, CARD-3, CARD-4: names, counts, signal by number, placeholders kept."""
    assert [(c.name, c.observed) for c in two.channels] == [("north", 12.0), ("south", 3.5)]
    assert [(t.channel, t.process, t.rate) for t in two.terms] == [
        ("north", "sig", 2.5),
        ("north", "bkg", 10.0),
        ("south", "sig", Placeholder("SIGNAL")),
        ("south", "other", 4.0),
    ]
    assert [t.is_signal for t in two.terms] == [True, False, True, False]


def test_log_normal_entries(two: Datacards) -> None:
    """CARD-5: one factor means its inverse and itself; a pair is kept as written; dashes of any length are none."""
    lumi, scale = nuisance(two, "lumi"), nuisance(two, "scale")
    assert [(e.term, e.down, e.up, e.symmetric) for e in lumi.entries] == [
        (0, 1 / 1.025, 1.025, True),
        (2, 1 / 1.025, 1.025, True),
    ]
    assert [(e.term, e.down, e.up, e.symmetric) for e in scale.entries] == [(1, 0.9, 1.2, False)]


def test_gamma_rate_parameter_and_group(two: Datacards) -> None:
    """CARD-6, CARD-7, CARD-8: a `gmN`, a rate parameter and a group are read with all their parts."""
    (gamma,) = two.gammas
    assert (gamma.name, gamma.count, [(e.term, e.alpha) for e in gamma.entries]) == ("side", 20, [(1, 0.5)])
    (rate,) = two.rate_parameters
    assert (rate.name, rate.initial, rate.lower, rate.upper, rate.terms) == ("phi", 1.0, 0.0, 5.0, (3,))
    (group,) = two.groups
    assert (group.name, group.members) == ("theory", ("lumi", "scale", "side"))


def test_places(two: Datacards, tmp_path: Path) -> None:
    """CARD-1, CARD-11: lines are counted from 1; whole-line comments are kept."""
    file = str(tmp_path / "two.txt")
    assert two.channels[0].place == Place(file, 9)
    assert two.terms[0].place == Place(file, 14)
    assert nuisance(two, "scale").entries[0].place == Place(file, 17)
    assert two.groups[0].lines == (Place(file, 20), Place(file, 21))
    assert [(c.text, c.place.line) for c in two.comments] == [("two channels", 2)]
    assert str(two.channels[0].place) == f"{file}:9"


def test_one_bin_line_and_numbers_first(tmp_path: Path) -> None:
    """CARD-3: without a bin line of its own the observation belongs to the only channel."""
    cards = read_datacards(write(tmp_path, "a.txt", ONE_CHANNEL))
    assert [(c.name, c.observed) for c in cards.channels] == [("a", 0.0)]
    assert [(t.process, t.number, t.rate) for t in cards.terms] == [("s", 0, 0.0), ("b", 1, 0.5)]
    assert nuisance(cards, "free").kind == "lnU"


@pytest.mark.parametrize(
    "change", [lambda t: t.replace("\n", "\r\n"), lambda t: "\ufeff" + t, lambda t: t + "\n\n"]
)
def test_line_ends_and_byte_order_mark(tmp_path: Path, change: object) -> None:
    """CARD-1: other line ends, a byte order mark and empty lines change nothing."""
    assert callable(change)
    path = tmp_path / "two.txt"
    path.write_bytes(TWO_CHANNELS.encode())
    plain = read_datacards(path)
    path.write_bytes(change(TWO_CHANNELS).encode())
    assert read_datacards(path) == plain


def test_name_on_two_lines(tmp_path: Path) -> None:
    """CARD-10: allowed where the lines act on different columns."""
    text = ONE_CHANNEL + "x lnN 1.1 -\nx lnN - 1.2\n"
    x = nuisance(read_datacards(write(tmp_path, "a.txt", text)), "x")
    assert [(e.term, e.up) for e in x.entries] == [(0, 1.1), (1, 1.2)]
    assert [p.line for p in x.lines] == [8, 9]


def test_rate_parameter_over_several_columns(tmp_path: Path) -> None:
    """CARD-7: patterns, no range."""
    cards = read_datacards(write(tmp_path, "a.txt", ONE_CHANNEL + "k rateParam * * 2\n"))
    (rate,) = cards.rate_parameters
    assert (rate.initial, rate.lower, rate.upper, rate.terms) == (2.0, None, None, (0, 1))


def test_combining_shares_by_name(tmp_path: Path) -> None:
    """CARD-13: terms are renumbered, nuisances of one name are one."""
    second = ONE_CHANNEL.replace("bin a a", "bin b b") + "extra lnN - 1.5\n"
    first = write(tmp_path, "a.txt", ONE_CHANNEL)
    cards = read_datacards([first, write(tmp_path, "b.txt", second)])
    assert [c.name for c in cards.channels] == ["a", "b"]
    assert [n.name for n in cards.nuisances] == ["free", "extra"]
    free = nuisance(cards, "free")
    assert [cards.terms[e.term].channel for e in free.entries] == ["a", "b"]
    assert [(Path(p.file).name, p.line) for p in free.lines] == [("a.txt", 7), ("b.txt", 7)]
    assert nuisance(cards, "extra").entries[0].term == 3


def test_combining_is_associative(tmp_path: Path) -> None:
    """CARD-13: three cards combine to the same result in any grouping."""
    texts = [TWO_CHANNELS.replace("north", f"n{i}").replace("south", f"s{i}") for i in range(3)]
    a, b, c = (read_datacards(write(tmp_path, f"{i}.txt", text)) for i, text in enumerate(texts))
    assert combine([combine([a, b]), c]) == combine([a, combine([b, c])]) == combine([a, b, c])


def test_folder_in_natural_order(tmp_path: Path) -> None:
    """CARD-15: a folder gives its `*.txt` files at any depth in natural order."""
    for i in (10, 9, 1):
        write(tmp_path, f"card_{i}.txt", ONE_CHANNEL.replace("bin a a", f"bin c{i} c{i}"))
    (tmp_path / "inner").mkdir()
    write(tmp_path / "inner", "card_2.txt", ONE_CHANNEL)
    write(tmp_path, "README.md", "no card")
    assert [c.name for c in read_datacards(tmp_path).channels] == ["c1", "c9", "c10", "a"]


CONFLICTS = {
    "channel": (ONE_CHANNEL.replace(".5", ".6"), "channel 'a' is also in"),
    "signal": (
        ONE_CHANNEL.replace("bin a a", "bin b b").replace("process 0 1", "process 1 2"),
        "process 's' has number 1, but 0 in",
    ),
    "kind": (
        ONE_CHANNEL.replace("bin a a", "bin b b").replace("lnU - 100", "lnN - 2"),
        "'free' is lnN, but lnU in",
    ),
}


@pytest.mark.parametrize("case", CONFLICTS)
def test_cards_that_contradict_each_other(tmp_path: Path, case: str) -> None:
    """CARD-14: the text names both places."""
    text, message = CONFLICTS[case]
    first, second = write(tmp_path, "first.txt", ONE_CHANNEL), write(tmp_path, "second.txt", text)
    with pytest.raises(DocumentError, match=message) as caught:
        read_datacards([first, second])
    assert str(caught.value).startswith(f"{second}:")
    assert f"{first}:" in str(caught.value)


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("g gmN 2 - .25", "g gmN 3 - .1667"),
        ("k rateParam a b 1", "k rateParam b b 1 [0,2]"),
        ("k rateParam a b 1", "k lnN - 2"),
    ],
)
def test_parameters_that_contradict_each_other(tmp_path: Path, line: str, other: str) -> None:
    """CARD-14: counts, starts and ranges belong to the name."""
    first = write(tmp_path, "first.txt", ONE_CHANNEL + line + "\n")
    second = write(tmp_path, "second.txt", ONE_CHANNEL.replace("bin a a", "bin b b") + other + "\n")
    with pytest.raises(DocumentError, match="one name is one parameter in all cards"):
        read_datacards([first, second])


def test_same_file_twice(tmp_path: Path) -> None:
    """CARD-14: a file that is named twice is refused."""
    path = write(tmp_path, "a.txt", ONE_CHANNEL)
    with pytest.raises(InputError, match="named twice"):
        read_datacards([path, tmp_path / "." / "a.txt"])


def test_no_card(tmp_path: Path) -> None:
    """CARD-15: an empty folder, a missing file, an empty list."""
    with pytest.raises(InputError, match=r"no \*\.txt file"):
        read_datacards(tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        read_datacards(tmp_path / "none.txt")
    with pytest.raises(InputError, match="no datacard is named"):
        read_datacards([])


def test_words_after_the_last_column(tmp_path: Path) -> None:
    """CARD-5: ignored, and remarked on; too few entries are still an error."""
    text = ONE_CHANNEL + "x lnN 1.1 - of the signal only\n"
    cards = read_datacards(write(tmp_path, "a.txt", text))
    assert [(e.term, e.up) for e in nuisance(cards, "x").entries] == [(0, 1.1)]
    (remark,) = cards.remarks
    assert (remark.code, remark.place.line) == ("ignored-words", 8)
    assert "'of the signal only' is after the last column" in remark.message


@pytest.mark.parametrize("zero", ["0", "0.", "0.00", ".0", "0e5"])
def test_zero_is_no_effect(tmp_path: Path, zero: str) -> None:
    """CARD-5, CARD-6: as in Combine, for factors and for the alpha of a gmN."""
    text = ONE_CHANNEL + f"x lnN {zero} 1.1\ng gmN 5 {zero} 0.1\n"
    cards = read_datacards(write(tmp_path, "a.txt", text))
    assert [(e.term, e.up) for e in nuisance(cards, "x").entries] == [(1, 1.1)]
    assert [(e.term, e.alpha) for e in cards.gammas[0].entries] == [(1, 0.1)]
    assert [r.code for r in cards.remarks] == ["zero-entry"]


def test_nofloat_belongs_to_the_plain_name(tmp_path: Path) -> None:
    """CARD-10: one nuisance, whichever line has the suffix, also across cards."""
    first = write(tmp_path, "a.txt", ONE_CHANNEL + "xs lnN 1.1 -\nxs[nofloat] lnN - 1.2\n")
    second = write(tmp_path, "b.txt", ONE_CHANNEL.replace("bin a a", "bin b b") + "xs[nofloat] lnN 1.3 -\n")
    cards = read_datacards([first, second])
    assert [n.name for n in cards.nuisances] == ["free", "xs"]
    assert [(e.term, e.up) for e in nuisance(cards, "xs").entries] == [(0, 1.1), (1, 1.2), (2, 1.3)]
    assert [r.code for r in cards.remarks] == ["nofloat", "nofloat"]


@pytest.mark.parametrize(
    ("count", "alpha", "rate", "good"),
    [
        (900, 1e-5, 0.001, True), (10, 0.105, 1.0, True), (10, 0.106, 1.0, True), (10, 0.2, 1.0, False),
        (100, 0.104, 10.0, True), (100, 0.106, 10.0, False), (1, 0.3, 0.59, True), (1, 0.3, 0.61, False), (0, 2.0, 1.9, True),
        (0, 0.2, 0.3, False), (3, 0.0166, 0.0, True),
    ],
)  # fmt: skip
def test_tolerance_of_gamma_rates(tmp_path: Path, count: int, alpha: float, rate: float, good: bool) -> None:
    """CARD-6: |N alpha - rate| <= max(0.05 max(rate, 1), alpha), Combine's rule, at its edges."""
    assert good == (abs(count * alpha - rate) <= max(0.05 * max(rate, 1), alpha))
    text = ONE_CHANNEL.replace("rate 0 .5", f"rate 0 {rate}") + f"g gmN {count} - {alpha}\n"
    path = write(tmp_path, "a.txt", text)
    if good:
        assert read_datacards(path).gammas[0].entries[0].alpha == alpha
    else:
        with pytest.raises(DocumentError, match=rf"a\.txt:8: 'g' gives {count} \* "):
            read_datacards(path)
