"""What the lint report finds and what repair changes: clauses CARD-16 and CARD-17."""

import re
from collections import Counter
from pathlib import Path

import pytest

import superbin
from superbin.errors import DocumentError, InputError
from superbin.io.datacards import (
    CODES,
    Datacards,
    Placeholder,
    Recipe,
    lint,
    parse_recipe,
    read_datacards,
    repair,
    repeated,
)

SIGNAL_REGION = """\
imax 1
observation 4
bin SR{i} SR{i} SR{i} SR{i}
process sig one two three
process 0 1 2 3
rate SIGNAL {one} 2.0 1.0
lumi lnN 1.02 - - -
"""

CONTROL_REGION = """\
imax 1
observation {observed}
bin CR CR CR
process sig three junk
process 0 3 4
rate 0.0 7.0 3.0
norm lnU - 100 -
"""


ARCHIVE = Recipe(background_word=1e-4, drop_inert=True)


def cards(folder: Path, *texts: str) -> Datacards:
    for i, text in enumerate(texts):
        (folder / f"card{i}.txt").write_text(text, encoding="utf-8")
    return read_datacards(folder)


def signal_region(i: int, *lines: str, one: str = "1.5") -> str:
    return SIGNAL_REGION.format(i=i, one=one) + "".join(f"{line}\n" for line in lines)


def found(c: Datacards) -> list[tuple[str, int, str]]:
    return [(Path(f.file).name, f.line, f.code) for f in lint(c)]


def test_nothing_odd(tmp_path: Path) -> None:
    """CARD-16: a plain card with its control region has no finding."""
    c = cards(
        tmp_path,
        signal_region(0, "norm lnU - - - 100", "x lnN - 0.9/1.2 - 1.3"),
        CONTROL_REGION.format(observed=10),
    )
    assert lint(c) == ()
    assert repair(c, ARCHIVE) == (c, ())


ENTRIES = {
    "inert-entry": ("x lnN - 1.0 - -", "x lnN - 1.0/1.0 - -"),
    "inert-nuisance": ("x lnN - - - -", "x lnU - - - -"),
    "same-side-pair": ("x lnN - 1.1/1.2 - -", "x lnN - 0.9/0.8 - -"),
    "inverted-pair": ("x lnN - 1.1/0.8 - -",),
    "one-sided-pair": ("x lnN - 1/0.8 - -", "x lnN - 1.1/1.0 - -"),
    "extreme-factor": ("x lnN - 6 - -", "x lnN - 0.19/1.1 - -", "x lnN - 0.2 - -"),
    "lone-free-rate": ("x lnU - 100 - -", "x rateParam * one 1"),
    "ignored-words": ("x lnN - 1.1 - - ten per cent", "x lnN - 1.1 - - -"),
    "zero-entry": ("x lnN 1.1 0 - -", "x lnU 0.0 1.2 - -"),
    "gamma-rate": ("x gmN 10 - 0.155 - -", "x gmN 3 - 0.49 - -"),
    "nofloat": ("x[nofloat] lnN - 1.1 - -",),
}


@pytest.mark.parametrize(
    ("code", "line"), [(code, line) for code, lines in ENTRIES.items() for line in lines]
)
def test_oddities_of_one_line(tmp_path: Path, code: str, line: str) -> None:
    """CARD-16: the code, at the line, and nothing else."""
    assert found(cards(tmp_path, signal_region(0, line))) == [("card0.txt", 8, code)]


def test_ranges_that_vary(tmp_path: Path) -> None:
    """CARD-16: a flat nuisance with different factors in two cards is a finding."""
    c = cards(tmp_path, signal_region(0, "x lnU - 1.1 - -"), signal_region(1, "x lnU - 1.2 - -"))
    assert found(c) == [("card0.txt", 8, "varying-range")]


@pytest.mark.parametrize(
    ("rate", "code"),
    [("WORD", "leaked-placeholder"), ("0.0001", "floored-rate"), ("0.00005", "floored-rate")],
)
def test_rates_that_are_none(tmp_path: Path, rate: str, code: str) -> None:
    """CARD-16: in background columns; the signal's own placeholder is as it should be."""
    assert found(cards(tmp_path, signal_region(0, one=rate))) == [("card0.txt", 6, code)]


def test_control_region_out_of_balance(tmp_path: Path) -> None:
    """CARD-16: 7 + 3 events expected, 0 observed; the signal's 0.0001 is no background."""
    c = cards(tmp_path, signal_region(0, "norm lnU - - - 100"), CONTROL_REGION.format(observed=0))
    assert found(c) == [("card1.txt", 2, "unbalanced-control-region")]


def test_empty_channel(tmp_path: Path) -> None:
    """CARD-16: a channel that expects no background is a finding."""
    text = "observation 1\nbin a a\nprocess s b\nprocess 0 1\nrate 1 0\n"
    assert found(cards(tmp_path, text)) == [("card0.txt", 1, "empty-channel")]


def test_missing_systematic(tmp_path: Path) -> None:
    """CARD-16: on 2 of 3 it is missing in the third, on 1 of 3 it belongs to that one."""
    lines = ("jec lnN 1.1 - - -", "own lnN - 1.1 - -")
    c = cards(tmp_path, signal_region(0, *lines), signal_region(1, lines[0]), signal_region(2))
    assert found(c) == [("card2.txt", 6, "missing-systematic")]
    (finding,) = lint(c)
    assert finding.message == (
        "'jec' does not act on process 'sig' in channel 'SR2', but on 'sig' in 2 of 3 channels"
    )


def test_instructions(tmp_path: Path) -> None:
    """CARD-16: what nothing uses, and what an edit does not find."""
    lines = ("own lnN - 1.1 - -", "u flatParam", "nuisance edit drop x SR0 own ifexists")
    codes = {code for _, _, code in found(cards(tmp_path, signal_region(0, *lines)))}
    assert codes == {"unused-parameter", "edit-nothing"}


def test_mode_of_statistics(tmp_path: Path) -> None:
    """CARD-16, CARD-24: hist-mode 0 is read as 1."""
    text = (
        "shapes * * h.root $PROCESS\nobservation -1\nbin a a\nprocess s b\nprocess 0 1\nrate -1 -1\n"
        "a autoMCStats 0 0 0\n"
    )
    assert ("card0.txt", 7, "statistics-mode") in found(cards(tmp_path, text))
    twice = "bin a\nobservation 1\nbin a a\nprocess s b\nprocess 0 1\nrate 1 2\nk lnN - 1.1\nk lnN - 1.2\n"
    assert {code for _, _, code in found(cards(tmp_path, twice))} == {"acts-twice"}
    assert ("card0.txt", 8, "acts-twice") in found(cards(tmp_path, twice))
    table = "bin a c\nobservation 1 1\nbin a a c c\nprocess s b s b\nprocess 0 1 0 1\nrate 1 2 1 2\n"
    started = table + "k rateParam a b 1 [0,2]\nk rateParam c b 1\n"
    assert {("card0.txt", 8, "first-start")} <= set(found(cards(tmp_path, started)))


def test_codes_are_documented_and_reached() -> None:
    """CARD-16: every code has a meaning, and every one is provoked in this file."""
    tested = {
        *ENTRIES, "varying-range", "leaked-placeholder", "floored-rate", "unbalanced-control-region",
        "empty-channel", "missing-systematic", "signal-placeholder", "same-channels-twice", "edit-nothing", "unused-parameter",
        "statistics-mode", "acts-twice", "first-start",
    }  # fmt: skip
    assert set(CODES) == tested


def test_order_follows_the_cards(tmp_path: Path) -> None:
    """CARD-16: in the order the cards were read, then by line."""
    for name in ("b.txt", "a.txt"):
        number = ord(name[0])
        text = signal_region(number, "x lnN - 1 - -", one="WORD").replace(" 2.0 1.0", f" 2.0 {number}")
        (tmp_path / name).write_text(text, encoding="utf-8")
    c = read_datacards([tmp_path / "b.txt", tmp_path / "a.txt"])
    assert [(Path(f.file).name, f.line) for f in lint(c)] == [
        ("b.txt", 6),
        ("b.txt", 8),
        ("a.txt", 6),
        ("a.txt", 8),
    ]


def test_repair_lists_every_change(tmp_path: Path) -> None:
    """CARD-17: placeholders of backgrounds, entries of one, lines of dashes; pairs and the signal stay."""
    c = cards(
        tmp_path,
        signal_region(
            0, "x lnN - 1.0/1.0 1.2 -", "y lnN - - - -", "z lnN - 1 - -", "p lnN - 1.1/1.2 - -", one="WORD"
        )
        + "all group = lumi x y z\n",
    )
    before = Counter(f.code for f in lint(c))
    repaired, repairs = repair(c, ARCHIVE)
    assert [(r.line, r.code) for r in repairs] == [
        (6, "leaked-placeholder"),
        (8, "inert-entry"),
        (9, "inert-nuisance"),
        (10, "inert-entry"),
    ]
    assert [t.rate for t in repaired.terms] == [Placeholder("SIGNAL"), 1e-4, 2.0, 1.0]
    assert [(n.name, len(n.entries)) for n in repaired.nuisances] == [("lumi", 1), ("x", 1), ("p", 1)]
    assert repaired.groups[0].members == ("lumi", "x")
    assert Counter(f.code for f in lint(repaired)) == {"floored-rate": 1, "same-side-pair": 1}
    assert before["inert-entry"] == 2
    assert repair(repaired, ARCHIVE) == (repaired, ())


def test_without_a_recipe_nothing_is_changed(tmp_path: Path) -> None:
    """CARD-17: what one archive needs is no rule for others."""
    c = cards(
        tmp_path,
        signal_region(0, "x lnN - 1.0/1.0 1.2 -", "y lnN - - - -", one="WORD"),
        CONTROL_REGION.format(observed=10).replace("rate 0.0 ", "rate 0.0001 "),
    )
    assert repair(c, Recipe()) == (c, ())


def test_a_recipe_names_the_signal_placeholder_of_its_control_regions(tmp_path: Path) -> None:
    """CARD-17: exactly that rate, in exactly those channels; a filled signal as small stays a signal."""
    control = CONTROL_REGION.format(observed=10)
    c = cards(
        tmp_path,
        signal_region(0).replace("SIGNAL", "0.0001"),
        control.replace("rate 0.0 ", "rate 0.0001 "),
        control.replace("rate 0.0 ", "rate 0.00010001 ").replace("CR", "CR2"),
    )
    repaired, (change,) = repair(c, Recipe(signal_regions=r"SR\d", signal_placeholder=1e-4))
    assert [t.rate for t in repaired.terms if t.is_signal] == [1e-4, 0.0, 1.0001e-4]
    assert change.code == "signal-placeholder"
    assert change.message == "rate 0.0001 of process 'sig' in channel 'CR' is 0 now"


def test_suspicious_signals_are_named(tmp_path: Path) -> None:
    """CARD-16: a signal of a ten-thousandth of an event, taken as written all the same."""
    c = cards(tmp_path, signal_region(0).replace("SIGNAL", "0.0001"))
    assert found(c) == [("card0.txt", 6, "signal-placeholder")]


def test_recipe_with_another_value(tmp_path: Path) -> None:
    """CARD-17: a word in a background column becomes the number that the recipe gives."""
    c = cards(tmp_path, signal_region(0, one="WORD"))
    repaired, (change,) = repair(c, Recipe(background_word=0.01))
    assert repaired.terms[1].rate == 0.01
    assert change.message == "rate 'WORD' of process 'one' in channel 'SR0' is 0.01 now"


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("option", ["background_word", "signal_placeholder"])
def test_recipes_refuse_rates_that_are_none(option: str, value: float) -> None:
    """CARD-17: a recipe refuses a rate that is not a finite number above zero."""
    with pytest.raises(InputError, match=f"{option} is .*; it must be a finite number of events > 0"):
        Recipe(**{option: value})  # type: ignore[arg-type]


def test_recipes_refuse_what_is_no_expression_or_floor() -> None:
    """CARD-17: a recipe refuses a bad regular expression and a negative floor."""
    with pytest.raises(InputError, match="must be a regular expression"):
        Recipe(signal_regions="(")
    with pytest.raises(InputError, match="background_floor is -1"):
        Recipe(background_floor=-1.0)


def test_the_packaged_archive_has_its_recipe() -> None:
    """CARD-17: its control regions are not bins."""
    place = Path(superbin.__file__).parent / "data" / "cms-pas-sus-16-014" / "card-recipe.json"
    recipe = parse_recipe(place.read_text(encoding="utf-8"), place)
    assert (recipe.signal_placeholder, recipe.background_word, recipe.background_floor) == (1e-4, 1e-4, 1e-4)
    assert recipe.drop_inert
    assert recipe.is_signal_region("Binsignal159")
    assert not recipe.is_signal_region("BinSLControl159")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "a recipe is a JSON object with signal_regions"),
        ('{"signal_region": "x"}', "nothing reads 'signal_region'"),
        ('{"background_word": "x"}', "background_word is 'x'"),
        ('{"background_word": true}', "background_word is True"),
        ('{"signal_regions": "("}', "must be a regular expression"),
        ('{"background_floor": -1}', "background_floor is -1"),
    ],
)
def test_a_recipe_that_is_none(text: str, message: str) -> None:
    """CARD-17: recipes come with a bundle, and a wrong one is refused when it is stored."""
    with pytest.raises(DocumentError, match=re.escape(message)):
        parse_recipe(text, "card-recipe.json")


PART = """\
bin {name}
observation {observed}
bin {name} {name}
process s b
process 0 1
rate {s} {b}
x lnN {x} 1.2345
"""


def part(name: str, observed: int, s: str, b: str, x: str = "-") -> str:
    return PART.format(name=name, observed=observed, s=s, b=b, x=x)


def test_a_folder_with_its_own_combination(tmp_path: Path) -> None:
    """CARD-18: one finding, whatever the combination calls the channels, how it rounds, and where it stands."""
    (tmp_path / "all.txt").write_text(
        "bin ch1 ch2\nobservation 10 3\nbin ch1 ch1 ch2 ch2\nprocess b s b s\nprocess 1 0 1 0\n"
        "rate 9.123 4 2.5 2\nx lnN 1.234 1.0 1.234 -\n",
        encoding="utf-8",
    )
    (tmp_path / "b.txt").write_text(part("one", 10, "4", "9.12345"), encoding="utf-8")
    (tmp_path / "c.txt").write_text(part("two", 3, "2", "2.5"), encoding="utf-8")
    c = read_datacards(tmp_path)
    assert [(a.name, b.name) for a, b in repeated(c)] == [("ch1", "one"), ("ch2", "two")]
    twice = [f for f in lint(c) if f.code == "same-channels-twice"]
    assert [(Path(f.file).name, f.line) for f in twice] == [("b.txt", 2)]
    assert twice[0].message.startswith("the same channels twice: 'one' is 'ch1' of ")


def test_the_same_names_in_a_combination(tmp_path: Path) -> None:
    """CARD-18, CARD-14: kept under a name of their own, for the report."""
    c = cards(tmp_path, part("a", 5, "1", "4"), part("a", 5, "1", "4").replace("lnN -", "lnN 1"))
    assert [x.name for x in c.channels] == ["a", f"a@{tmp_path / 'card1.txt'}"]
    assert "same-channels-twice" in {f.code for f in lint(c)}


def test_twice_within_a_card(tmp_path: Path) -> None:
    """CARD-18: two equal channels of one card are found."""
    text = "bin p q\nobservation 5 5\nbin p p q q\nprocess s b s b\nprocess 0 1 0 1\nrate 1 4 1 4\nx lnN - 1.1 - 1.1\n"
    assert [(a.name, b.name) for a, b in repeated(cards(tmp_path, text))] == [("p", "q")]


@pytest.mark.parametrize(
    "other",
    [
        part("q", 6, "1", "4"), part("q", 5, "1.1", "4"), part("q", 5, "1", "4.1"), part("q", 5, "1", "4", "1.1"),
        part("q", 5, "1", "4").replace("x lnN", "y lnN"), part("q", 5, "1", "4").replace("1.2345", "1.25"),
        part("q", 5, "WORD", "4"),
    ],
)  # fmt: skip
def test_channels_that_differ(tmp_path: Path, other: str) -> None:
    """CARD-18: in any number or name but the channel's own."""
    assert repeated(cards(tmp_path, part("p", 5, "1", "4"), other)) == ()


def test_empty_channels_may_be_equal(tmp_path: Path) -> None:
    """CARD-18: without events and background there is nothing to recognise a channel by."""
    assert repeated(cards(tmp_path, part("p", 0, "1", "0.0001"), part("q", 0, "1", "0.0001"))) == ()
