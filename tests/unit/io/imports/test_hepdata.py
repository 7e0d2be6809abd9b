"""HEPData records: submissions in YAML, exported JSON, and the old input format."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from superbin.errors import InputError
from superbin.io.imports import Options, inspect, read
from superbin.io.imports.base import Source
from superbin.io.imports.hepdata_tables import read_submission, read_tables


def column(name: str, cells: list[str], units: str = "") -> str:
    lines = "".join(f"  - {cell}\n" for cell in cells)
    return f"- header: {{name: '{name}', units: '{units}'}}\n  values:\n{lines}"


def table(path: Path, x: list[str], *dependent: str, axis: str = "MET", units: str = "GeV") -> Path:
    path.write_text(
        "dependent_variables:\n" + "".join(dependent) + "independent_variables:\n" + column(axis, x, units)
    )
    return path


RANGES = ["{low: 100, high: 200}", "{low: 200, high: 400}"]
OBSERVED = column("Observed", ["{value: 12}", "{value: '3'}"])


def imported(path: Path, **mapping: Any) -> Any:
    return read(path, options=Options(luminosity_fb=10.0, mapping=mapping))


def sides(search: Any) -> dict[str, list[float]]:
    estimate = search.processes[0].estimate
    return {key: getattr(estimate, key).tolist() for key in ("stat_up", "stat_down", "syst_up", "syst_down")}


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ("{symerror: 3}", (0, 0, 3, 3)),
        ("{symerror: 3, label: stat}", (3, 3, 0, 0)),
        ("{symerror: 3, label: stat}, {symerror: 2, label: syst}", (3, 3, 2, 2)),
        ("{symerror: 3, label: lumi}, {symerror: 4, label: 'sys,JES'}", (0, 0, 5, 5)),
        ("{asymerror: {plus: 2, minus: -1}}", (0, 0, 2, 1)),
        ("{asymerror: {plus: -1, minus: 2}}", (0, 0, 2, 1)),
        ("{asymerror: {plus: 2, minus: 0.5}, label: a}, {symerror: 0, label: b}", None),
        ("{asymerror: {plus: 2}}", (0, 0, 2, 0)),
        ("{asymerror: {minus: -2}}", (0, 0, 0, 2)),
        ("{symerror: '10%'}", (0, 0, 4, 4)),
        ("{symerror: '10%%'}", (0, 0, 4, 4)),
        ("{asymerror: {plus: '5%', minus: '-2.5%'}}", (0, 0, 2, 1)),
        ("{asymerror: {plus: 2, minus: -1}, label: 1 s.d.}, {symerror: 9, label: 2 s.d.}", (0, 0, 2, 1)),
        ("{symerror: 3, label: stat}, {symerror: 5, label: total}", (0, 0, 5, 5)),
        ("{symerror: 3, label: stat}, {symerror: 5, label: stat+syst}", (0, 0, 5, 5)),
        ("{symerror: 3, label: stat}, {symerror: 4, label: total syst}", (3, 3, 4, 4)),
        ("{symerror: 3, label: stat}, {symerror: 4, label: non-stat}", (3, 3, 4, 4)),
    ],
)
def test_errors(errors: str, expected: tuple[float, ...] | None, tmp_path: Path) -> None:
    """IMP-9: labels, sides, signs and per cent; minus carries its sign; nested intervals are not added."""
    background = column("Background", [f"{{value: 40, errors: [{errors}]}}"] * 2)
    path = table(tmp_path / "t.yaml", RANGES, OBSERVED, background)
    if expected is None:
        with pytest.raises(InputError, match="minus > 0"):
            imported(path)
        signed = sides(imported(path, minus="signed").bundle.search)
        assert (signed["syst_up"], signed["syst_down"]) == ([2, 2], [0, 0])
        distance = sides(imported(path, minus="distance").bundle.search)
        assert (distance["syst_up"], distance["syst_down"]) == ([2, 2], [0.5, 0.5])
        return
    found = sides(imported(path).bundle.search)
    assert [values[0] for values in found.values()] == pytest.approx(list(expected), rel=1e-12)


def test_errors_of_one_side_are_said(tmp_path: Path) -> None:
    """IMP-9: one-sided errors, and values without any, stand in the notes."""
    background = column("Background", ["{value: 40, errors: [{asymerror: {plus: 2}}]}", "{value: 4}"])
    notes = imported(table(tmp_path / "t.yaml", RANGES, OBSERVED, background)).notes
    assert any("one-sided" in note and "1 values have none" in note for note in notes)


BACKGROUND = column("Total background", ["{value: 10.5, errors: [{symerror: 2}]}", "{value: 4.25}"])


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        (RANGES, ([100, 200], [200, 400])),
        (["{value: 50}", "{value: 150}"], ([0, 100], [100, 200])),
        (["{low: 100, high: 200}", "{low: 200, high: .inf}"], ([100, 200], [200, np.inf])),
        (["{value: 200-300}", "{value: '> 300'}"], ([200, 300], [300, np.inf])),
        (["{value: 0.5}", "{value: 1.5}"], ([25, 50], [50, 75])),
    ],
)
def test_ranges(x: list[str], expected: tuple[list[float], list[float]], tmp_path: Path) -> None:
    """IMP-10: edges, centres equally far apart, ranges in words, and edges by a mapping."""
    mapping = {"edges": [25, 50, 75]} if "0.5" in x[0] else {}
    search = imported(table(tmp_path / "t.yaml", x, OBSERVED, BACKGROUND), **mapping).bundle.search
    assert (search.low[:, 0].tolist(), search.high[:, 0].tolist()) == expected
    assert search.observables[0].name == "met"


def test_underflow(tmp_path: Path) -> None:
    """IMP-10: a bin without lower end begins where the mapping says, and at 0 where no event has less."""
    x = ["{low: -.inf, high: 200}", "{low: 200, high: 400}"]
    path = table(tmp_path / "t.yaml", x, OBSERVED, BACKGROUND)
    assert imported(path, lowest=5).bundle.search.low[:, 0].tolist() == [5, 200]
    found = imported(path)
    assert found.bundle.search.low[:, 0].tolist() == [0, 200]
    assert "column 'MET': what has no lower end begins at 0" in found.notes
    other = tmp_path / "o.yaml"
    other.write_text(path.read_text().replace("MET", "BDT").replace(", units: GeV", ""))
    with pytest.raises(InputError, match=r'BDT.* begins at minus infinity; .*"lowest"'):
        imported(other)
    assert imported(other, lowest=-1).bundle.search.low[:, 0].tolist() == [-1, 200]
    with pytest.raises(InputError, match="mapping: lowest is 'x'"):
        imported(other, lowest="x")


def test_overflow(tmp_path: Path) -> None:
    """IMP-10: a text that speaks of overflow is pointed out; the mapping opens the last bin."""
    path = tmp_path / "record.hep.dat"
    path.write_text(OLD)
    assert any("speaks of overflow" in note for note in imported(path).notes)
    search = imported(path, overflow=True).bundle.search
    assert search.high[:, 0].tolist() == [130, np.inf]


def test_names_and_indices(tmp_path: Path) -> None:
    """IMP-10: words are names of regions; an axis that counts bins gives neither names nor ranges."""
    words = ["{value: '$2$ jets, $p<3$'}", "{value: '$3$ jets'}"]
    search = imported(table(tmp_path / "a.yaml", words, OBSERVED, BACKGROUND)).bundle.search
    assert search.names == ("$2$ jets, $p<3$", "$3$ jets")
    counted = table(
        tmp_path / "b.yaml", ["{value: 1}", "{value: 2}"], OBSERVED, BACKGROUND, axis="Bin", units=""
    )
    search = imported(counted).bundle.search
    assert (search.names, search.observables) == ((), ())


def test_processes(tmp_path: Path) -> None:
    """IMP-3: several backgrounds by a list or an object, columns added by a list in it; a total beside its parts is refused."""
    parts = [
        column(name, [f"{{value: {v}, errors: [{{symerror: {e}}}]}}"] * 2)
        for name, v, e in (("top", 6, 3), ("w", 4, 4), ("sum", 10, 5))
    ]
    path = table(tmp_path / "t.yaml", RANGES, OBSERVED, *parts)
    search = imported(path, columns={"background": ["top", "w"]}).bundle.search
    assert [p.name for p in search.processes] == ["top", "w"]
    added = imported(path, columns={"background": {"all": ["top", "w"]}}).bundle.search
    assert added.processes[0].estimate.nominal.tolist() == [10, 10]
    assert added.processes[0].estimate.syst_up.tolist() == [5, 5]
    with pytest.raises(InputError, match="counted twice"):
        imported(path, columns={"background": ["top", "w", "sum"]})


def test_negative_expectation(tmp_path: Path) -> None:
    """IMP-9: what weighted events leave below zero is set to zero on request only, and said."""
    background = column("Background", ["{value: 5}", "{value: -0.5}"])
    result = imported(table(tmp_path / "t.yaml", RANGES, OBSERVED, background), negative="zero")
    assert result.bundle.search.processes[0].estimate.nominal.tolist() == [5, 0]
    assert any("-0.5 events in 1 row set to zero" in note for note in result.notes)


def test_density(tmp_path: Path) -> None:
    """IMP-9: events per width are events where every bin has that width."""
    observed = column("Data / 100 GeV", ["{value: 12}", "{value: 3}"])
    even = ["{low: 100, high: 200}", "{low: 200, high: 300}"]
    assert imported(table(tmp_path / "a.yaml", even, observed, BACKGROUND)).bundle.search.n_bins == 2
    with pytest.raises(InputError, match="per_bin"):
        imported(table(tmp_path / "b.yaml", RANGES, observed, BACKGROUND))
    per_bin = imported(tmp_path / "b.yaml", per_bin=True).bundle.search
    assert per_bin.observed.tolist() == [12, 3]


def matrix_text(entries: list[tuple[str, str, float]], name: str = "Covariance") -> str:
    x, y = ("".join(f"  - {{value: {row[k]}}}\n" for row in entries) for k in (0, 1))
    values = "".join(f"  - {{value: {row[2]}}}\n" for row in entries)
    return (
        f"dependent_variables:\n- header: {{name: {name}}}\n  values:\n{values}"
        f"independent_variables:\n- header: {{name: Bin}}\n  values:\n{x}- header: {{name: Bin}}\n  values:\n{y}"
    )


def submission(
    folder: Path, *tables: tuple[str, str], comment: str = "About 35.9 fb$^{-1}$ at 13 TeV."
) -> Path:
    folder.mkdir(exist_ok=True)
    parts = [f"comment: '{comment}'\ndata_license: {{name: cc0, url: x, description: y}}\n"]
    parts += [f"name: {name}\ndescription: none\ndata_file: {file}\n" for name, file in tables]
    (folder / "submission.yaml").write_text("---\n".join(parts))
    return folder


FULL = [("1", "1", 4.0), ("1", "2", 1.0), ("2", "1", 1.0), ("2", "2", 9.0)]


@pytest.mark.parametrize("entries", [FULL, [FULL[0], FULL[1], FULL[3]], FULL[::-1]])
def test_covariance_table(entries: list[tuple[str, str, float]], tmp_path: Path) -> None:
    """IMP-5: a full matrix or one triangle, in any order of its rows, is proposed by its size."""
    place = submission(tmp_path / "s", ("Yields", "t.yaml"), ("Matrix of covariances", "m.yaml"))
    table(place / "t.yaml", RANGES, OBSERVED, BACKGROUND)
    (place / "m.yaml").write_text(matrix_text(entries))
    search = read(place).bundle.search
    assert search.covariance is not None
    assert search.covariance.up.tolist() == [[4, 1], [1, 9]]
    assert (search.luminosity_fb, search.sqrt_s_tev, search.licence) == (35.9, 13.0, "cc0")


def joined(tmp_path: Path, *tables: tuple[str, str], **mapping: Any) -> Any:
    """A submission of tables by name with their texts."""
    place = submission(tmp_path / "s", *((name, f"t{i}.yaml") for i, (name, _) in enumerate(tables)))
    for i, (_, text) in enumerate(tables):
        (place / f"t{i}.yaml").write_text(text)
    return imported(place, **mapping)


def written(x: list[str], *dependent: str, axis: str = "MET", units: str = "GeV") -> str:
    parts = "dependent_variables:\n" + "".join(dependent)
    return parts + "independent_variables:\n" + column(axis, x, units)


def test_columns_of_several_tables(tmp_path: Path) -> None:
    """IMP-12: observed events and background in tables of their own, whose rows come in other orders, are put together."""
    background = column("Total background", ["{value: 4.25}", "{value: 10.5}"])
    error = column("Uncertainty", ["{value: 1.5}", "{value: 2}"])
    tables = (
        ("Observed", written(RANGES, OBSERVED)),
        ("Prediction", written(RANGES[::-1], background)),
        ("Errors", written(RANGES[::-1], error)),
    )
    result = joined(tmp_path, *tables)
    estimate = result.bundle.search.processes[0].estimate
    assert result.bundle.search.observed.tolist() == [12, 3]
    assert (estimate.nominal.tolist(), estimate.syst_up.tolist()) == ([10.5, 4.25], [0, 0])
    assert "tables 'Observed', 'Prediction': their columns are put together, rows by 'MET'" in result.notes
    assert "table 'Errors': not used" in result.notes
    names = ["Observed", "Prediction", "Errors"]
    three = joined(tmp_path, *tables, tables={"yields": names})
    assert three.bundle.search.processes[0].estimate.syst_down.tolist() == [2, 1.5]
    assert "column 'Uncertainty': uncertainty of background" in three.notes


def test_rows_of_several_tables(tmp_path: Path) -> None:
    """IMP-12: tables of the same columns give their rows; the table is named where nothing else tells them apart."""
    tables = [(name, written(RANGES, OBSERVED, BACKGROUND)) for name in ("SR A", "SR B")]
    search = joined(tmp_path, *tables, tables={"yields": ["SR A", "SR B"]}).bundle.search
    assert search.names == ("SR A, 100 to 200", "SR A, 200 to 400", "SR B, 100 to 200", "SR B, 200 to 400")
    assert search.observed.tolist() == [12, 3, 12, 3]
    further = ["{low: 400, high: 500}", "{low: 500, high: .inf}"]
    tables[1] = ("SR B", written(further, OBSERVED, BACKGROUND))
    search = joined(tmp_path, *tables, tables={"yields": ["SR A", "SR B"]}).bundle.search
    assert search.high[:, 0].tolist() == [200, 400, 500, np.inf]
    tables[1] = ("SR B", written(further, OBSERVED))
    with pytest.raises(
        InputError, match="neither the same rows nor the same columns; .*'SR B': 2 rows by 'MET'"
    ):
        joined(tmp_path, *tables, tables={"yields": ["SR A", "SR B"]})


def test_bins_in_a_table_of_their_own(tmp_path: Path) -> None:
    """IMP-12: ranges from a table that numbers the bins, in whatever order."""
    numbers = ["{value: 1}", "{value: 2}"]
    met = column("MET", ["{value: '> 400'}", "{value: 200-400}"], "GeV")
    njet = column("Number of jets", ["{value: 4+}", "{value: '2-3'}"])
    tables = (
        ("Yields", written(numbers, OBSERVED, BACKGROUND, axis="Bin", units="")),
        ("Definition", written(numbers[::-1], met, njet, axis="Bin", units="")),
    )
    search = joined(tmp_path, *tables, tables={"bins": "Definition"}).bundle.search
    assert [(o.name, o.discrete) for o in search.observables] == [("met", False), ("numberofjets", True)]
    assert search.low.tolist() == [[200, 2], [400, 4]]
    assert search.high.tolist() == [[400, 3], [np.inf, np.inf]]
    with pytest.raises(InputError, match="of the bins has 1 row; 'Yields' has 2"):
        short = ("Definition", written(["{value: 1}"], column("MET", ["{value: 1-2}"])))
        joined(tmp_path, tables[0], short, tables={"bins": "Definition"})


@pytest.mark.parametrize(
    ("columns", "given", "expected"),
    [
        ([column("Background uncertainty", ["{value: 2}", "{value: 1}"])], {}, ([2, 1], [2, 1])),
        ([column("Background uncertainty", ["{value: 20}", "{value: 10}"], "%")], {}, ([2.1, 0.425], [2.1, 0.425])),
        (
            [column("Error up", ["{value: 2}", "{value: 1}"]), column("Error down", ["{value: -1}", "{value: 0.5}"])],
            {},
            ([2, 1], [1, 0.5]),
        ),
        ([column("delta", ["{value: 2}", "{value: 1}"])], {"error": "delta"}, ([2, 1], [2, 1])),
        ([column("Signal uncertainty", ["{value: 2}", "{value: 1}"])], {}, ([0, 0], [0, 0])),
    ],
)  # fmt: skip
def test_uncertainties_in_columns(columns: list[str], given: Any, expected: Any, tmp_path: Path) -> None:
    """IMP-12: the uncertainty of a background that has none of its own, in events or per cent."""
    background = column("Background", ["{value: 10.5}", "{value: 4.25}"])
    path = table(tmp_path / "t.yaml", RANGES, OBSERVED, background, *columns)
    found = sides(imported(path, columns=given).bundle.search)
    assert found["syst_up"] == pytest.approx(expected[0])
    assert found["syst_down"] == pytest.approx(expected[1])


def test_columns_told_apart_by_qualifiers(tmp_path: Path) -> None:
    """IMP-12: columns of one name bear what their qualifiers differ in."""
    text = "- header: {{name: Events}}\n  qualifiers: [{{name: Type, value: '{}'}}, {{name: L, value: x}}]\n  values: [{{value: {}}}, {{value: 3}}]\n"
    path = table(tmp_path / "t.yaml", RANGES, text.format("Data", 12), text.format("Total SM", 10))
    result = imported(path)
    assert result.bundle.search.observed.tolist() == [12, 3]
    assert any("column 'Events (Total SM)': background" in note for note in result.notes)


def test_all_faults_at_once(tmp_path: Path) -> None:
    """IMP-2: wrong counts, backgrounds and bins of a table stand in one report."""
    observed = column("Observed", ["{value: 1.5}", "{value: 3}"])
    background = column("Background", ["{value: -1}", "{value: 4}"])
    path = table(tmp_path / "t.yaml", ["{low: -.inf, high: 200}", RANGES[1]], observed, background)
    path.write_text(path.read_text().replace("MET", "BDT"))
    with pytest.raises(InputError, match="3 faults: .*minus infinity.*observed is 1.5 in row 1.*-1 in row 1"):
        imported(path)


def test_cuts_in_names(tmp_path: Path) -> None:
    """IMP-10: ranges from cuts in LaTeX; regions that overlap by them stay names and are not merged."""
    words = [
        r"{value: '$\geq4$ jets, $250<E_{T}^{miss}<350$ GeV'}",
        "{value: '$2$ jets, $E^{miss}_{T}>250$ GeV'}",
    ]
    search = imported(table(tmp_path / "a.yaml", words, OBSERVED, BACKGROUND)).bundle.search
    assert [o.name for o in search.observables] == ["njet", "met"]
    assert (search.low.tolist(), search.high.tolist()) == ([[4, 250], [2, 250]], [[np.inf, 350], [2, np.inf]])
    words[1] = words[1].replace("$2$", "$5$")
    result = imported(table(tmp_path / "b.yaml", words, OBSERVED, BACKGROUND))
    search = result.bundle.search
    assert (search.observables, search.names[1]) == ((), "$5$ jets, $E^{miss}_{T}>250$ GeV")
    assert search.combinable is not None
    assert search.combinable.tolist() == [[True, False], [False, True]]
    assert any("share events by their cuts" in note for note in result.notes)


def test_covariance_of_one_column_per_bin(tmp_path: Path) -> None:
    """IMP-5: a table with a column per bin, by name in any order; of several matrices the one that is named."""
    names = ["{value: a}", "{value: b}"]
    matrix = written(
        names,
        column("b", ["{value: 1}", "{value: 9}"]),
        column("a", ["{value: 4}", "{value: 1}"]),
        axis="Bin",
        units="",
    )
    yields = ("Yields", written(names, OBSERVED, BACKGROUND, axis="Region", units=""))
    search = joined(tmp_path, yields, ("Covariance matrix", matrix)).bundle.search
    assert search.covariance is not None
    assert search.covariance.up.tolist() == [[4, 1], [1, 9]]
    two = matrix_text(FULL) + ""
    two = two.replace(
        "independent_variables",
        column("other", [f"{{value: {v}}}" for v in (1, 0, 0, 1)]) + "independent_variables",
    )
    numbered = ("Yields", written(RANGES, OBSERVED, BACKGROUND))
    assert joined(tmp_path, numbered, ("Covariance", two)).bundle.search.covariance.up.tolist() == [
        [4, 1],
        [1, 9],
    ]
    other = joined(tmp_path, numbered, ("Covariance", two), columns={"covariance": "other"})
    assert other.bundle.search.covariance.up.tolist() == [[1, 0], [0, 1]]
    with pytest.raises(
        InputError,
        match='has 2 columns .*say which is the covariance with a mapping, {"columns": {"covariance"',
    ):
        joined(tmp_path, numbered, ("Covariance", two.replace("name: Covariance", "name: some")))


def test_correlation_table(tmp_path: Path) -> None:
    """IMP-5: correlations with the errors of the table: 0.5 x 2 x 4 = 4."""
    place = submission(tmp_path / "s", ("Yields", "t.yaml"), ("Correlation matrix", "m.yaml"))
    background = column(
        "Background", ["{value: 10, errors: [{symerror: 2}]}", "{value: 20, errors: [{symerror: 4}]}"]
    )
    table(place / "t.yaml", RANGES, OBSERVED, background)
    entries = [("1", "1", 1.0), ("1", "2", 0.5), ("2", "2", 1.0)]
    (place / "m.yaml").write_text(matrix_text(entries, "Correlation"))
    covariance = read(place).bundle.search.covariance
    assert covariance is not None
    assert covariance.up.tolist() == [[4, 4], [4, 16]]


@pytest.mark.parametrize(
    ("comment", "value"),
    [
        ("of 35.9 fb$^{-1}$ of data", 35.9),
        (r"luminosity of $138\,\text{fb}^{-1}$", 138.0),
        (r"2.3\fbinv. No excess", 2.3),
        (r"139~fb$^{-1}$", 139.0),
        (r"$20.3\,\mathrm{fb}^{-1}$", 20.3),
        ("36.1 fb-1, above 0.5 fb at 95% CL", 36.1),
        ("cross sections above 0.5 fb are excluded", None),
        ("36.1 fb$^{-1}$ and 139 fb$^{-1}$", None),
    ],
)
def test_luminosity_of_a_text(comment: str, value: float | None, tmp_path: Path) -> None:
    """IMP-10: an inverse femtobarn counts, a cross section does not, and two luminosities are none."""
    place = submission(tmp_path / "s", ("Yields", "t.yaml"), comment=comment)
    table(place / "t.yaml", RANGES, OBSERVED, BACKGROUND)
    if value is None:
        with pytest.raises(InputError, match="--luminosity"):
            read(place)
    else:
        assert read(place).bundle.search.luminosity_fb == value


def test_energy_of_a_text(tmp_path: Path) -> None:
    """IMP-10: a mass in TeV is no energy."""
    text = r"36.1 fb$^{-1}$ at $\sqrt{s}=8\,\text{TeV}$; masses below 1.5 TeV"
    place = submission(tmp_path / "s", ("Yields", "t.yaml"), comment=text)
    table(place / "t.yaml", RANGES, OBSERVED, BACKGROUND)
    assert read(place).bundle.search.sqrt_s_tev == 8.0


@pytest.mark.parametrize(
    "name", ["Total background", "Total SM", "SM total", "Background", "Expected background", "Sum of backgrounds", "SM prediction", "Total Bkg.", "Expected events"]
)  # fmt: skip
def test_names_of_totals(name: str, tmp_path: Path) -> None:
    """IMP-3: the names that totals have."""
    background = column(name, ["{value: 10}", "{value: 4}"])
    other = column("W+jets", ["{value: 5}", "{value: 2}"])
    path = table(tmp_path / "t.yaml", RANGES, OBSERVED, other, background)
    assert imported(path).bundle.search.processes[0].estimate.nominal.tolist() == [10, 4]


def test_texts_are_printable(tmp_path: Path) -> None:
    """IMP-2: what does not print is escaped in notes and texts."""
    place = submission(tmp_path / "s", ("Yields", "t.yaml"))
    unused = column("x", ["{value: 1}", "{value: 1}"])
    table(place / "t.yaml", RANGES, OBSERVED, BACKGROUND, unused.replace("'x'", '"x\\u202ey"'))
    result = read(place)
    assert all(note.isprintable() for note in result.notes)
    assert any("\\u202e" in note for note in result.notes)


def test_inspect(tmp_path: Path) -> None:
    """IMP-3: every table with its columns, what it looks like and why; a broken one does not hide the others."""
    place = submission(
        tmp_path / "s",
        ("Yields", "t.yaml"),
        ("Covariance", "m.yaml"),
        ("Limits", "l.yaml"),
        ("Draft", "d.yaml"),
    )
    table(place / "t.yaml", RANGES, OBSERVED, BACKGROUND)
    table(place / "l.yaml", RANGES, column("Observed limit", ["{value: 1.5}", "{value: 2.5}"], "pb"))
    (place / "m.yaml").write_text(matrix_text(FULL))
    (place / "d.yaml").write_text("dependent_variables:\n- header: [\n")
    found = {summary.name: summary for summary in inspect(place)}
    roles = {name: summary.role for name, summary in found.items()}
    assert roles == {
        "Yields": "yields",
        "Covariance": "covariance",
        "Limits": "other",
        "Draft": "unreadable",
    }
    assert found["Yields"].columns == ("MET", "Observed", "Total background")
    assert "d.yaml:" in found["Draft"].reason
    assert read(place).bundle.search.n_bins == 2


def test_exported_json(tmp_path: Path) -> None:
    """IMP-9: the JSON of hepdata.net, whose cells are texts, is the same table."""
    rows = [
        {
            "x": [{"low": "100", "high": "200"}],
            "y": [{"value": "12", "errors": []}, {"value": "10.5", "errors": [e]}],
        }
        for e in [{"symerror": "2.0", "label": "stat"}]
    ]
    rows.append({"x": [{"low": "200", "high": "400"}], "y": [{"value": "3"}, {"value": "4.25"}]})
    content = {
        "name": "Table 1",
        "description": "",
        "headers": [{"name": "MET [GEV]", "colspan": 1}, {"name": "Data"}, {"name": "Total SM"}],
        "qualifiers": {"SQRT(S)": [{"group": 0, "value": "8000.0 GeV"}]},
        "values": rows,
    }
    (tmp_path / "t.json").write_text(json.dumps(content))
    search = imported(tmp_path / "t.json").bundle.search
    assert (search.observed.tolist(), search.sqrt_s_tev) == ([12, 3], 8.0)
    assert sides(search)["stat_up"] == [2, 0]
    assert search.high[:, 0].tolist() == [200, 400]


OLD = """*dataset:
*location: Figure 1
*dscomment: Last bin includes overflow
*qual: . : data : background
*qual: SQRT(S) IN GEV : 8000.0
*yheader: EVENTS / 30 GEV
*xheader: MCT IN GEV
*data: x : y : y
 100.0 TO 130.0; 12 +4.2,-3.1; 10.5 +- 2.5;
 145 (BIN=130 TO 160); 0 +1.1,-0.0; 4.25 +1.5,-1.25 (DSYS=+0.5,-0.25:JES,DSYS=2:JER);
*dataend:
*dataset:
*location: Limits
*yheader: CROSS SECTION IN PB
*data: x : y
 100; 1.5;
*dataend:
"""


def test_old_input(tmp_path: Path) -> None:
    """IMP-9: both ways to write a range and an error, named systematics, and yields told from limits."""
    path = tmp_path / "record.hep.dat"
    path.write_text(OLD)
    search = imported(path).bundle.search
    assert (search.observed.tolist(), search.sqrt_s_tev) == ([12, 0], 8.0)
    assert (search.low[:, 0].tolist(), search.high[:, 0].tolist()) == ([100, 130], [130, 160])
    found = sides(search)
    assert found["syst_up"][0] == found["syst_down"][0] == 2.5
    assert (found["stat_up"][1], found["stat_down"][1]) == (1.5, 1.25)
    assert found["syst_up"][1] == pytest.approx(np.hypot(0.5, 2.0), rel=1e-12)
    assert found["syst_down"][1] == pytest.approx(np.hypot(0.25, 2.0), rel=1e-12)


def test_postfit_needs_a_word(tmp_path: Path) -> None:
    """IMP-9: backgrounds after a fit are taken when the mapping says so."""
    place = submission(tmp_path / "s", ("Post-fit yields", "t.yaml"))
    text = (
        (place / "submission.yaml").read_text().replace("description: none", "description: post-fit yields")
    )
    (place / "submission.yaml").write_text(text)
    table(place / "t.yaml", RANGES, OBSERVED, BACKGROUND)
    with pytest.raises(InputError, match="use them twice"):
        read(place)
    assert imported(place, postfit=True).bundle.search.n_bins == 2


def test_yaml_constructs_nothing(tmp_path: Path) -> None:
    """IMP-7: a tag that would call a function is text, and aliases do not multiply."""
    marker = tmp_path / "made"
    tag = f"!!python/object/apply:os.system ['touch {marker}']"
    path = table(
        tmp_path / "t.yaml", RANGES, column("Observed", ["{value: 1}", f"{{value: {tag}}}"]), BACKGROUND
    )
    with pytest.raises(InputError):
        imported(path)
    assert not marker.exists()
    errors = ", ".join(["{symerror: 1}"] * 300)
    many = column("Background", [f"{{value: 1, errors: [{errors}]}}"] * 2)
    with pytest.raises(InputError, match="at most 200"):
        imported(table(tmp_path / "m.yaml", RANGES, OBSERVED, many))
    (tmp_path / "deep.yaml").write_text("dependent_variables: " + "[" * 100_000)
    with pytest.raises(InputError, match="not valid YAML"):
        imported(tmp_path / "deep.yaml")


def test_hepdata_lib_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IMP-9: what hepdata_lib writes is imported with the same numbers."""
    monkeypatch.chdir(tmp_path)  # where hepdata_lib leaves its archive
    lib = pytest.importorskip("hepdata_lib")
    record = lib.Submission()
    record.comment = "A search with 137 fb$^{-1}$"
    yields = lib.Table("Signal region yields")
    yields.description, yields.location, yields.keywords["observables"] = "Yields", "Table 1", ["N"]
    edges = [(200.0, 300.0), (300.0, 500.0), (500.0, 1000.0)]
    axis = lib.Variable("MET", is_independent=True, is_binned=True, units="GeV")
    axis.values = edges
    data = lib.Variable("Data", is_independent=False, is_binned=False)
    data.values = [120, 33, 7]
    background = lib.Variable("Total background", is_independent=False, is_binned=False)
    background.values = [110.5, 40.25, 5.125]
    statistical = lib.Uncertainty("stat", is_symmetric=True)
    statistical.values = [3.5, 2.25, 1.125]
    systematic = lib.Uncertainty("syst", is_symmetric=False)
    systematic.values = [(-8.5, 9.5), (-4.25, 5.5), (-1.0, 1.25)]
    background.add_uncertainty(statistical)
    background.add_uncertainty(systematic)
    for variable in (axis, data, background):
        yields.add_variable(variable)
    record.add_table(yields)
    matrix = [[144.0, 20.0, 2.0], [20.0, 36.0, 1.0], [2.0, 1.0, 4.0]]
    covariance = lib.Table("Covariance matrix")
    covariance.description, covariance.location, covariance.keywords["observables"] = (
        "Cov",
        "Table 2",
        ["COV"],
    )
    first, second = (
        lib.Variable(name, is_independent=True, is_binned=True, units="GeV") for name in ("MET 1", "MET 2")
    )
    entries = lib.Variable("Covariance", is_independent=False, is_binned=False)
    first.values = [edges[i] for i in range(3) for _ in range(3)]
    second.values = [edges[j] for _ in range(3) for j in range(3)]
    entries.values = [matrix[i][j] for i in range(3) for j in range(3)]
    for variable in (first, second, entries):
        covariance.add_variable(variable)
    record.add_table(covariance)
    out = tmp_path / "out"
    record.create_files(str(out), validate=False, remove_old=True)
    for path in (out, tmp_path / "submission.tar.gz"):
        search = read(path).bundle.search
        assert search.luminosity_fb == 137.0
        assert search.observed.tolist() == [120, 33, 7]
        assert [*zip(search.low[:, 0], search.high[:, 0], strict=True)] == edges
        assert search.processes[0].estimate.nominal.tolist() == [110.5, 40.25, 5.125]
        assert sides(search) == {
            "stat_up": [3.5, 2.25, 1.125],
            "stat_down": [3.5, 2.25, 1.125],
            "syst_up": [9.5, 5.5, 1.25],
            "syst_down": [8.5, 4.25, 1.0],
        }
        assert search.covariance is not None
        assert search.covariance.up.tolist() == matrix


def test_tables_are_values(tmp_path: Path) -> None:
    """IMP-9: a folder without submission.yaml is its tables; a table knows its rows."""
    table(tmp_path / "t.yaml", RANGES, OBSERVED, BACKGROUND)
    record = read_submission(Source.at(tmp_path))
    assert [t.n_rows for t in record.tables] == [2]
    assert read_tables(Source.at(tmp_path / "t.yaml"))[0].dependent[0].values[0].number == 12


@pytest.mark.parametrize(
    ("qualifier", "expected"),
    [
        ("{name: Luminosity, value: 35900, units: PB**-1}", 35.9),
        ("{name: Integrated luminosity, value: '137', units: 'fb$^{-1}$'}", 137),
        ("{name: LUMINOSITY, value: 4.98 fb-1}", 4.98),
    ],
)
def test_units_of_the_luminosity(qualifier: str, expected: float, tmp_path: Path) -> None:
    """IMP-10: inverse femtobarns or picobarns, in the spellings of HEPData."""
    observed = OBSERVED.replace("- header:", f"- qualifiers: [{qualifier}]\n  header:")
    path = table(tmp_path / "t.yaml", RANGES, observed, BACKGROUND)
    assert read(path).bundle.search.luminosity_fb == pytest.approx(expected, rel=1e-12)


def test_uncertainties_that_may_be_forgotten(tmp_path: Path) -> None:
    """IMP-12: several columns of uncertainties are not left out in silence; a list adds them in quadrature, relative ones are parts."""
    background = column("Background", ["{value: 20}", "{value: 40}"])
    stat = column("Background stat uncertainty", ["{value: 3}", "{value: 4}"])
    syst = column("Background syst uncertainty", ["{value: 20}", "{value: 7.5}"], "%")
    path = table(tmp_path / "t.yaml", RANGES, OBSERVED, background, stat, syst)
    with pytest.raises(InputError, match="may be the uncertainty of the background"):
        imported(path)
    both = ["Background stat uncertainty", "Background syst uncertainty"]
    assert sides(imported(path, columns={"error": both}).bundle.search)["syst_up"] == pytest.approx([5, 5])
    assert sides(imported(path, columns={"error": []}).bundle.search)["syst_up"] == [0, 0]
    relative = column("Relative background uncertainty", ["{value: 0.1}", "{value: 0.2}"])
    found = imported(table(tmp_path / "u.yaml", RANGES, OBSERVED, background, relative)).bundle.search
    assert sides(found)["syst_down"] == pytest.approx([2, 8])
    percent = column("Relative background uncertainty", ["{value: 10}", "{value: 0.2}"])
    with pytest.raises(InputError, match="relative and above 1"):
        imported(table(tmp_path / "v.yaml", RANGES, OBSERVED, background, percent))


def test_relative_covariance(tmp_path: Path) -> None:
    """IMP-5: a matrix of relative shifts is refused; one that is not complete is named as not used."""
    yields = ("Yields", written(RANGES, OBSERVED, BACKGROUND))
    with pytest.raises(InputError, match="multiply every entry by the backgrounds"):
        joined(tmp_path, yields, ("Matrix", matrix_text(FULL, "Relative covariance")))
    result = joined(tmp_path, yields, ("Covariance", matrix_text([FULL[0], FULL[3]])))
    assert result.bundle.search.covariance is None
    assert any("looks like a matrix, but 2 rows hold neither all pairs" in note for note in result.notes)


def test_open_ranges_only(tmp_path: Path) -> None:
    """IMP-10: bins that are all open above overlap, and are refused without a warning of NumPy."""
    x = ["{low: 100, high: .inf}", "{low: 200, high: .inf}"]
    with pytest.raises(InputError, match="bin 1 and bin 2 of search 't' overlap"):
        imported(table(tmp_path / "t.yaml", x, OBSERVED, BACKGROUND))
