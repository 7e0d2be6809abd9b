"""YAML of HEPData: long columns are taken by a pattern, and mean what the YAML parser says they mean."""

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from superbin.errors import DocumentError
from superbin.io.imports import Options, read
from superbin.io.imports.hepdata_yaml import Run, documents

FORMS = {
    "value": "- value: {0}\n",
    "flow value": "- {{value: {0}}}\n",
    "high first": "- high: {1}\n  low: {0}\n",
    "low first": "- low: {0}\n  high: {1}\n",
    "flow high": "- {{high: {1}, low: {0}}}\n",
    "flow low": "- {{low: {0}, high: {1}}}\n",
}
SCALARS = st.sampled_from(
    ["1", "-0.5", "1e-05", "+3", ".inf", "null", "A_1", "2.5", "-", "--", "'7'", "~", "a b", "#", "1 # c"]
)


def expanded(content: Any) -> Any:
    """Runs as the entries that they stand for."""
    if isinstance(content, dict):
        return {key: expanded(value) for key, value in content.items()}
    if not isinstance(content, list):
        return content
    cells: list[Any] = []
    for cell in content:
        if not isinstance(cell, Run):
            cells.append(expanded(cell))
        elif cell.high:
            cells += [{"low": a, "high": b} for a, b in zip(cell.texts, cell.high, strict=True)]
        else:
            cells += [{"value": text} for text in cell.texts]
    return cells


def table(entries: str, indent: str = "  ") -> str:
    cells = re.sub("^(?=.)", indent, entries, flags=re.MULTILINE)
    return f"dependent_variables:\n- header: {{name: C}}\n  values:\n{cells}independent_variables: []\n"


def runs(content: list[Any]) -> int:
    return sum(isinstance(cell, Run) for cell in content[0]["dependent_variables"][0]["values"])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("indent", ["  ", "    "])
def test_every_form(form: str, indent: str) -> None:
    """IMP-7: a run of each form is found, and is what the parser makes of it."""
    text = table("".join(FORMS[form].format(i, i + 0.5) for i in range(200)), indent)
    found = documents(text, Path("t.yaml"))
    assert runs(found) == 1
    assert expanded(found) == list(yaml.load_all(text, Loader=yaml.BaseLoader))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FORMS)), st.data())
def test_same_as_the_parser(form: str, data: st.DataObject) -> None:
    """IMP-7: whatever stands before, in and after a run, the content is the parser's, and so is the refusal."""
    plain = [FORMS[form].format(i, i + 1) for i in range(70)]
    at = data.draw(st.integers(0, 70))
    odd = data.draw(
        st.one_of(
            SCALARS.map(lambda s: f"- value: {s}\n"),
            st.tuples(SCALARS, SCALARS).map(lambda p: f"- low: {p[0]}\n  high: {p[1]}\n"),
            st.sampled_from(
                [
                    "  value: 5\n",
                    "  errors: []\n",
                    "- errors:\n  - symerror: 1\n  value: 3\n",
                    "\n",
                    "# note\n",
                    "    more\n",
                    "- &a {value: 1}\n- *a\n",
                    "- |\n",
                ]
            ),
        )
    )
    text = table("".join([*plain, *plain[:at], odd, *plain]))
    try:
        wanted = list(yaml.load_all(text, Loader=yaml.BaseLoader))
    except yaml.MarkedYAMLError as error:
        line = -1 if error.problem_mark is None else error.problem_mark.line + 1
        with pytest.raises(DocumentError, match=rf"t\.yaml:{line}: is not valid YAML"):
            documents(text, Path("t.yaml"))
        return
    with contextlib.suppress(DocumentError):  # a key twice, which the parser lets pass
        assert expanded(documents(text, Path("t.yaml"))) == wanted


@pytest.mark.parametrize("around", ["note: |\n{}", "note: >\n{}", 'note: "\n{}  "\n'])
def test_lines_within_a_text(around: str) -> None:
    """IMP-7: lines that look like entries and are part of a text stay text."""
    text = around.format("".join(f"  - value: {i}\n" for i in range(100))) + table("- value: 1\n- value: 2\n")
    assert documents(text, Path("t.yaml")) == list(yaml.load_all(text, Loader=yaml.BaseLoader))


def test_key_twice() -> None:
    """IMP-9: a key twice in one mapping would hide one of its values; the text names the line."""
    text = table("- value: 1\n- value: 2\n  value: 3\n")
    with pytest.raises(DocumentError, match=r"t\.yaml:6: is not valid YAML \(the key 'value' comes twice"):
        documents(text, Path("t.yaml"))


def test_names_of_runs_are_no_values(tmp_path: Path) -> None:
    """IMP-9: a long table whose labels are the words that stand for runs is read as any other."""
    n = 100

    def column(name: str, values: list[str]) -> str:
        return f"- header: {{name: {name}}}\n  values:\n" + "".join(f"  - value: {v}\n" for v in values)

    text = (
        "dependent_variables:\n" + column("Data", ["5"] * n) + column("Background", ["4.5"] * n)
        + "independent_variables:\n" + column("Region", [f"run{i}" for i in range(n)])
    )  # fmt: skip
    (tmp_path / "t.yaml").write_text(text)
    search = read(tmp_path / "t.yaml", options=Options(luminosity_fb=1.0)).bundle.search
    assert search.names == tuple(f"run{i}" for i in range(n))
    assert search.observed.tolist() == [5.0] * n


def test_large_covariance(tmp_path: Path) -> None:
    """IMP-5: entries written backwards, of bins that ranges name, are put in the order of the table's bins."""
    n = 40
    matrix = [[(3.0 + i if i == j else 0.5 / (1 + i + j)) for j in range(n)] for i in range(n)]
    pairs = [(i, j) for i in range(n) for j in range(n)][::-1]

    def column(name: str, cells: list[str]) -> str:
        return f"- header: {{name: {name}}}\n  values:\n" + "".join(f"  - {cell}\n" for cell in cells)

    def ranges(side: list[int]) -> list[str]:
        return [f"{{low: {k}, high: {k + 1}}}" for k in side]

    (tmp_path / "c.yaml").write_text(
        "dependent_variables:\n" + column("Covariance", [f"value: {matrix[i][j]!r}" for i, j in pairs])
        + "independent_variables:\n" + column("a", ranges([i for i, _ in pairs])) + column("b", ranges([j for _, j in pairs]))
    )  # fmt: skip
    (tmp_path / "y.yaml").write_text(
        "dependent_variables:\n" + column("Data", ["value: 5"] * n) + column("Background", ["value: 4.5"] * n)
        + "independent_variables:\n" + column("a", ranges(list(range(n))))
    )  # fmt: skip
    (tmp_path / "submission.yaml").write_text(
        "---\n".join(
            f"name: {name}\ndescription: none\ndata_file: {file}\n"
            for name, file in (("Yields", "y.yaml"), ("Covariance", "c.yaml"))
        )
    )
    covariance = read(tmp_path, options=Options(luminosity_fb=1.0)).bundle.search.covariance
    assert covariance is not None
    assert covariance.up.tolist() == matrix


@pytest.mark.parametrize(
    "text",
    [
        "a0: &a0 [x, x]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
        "a: &a [*a]\n",
    ],
    ids=["bomb", "in itself"],
)
def test_aliases_without_bounds(text: str, tmp_path: Path) -> None:
    """IMP-7: a few lines of aliases that stand for more than a memory holds are refused before they are read out."""
    with pytest.raises(DocumentError, match="aliases"):
        documents(text, tmp_path / "x.yaml")


def test_aliases(tmp_path: Path) -> None:
    """IMP-7: aliases that stand for a few entries are read."""
    assert documents("a: &a [x, y]\nb: [*a, *a]\n", tmp_path / "x.yaml") == [
        {"a": ["x", "y"], "b": [["x", "y"], ["x", "y"]]}
    ]
