"""Laws of the datacard reader on cards nobody wrote: clauses CARD-3 to CARD-17, above all CARD-12."""

from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from superbin.errors import DocumentError
from superbin.io.datacards import Datacards, Placeholder, Recipe, lint, read_datacards, repair

FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

ARCHIVE = Recipe(background_word=1e-4, drop_inert=True)
NAMES = st.text(alphabet="abcXYZ_019-.", min_size=1, max_size=6).filter(
    lambda s: s[0] in "abcXYZ" and s != "bin"
)
RATES = st.floats(0.0, 1e6) | st.sampled_from(["SIGNAL", "todo"])
FACTORS = st.floats(1e-3, 1e3)
ENTRIES = st.none() | FACTORS | st.tuples(FACTORS, FACTORS)


@dataclass(frozen=True)
class Draft:
    """What a generated card says, in a form that knows nothing of the reader."""

    observed: dict[str, float]
    columns: list[tuple[str, str, int]]
    rates: list[float | str]
    nuisances: dict[str, tuple[str, list[float | tuple[float, float] | None]]]

    @property
    def text(self) -> str:
        lines = [
            f"imax {len(self.observed)}",
            f"kmax {len(self.nuisances)}",
            " ".join(["bin", *self.observed]),
            " ".join(["observation", *map(repr, self.observed.values())]),
            " ".join(["bin", *(c for c, _, _ in self.columns)]),
            " ".join(["process", *(p for _, p, _ in self.columns)]),
            " ".join(["process", *(str(n) for _, _, n in self.columns)]),
            " ".join(["rate", *(r if isinstance(r, str) else repr(r) for r in self.rates)]),
        ]
        for name, (kind, entries) in self.nuisances.items():
            cells = [
                "-" if e is None else repr(e) if isinstance(e, float) else f"{e[0]!r}/{e[1]!r}"
                for e in entries
            ]
            lines.append(" ".join([name, kind, *cells]))
        return "\n".join(lines) + "\n"


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    channels = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    processes = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    numbers = {p: draw(st.integers(-2, 5)) for p in processes}
    columns = [(c, p, numbers[p]) for c in channels for p in processes]
    kinds = st.sampled_from(["lnN", "lnU"])
    row = st.lists(ENTRIES, min_size=len(columns), max_size=len(columns))
    return Draft(
        observed={c: draw(st.floats(0.0, 1e6)) for c in channels},
        columns=columns,
        rates=draw(st.lists(RATES, min_size=len(columns), max_size=len(columns))),
        nuisances=draw(st.dictionaries(NAMES, st.tuples(kinds, row), max_size=3)),
    )


def parse(folder: Path, content: bytes) -> Datacards | str:
    """The cards, or the text of the one error that is allowed."""
    path = folder / "card.txt"
    path.write_bytes(content)
    try:
        return read_datacards(path)
    except DocumentError as error:
        text = str(error)
        assert text.startswith(f"{path}:")
        assert "\n" not in text
        return text


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cards")


@FEW
@given(draft=drafts())
def test_what_is_written_is_read(folder: Path, draft: Draft) -> None:
    """CARD-3, CARD-4, CARD-5: to the last bit."""
    cards = parse(folder, draft.text.encode())
    assert isinstance(cards, Datacards)
    assert {c.name: c.observed for c in cards.channels} == draft.observed
    assert [(t.channel, t.process, t.number) for t in cards.terms] == draft.columns
    assert [t.rate.text if isinstance(t.rate, Placeholder) else t.rate for t in cards.terms] == draft.rates
    assert {n.name: n.kind for n in cards.nuisances} == {k: kind for k, (kind, _) in draft.nuisances.items()}
    for nuisance in cards.nuisances:
        entries = {e.term: e.up if e.symmetric else (e.down, e.up) for e in nuisance.entries}
        assert entries == {i: e for i, e in enumerate(draft.nuisances[nuisance.name][1]) if e is not None}
        assert all(e.down == 1 / e.up for e in nuisance.entries if e.symmetric)


@FEW
@given(draft=drafts(), data=st.data())
def test_truncated(folder: Path, draft: Draft, data: st.DataObject) -> None:
    """CARD-12: cut at any byte, a card gives an error, unless all that is lost is the last digits or line end."""
    content = draft.text.encode()
    cut = data.draw(st.integers(0, len(content) - 1))
    result = parse(folder, content[:cut])
    if isinstance(result, Datacards):
        assert b"\n" not in content[cut:-1]


@MANY
@given(
    draft=drafts(),
    position=st.floats(0.0, 1.0),
    removed=st.integers(0, 6),
    added=st.binary(max_size=6)
    | st.sampled_from([b" nan ", b"-1", b"/", b"\n", b"#", b"1e999", b" rateParam ", b" - "]),
)
def test_damaged(folder: Path, draft: Draft, position: float, removed: int, added: bytes) -> None:
    """CARD-12: whatever happens to a few bytes, cards or one clear error; lint and repair take what was read."""
    content = draft.text.encode()
    i = int(position * len(content))
    result = parse(folder, content[:i] + added + content[i + removed :])
    if isinstance(result, Datacards):
        lint(result)
        assert repair(result, Recipe()) == (result, ())
        repair(result, ARCHIVE)


WORDS = st.sampled_from(
    [
        "imax", "jmax", "kmax", "shapes", "bin", "observation", "process", "rate", "lnN", "lnU", "gmN", "rateParam",
        "group", "=", "+=", "*", "-", "--", "1", "0", "2.5", "-1", "1.1/0.9", "1/", "nan", "FAKE", "a", "b", "[0,1]",
        "#", "SIGNAL", "1e400", "\t", "\x00", "\u2028", "\ufeff",
    ]
)  # fmt: skip


@MANY
@given(lines=st.lists(st.lists(WORDS, max_size=7), max_size=14))
def test_soup_of_keywords(folder: Path, lines: list[list[str]]) -> None:
    """CARD-12: random lines of card words are read or refused with a `DocumentError`."""
    parse(folder, "\n".join(" ".join(words) for words in lines).encode())


@FEW
@given(content=st.binary(max_size=200))
def test_any_bytes(folder: Path, content: bytes) -> None:
    """CARD-12: random bytes are read or refused with a `DocumentError`."""
    parse(folder, content)


@FEW
@given(draft=drafts())
def test_repair_removes_what_it_names(folder: Path, draft: Draft) -> None:
    """CARD-17: as many changes as findings of those three kinds; none is left; twice is once."""
    cards = parse(folder, draft.text.encode())
    assert isinstance(cards, Datacards)
    repaired, repairs = repair(cards, ARCHIVE)
    codes = {"leaked-placeholder", "inert-entry", "inert-nuisance"}
    named = [(f.file, f.line, f.code) for f in lint(cards) if f.code in codes]
    assert sorted((r.file, r.line, r.code) for r in repairs) == sorted(named)
    assert not codes.intersection(f.code for f in lint(repaired))
    assert repair(repaired, ARCHIVE) == (repaired, ())
