"""What the lint report finds and what repair changes: clauses CARD-16 and CARD-17."""

from collections import Counter
from pathlib import Path

import pytest

from superbin.errors import InputError
from superbin.io.datacards import CODES, Datacards, Placeholder, lint, read_datacards, repair

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
rate 0.0001 7.0 3.0
norm lnU - 100 -
"""


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
    assert repair(c) == (c, ())


ENTRIES = {
    "inert-entry": ("x lnN - 1.0 - -", "x lnN - 1.0/1.0 - -"),
    "inert-nuisance": ("x lnN - - - -", "x lnU - - - -"),
    "same-side-pair": ("x lnN - 1.1/1.2 - -", "x lnN - 0.9/0.8 - -"),
    "inverted-pair": ("x lnN - 1.1/0.8 - -",),
    "one-sided-pair": ("x lnN - 1/0.8 - -", "x lnN - 1.1/1.0 - -"),
    "extreme-factor": ("x lnN - 6 - -", "x lnN - 0.19/1.1 - -", "x lnN - 0.2 - -"),
    "lone-free-rate": ("x lnU - 100 - -", "x rateParam * one 1"),
}


@pytest.mark.parametrize(
    ("code", "line"), [(code, line) for code, lines in ENTRIES.items() for line in lines]
)
def test_oddities_of_one_line(tmp_path: Path, code: str, line: str) -> None:
    """CARD-16: the code, at the line, and nothing else."""
    assert found(cards(tmp_path, signal_region(0, line))) == [("card0.txt", 8, code)]


def test_ranges_that_vary(tmp_path: Path) -> None:
    """CARD-16."""
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
    """CARD-16."""
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


def test_codes_are_documented_and_reached() -> None:
    """CARD-16: every code has a meaning, and every one is provoked in this file."""
    tested = {
        *ENTRIES, "varying-range", "leaked-placeholder", "floored-rate", "unbalanced-control-region",
        "empty-channel", "missing-systematic",
    }  # fmt: skip
    assert set(CODES) == tested


def test_order_follows_the_cards(tmp_path: Path) -> None:
    """CARD-16: in the order the cards were read, then by line."""
    for name in ("b.txt", "a.txt"):
        text = signal_region(ord(name[0]), "x lnN - 1 - -", one="WORD")
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
    repaired, repairs = repair(c)
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
    assert repair(repaired) == (repaired, ())


def test_repair_with_another_floor(tmp_path: Path) -> None:
    """CARD-17."""
    c = cards(tmp_path, signal_region(0, one="WORD"))
    repaired, (change,) = repair(c, floor=0.01)
    assert repaired.terms[1].rate == 0.01
    assert change.message == "rate 'WORD' of process 'one' in channel 'SR0' is 0.01 now"


@pytest.mark.parametrize("floor", [0.0, -1.0, float("nan"), float("inf")])
def test_repair_refuses_a_floor_that_is_none(tmp_path: Path, floor: float) -> None:
    """CARD-17."""
    with pytest.raises(InputError, match="must be a finite number of events > 0"):
        repair(cards(tmp_path, signal_region(0)), floor=floor)
