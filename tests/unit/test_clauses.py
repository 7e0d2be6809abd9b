"""What is promised is tested, and what tests and comments name is promised."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
CLAUSE = re.compile(r"\*\*([A-Z]+-\d+)\b")
MEASURED = re.compile(r"\*\*([A-Z]+-\d+)\*\* Measured by `validation/")
NAME = re.compile(r"\b([A-Z]+)-(\d+)(?: to (?:[A-Z]+-)?(\d+))?")


def promised() -> Counter[str]:
    return Counter(
        name for path in (ROOT / "specs").glob("*.md") for name in CLAUSE.findall(path.read_text("utf-8"))
    )


def named(folder: str, suffix: str) -> dict[str, Path]:
    """Clauses by the file that names them; ends of a range, and all between that are promised."""
    known = promised()
    found: dict[str, Path] = {}
    for path in sorted((ROOT / folder).rglob(f"*.{suffix}")):
        for kind, first, last in NAME.findall(path.read_text("utf-8")):
            numbers = range(int(first), int(last or first) + 1)
            inner = {f"{kind}-{number}" for number in numbers} & known.keys()
            found |= dict.fromkeys({f"{kind}-{first}", f"{kind}-{last or first}"} | inner, path)
    return found


def test_every_clause_has_one_place_and_a_test() -> None:
    """Those that a script in ``validation`` measures need none."""
    clauses = promised()
    assert [name for name, count in clauses.items() if count > 1] == []
    measured = {
        m for path in (ROOT / "specs").glob("*.md") for m in MEASURED.findall(path.read_text("utf-8"))
    }
    assert sorted(clauses.keys() - named("tests", "py").keys() - measured) == []


def test_every_named_clause_exists() -> None:
    """In tests, in code, in validation and in docs."""
    clauses = promised()
    kinds = {name.split("-")[0] for name in clauses}
    for folder, suffix in (
        ("tests", "py"),
        ("src", "py"),
        ("validation", "py"),
        ("validation", "md"),
        ("docs", "md"),
    ):
        for name, path in named(folder, suffix).items():
            if name.split("-")[0] in kinds:
                assert name in clauses, f"{path.relative_to(ROOT)} names {name}"


def test_docstrings_of_tests_say_what_they_check() -> None:
    """A clause alone is no description."""
    alone = re.compile(r'"""(?:[A-Z]+-\d+(?:, | to )?)+\."""')
    found = [
        str(p.relative_to(ROOT)) for p in (ROOT / "tests").rglob("*.py") if alone.search(p.read_text("utf-8"))
    ]
    assert not found
