"""``superbin scan``: what a physicist types, on a small search and a made-up grid."""

import dataclasses
import json
import re
import shlex
import sqlite3
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import pytest

from superbin.cli import main
from superbin.cli.scan import scan
from superbin.domain.grid import SignalGrid
from superbin.domain.search import Search
from superbin.io.grids import read_grid, write_grid
from superbin.results.scan import load_scan, scan_from_json
from superbin.store import Store

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """Nine points in the bins of the small search."""
    points = np.array([(m, d) for m in (1000.0, 1200.0, 1400.0) for d in (1.0, 300.0, 600.0)])
    efficiency = (points[:, 0] - points[:, 1])[:, None] / 5e3 * np.array([1.0, 2.0, 3.0, 1.0]) / 10
    made = SignalGrid(
        "T1xxxx",
        "small",
        ("m_mother", "m_lsp"),
        points,
        efficiency,
        0.05 * efficiency,
        np.full(9, 5000),
        "gluino",
        "made up",
    )
    path = tmp_path / "grid.csv"
    write_grid(made, path)
    return path


@pytest.fixture
def run(tmp_path: Path, small_search: Search, grid: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Scan the grid with options, in this process unless told otherwise."""
    database = tmp_path / "s.sqlite"
    with Store(database) as store:
        store.add_search(small_search)

    def call(*options: str, processes: bool = True) -> tuple[int, str, str]:
        given = ["scan", "T1xxxx", "--search", "small", "--database", str(database)]
        if not {"--grid", "--stored"} & set(options):
            given += ["--grid", str(grid)]
        if processes:
            given += ["--processes", "1"]
        with pytest.raises(SystemExit) as stop:
            main([*given, *options])
        caught = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, caught.out, caught.err

    return call


def test_document(run: Run) -> None:
    """SCAN-16: --json prints the document alone on stdout; progress is on stderr."""
    code, out, err = run("--json")
    assert code == 0
    result = scan_from_json(out)
    assert [tuple(p.parameters.values()) for p in result.points] == [
        (m, d) for m in (1000, 1200, 1400) for d in (1, 300, 600)
    ]
    document = json.loads(out)
    assert {"parameters", "bins", "expected", "observed", "status"} <= document["points"][0].keys()
    assert "9/9 points" in err
    assert run("--json", "--quiet") == (0, out, "")


@pytest.fixture
def sleptons(grid: Path, tmp_path: Path) -> Path:
    """The same grid, of a model for which the package has no cross sections."""
    path = tmp_path / "sleptons.csv"
    write_grid(dataclasses.replace(read_grid(grid), process="slepton"), path)
    return path


def test_without_cross_sections(run: Run, sleptons: Path, tmp_path: Path) -> None:
    """SCAN-21: a model without a table is refused before anything is computed or stored, and the text says the cure."""
    code, out, err = run("--grid", str(sleptons), "-o", str(tmp_path / "out"))
    assert (code, out) == (2, "")
    assert "no table of cross sections for 'slepton' pairs" in err
    assert "--cross-sections" in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()
    with Store(tmp_path / "s.sqlite") as store:
        assert store.scans() == ()


def test_cross_sections_of_ones_own(
    run: Run, sleptons: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SCAN-8, SCAN-21: limits on the cross section do not depend on the one assumed, nothing stored for another table is
    taken, and the printed command gives the same analysis.
    """
    results = []
    for name, scale in (("one", 1.0), ("two", 0.5)):
        table = tmp_path / f"{name}.csv"
        table.write_text(
            f"mass_GeV,cross_section_pb,uncertainty_pb\n1000,{0.04 * scale},0.004\n1400,{0.01 * scale},0.002\n"
        )
        code, out, err = run(
            "--grid", str(sleptons), "--cross-sections", str(table), "--json", "--correlations", "none"
        )
        assert code == 0, err
        assert "from before" not in err
        results.append(scan_from_json(out))
    for one, two in zip(results[0].points, results[1].points, strict=True):
        assert one.cross_section_pb == pytest.approx(2 * (two.cross_section_pb or 0), rel=1e-12)
        assert one.cross_section_error == pytest.approx((two.cross_section_error or 0) / 2, rel=1e-12)
        assert one.yields != two.yields
    at_1200 = [p.cross_section_pb for p in results[0].points if p.parameters["m_mother"] == 1200]
    assert at_1200 == pytest.approx([0.02] * 3, rel=1e-12)
    code, out, err = run(
        "--grid", str(sleptons), "--cross-sections", str(tmp_path / "one.csv"), "--correlations", "none"
    )
    assert code == 0
    assert "9 from before" in err
    commands = [shlex.split(line) for line in out.splitlines() if line.strip().startswith("superbin run")]
    command = next(words for words in commands if words[3:5] == ["1200", "300"])
    assert float(command[command.index("--cross-section") + 1]) == at_1200[0]
    command[-1] = str(tmp_path / "run")
    with pytest.raises(SystemExit) as stop:
        main([*command[1:], "--toys", "0", "--no-figures", "--no-pdf"])
    assert stop.value.code == 0
    capsys.readouterr()
    analysis = json.loads((tmp_path / "run" / "result.json").read_text(encoding="utf-8"))
    point = next(p for p in results[0].points if tuple(p.parameters.values()) == (1200, 300))
    assert analysis["merge"]["bins"] == list(point.bins)
    assert point.yields is not None
    assert analysis["yields"]["signal"] == pytest.approx(point.yields.signal, rel=1e-12)


def test_quick_look_then_all(run: Run) -> None:
    """SCAN-16: --max-points takes a few that are spread, and the whole scan takes them over."""
    code, out, _ = run("--max-points", "4", "--json")
    assert code == 0
    few = scan_from_json(out)
    corners = {(1000, 1), (1000, 600), (1400, 1), (1400, 600)}
    assert {tuple(p.parameters.values()) for p in few.points} == corners
    _, out, err = run("--json")
    assert "4 from before" in err
    everything = {tuple(p.parameters.values()): p for p in scan_from_json(out).points}
    assert all(everything[tuple(p.parameters.values())] == p for p in few.points)


def test_table(run: Run, grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SCAN-17: the most discrepant points first, each with its bins and a command that gives the same analysis."""
    _, out, _ = run("--json", "--correlations", "none")
    result = scan_from_json(out)
    _, out, _ = run("--correlations", "none")
    assert "(Z is local, of 9 points)" in out
    by_z = sorted(result.points, key=lambda p: -(p.observed.z or 0) if p.observed else 0)
    commands = [line.strip() for line in out.splitlines() if line.strip().startswith("superbin run")]
    assert len(commands) == 9
    masses = " ".join(f"{value:g}" for value in by_z[0].parameters.values())
    options = f"--grid {shlex.quote(str(grid))} --search small --correlations none --database"
    assert commands[0].startswith(f"superbin run T1xxxx {masses} {options}")
    assert f"bins {', '.join(map(str, by_z[0].bins))}" in out
    words = shlex.split(commands[0])[1:]
    words[-1] = str(tmp_path / words[-1])
    with pytest.raises(SystemExit) as stop:
        main([*words, "--toys", "0", "--no-figures", "--no-pdf"])
    assert stop.value.code == 0
    capsys.readouterr()
    analysis = json.loads((Path(words[-1]) / "result.json").read_text(encoding="utf-8"))
    assert analysis["merge"]["bins"] == list(by_z[0].bins)
    assert by_z[0].observed is not None
    assert analysis["observed"]["midp"]["z"] == pytest.approx(by_z[0].observed.z, rel=1e-12)


def test_points_between(run: Run, tmp_path: Path) -> None:
    """SCAN-16: masses from a file are interpolated, those outside fail with their reason."""
    points = tmp_path / "points.txt"
    points.write_text("m_mother,m_lsp\n# mother, lsp\n1100, 150\n1300 200  # between\n\n3000,1\n")
    code, out, err = run("--points", str(points))
    assert code == 2
    assert err.splitlines()[-1] == (
        "superbin: error: 1 of 3 points failed, each for the reason given with it; the others are kept"
    )
    # A point that is refused at once is no measure of how fast the others are computed.
    assert err.splitlines()[0] == f"superbin: [{'#' * 10}{'.' * 20}] 1/3 points, 1 failed"
    assert "2 points, 1 failed" in out
    assert "Failed points\n  m_mother 3000, m_lsp 1: " in out
    assert "--retry-failed" not in out


def test_every_point_failed(run: Run, tmp_path: Path) -> None:
    """SCAN-4, FIG-20: the document says why, no map is drawn, and the code says it too, with each form of output."""
    points, folder = tmp_path / "points.txt", tmp_path / "out"
    points.write_text("3000 1\n3100 1\n")
    for _ in range(2):  # computed, and stored
        code, out, err = run("--points", str(points), "-o", str(folder), "--force", "--quiet")
        assert code == 2
        assert err == (
            "superbin: no figures are drawn: no point is finished\n"
            "superbin: error: 2 of 2 points failed, each for the reason given with it; the others are kept\n"
        )
        assert "0 points, 2 failed" in out
        assert sorted(path.name for path in folder.iterdir()) == ["report.html", "scan.json"]
        assert [p.status for p in load_scan(folder / "scan.json").points] == ["failed"] * 2
    code, out, _ = run("--points", str(points), "--json", "--quiet")
    assert code == 2
    assert [p.status for p in scan_from_json(out).points] == ["failed"] * 2


def test_failures_that_may_pass(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """SCAN-11: to compute again is advised only where that can help, and then it does."""

    def strike(*_: object, **__: object) -> None:
        raise MemoryError("none left")

    with monkeypatch.context() as patch:
        patch.setattr("superbin.merge.optimize", strike)
        code, out, _ = run("--max-points", "2")
    assert code == 2
    assert "internal error: MemoryError: none left" in out
    assert "compute them again with --retry-failed" in out
    assert run("--max-points", "2")[0] == 2
    code, out, _ = run("--max-points", "2", "--retry-failed")
    assert code == 0
    assert "failed" not in out


def test_columns_are_apart(run: Run, tmp_path: Path) -> None:
    """SCAN-17: whatever numbers are in them, so that a table can be cut at blanks."""
    points = tmp_path / "points.txt"
    points.write_text("1100.00000000001 150.0000000001\n1300.123456789012 200\n1200 300\n")
    code, out, _ = run("--points", str(points))
    assert code == 0
    lines = out.splitlines()
    start = next(i for i, line in enumerate(lines) if "background" in line)
    head = re.split(r" {2,}", lines[start].strip())
    rows = [re.split(r" {2,}", lines[start + 1 + 3 * i].strip()) for i in range(3)]
    assert head[:4] == ["m_mother", "m_lsp", "Z obs", "Z exp"]
    assert [len(row) for row in rows] == [len(head)] * 3
    assert {tuple(map(float, row[:2])) for row in rows} == {
        (1100.00000000001, 150.0000000001),
        (1300.123456789012, 200.0),
        (1200.0, 300.0),
    }
    assert len({len(lines[start + 3 * i + 1]) for i in range(3)} | {len(lines[start])}) == 1


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("1100, x", r"points\.txt:1: '1100, x' is not a list of masses"),
        ("1100 1\nnan 1\n", r"points\.txt:2: 'nan 1' is not a list of masses: 'nan' is not a finite number"),
        ("1100, -inf\n", r"points\.txt:1: .*'-inf' is not a finite number"),
        ("# nothing\n", r"points\.txt holds no point"),
        ("1100\n", r"points\.txt:1: '1100' is 1 number for 2 masses"),
        ("1100, 1\n1100.0, 1\n", r"points\.txt:2: '1100.0, 1' is in line 1 already"),
        (None, r"points\.txt: cannot be read"),
    ],
)
@pytest.mark.parametrize("form", ["text", "json", "folder"])
def test_bad_points(run: Run, tmp_path: Path, content: str | None, text: str, form: str) -> None:
    """SCAN-15, SCAN-20: a file of masses that is none is one line with its place and exit code 2, whatever is to be written."""
    points = tmp_path / "points.txt"
    if content is not None:
        points.write_text(content)
    more = {"text": (), "json": ("--json",), "folder": ("-o", str(tmp_path / "out"))}[form]
    code, out, err = run("--points", str(points), *more)
    assert (code, out) == (2, "")
    assert err.startswith("superbin: error: ")
    assert len(err.splitlines()) == 1
    assert re.search(text, err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--workers", "2", "--scheduler", "tcp://x:1"), "--workers and --scheduler name different workers"),
        (("--stored", "--points", "x"), "--stored scans stored signals"),
        (("--stored", "--cross-sections", "x"), "--stored scans stored signals"),
        (("--cross-sections", "no-such-file.csv"), "no-such-file.csv: cannot be read"),
        (("--likelihood-limit",), "search 'small' has no likelihood"),
        (("--stored",), "model 'T1xxxx' has no signals"),
        (("--grid", "no-such-file.csv"), "no-such-file.csv"),
        (("--max-points", "0"), "0 is not in the range"),
    ],
)
def test_bad_options(run: Run, options: tuple[str, ...], text: str) -> None:
    """SCAN-15: options that do not fit are one line and exit code 2."""
    code, out, err = run(*options, processes=False)
    assert (code, out) == (2, "")
    assert text in err
    assert len(err.splitlines()) == 1


def test_grid_with_duplicates(run: Run, grid: Path, tmp_path: Path) -> None:
    """SCAN-15: a grid in which a point comes twice is refused with its place."""
    lines = grid.read_text().splitlines()
    broken = tmp_path / "broken.csv"
    broken.write_text("\n".join([*lines, lines[-1]]) + "\n")
    code, out, err = run("--grid", str(broken))
    assert (code, out) == (2, "")
    assert "broken.csv" in err


def test_interrupted(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SCAN-12: Ctrl-C is exit code 130, says what is stored where and how to continue, and leaves no folder."""

    def strike(_: object, text: str, **__: object) -> None:
        if "3/9 points" in text:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("superbin.cli.progress.ProgressLine.show", strike)
        code, out, err = run("-o", str(tmp_path / "out"), "--no-figures")
    assert (code, out) == (130, "")
    assert (
        f"3 of 9 points are stored in {tmp_path / 's.sqlite'}; run the same command again to continue" in err
    )
    assert not (tmp_path / "out").exists()
    connection = sqlite3.connect(tmp_path / "s.sqlite")
    assert connection.execute("SELECT COUNT(*) FROM scan_points").fetchone() == (3,)
    connection.close()
    code, _, err = run("-o", str(tmp_path / "out"), "--no-figures")
    assert code == 0
    assert "3 from before" in err
    assert len(load_scan(tmp_path / "out" / "scan.json").points) == 9


def test_folder(run: Run, tmp_path: Path) -> None:
    """SCAN-18: the folder holds the document and the maps; one with content is refused before anything is computed."""
    out = tmp_path / "out"
    code, text, _ = run("-o", str(out))
    assert code == 0
    assert f"written to {out}" in text
    assert load_scan(out / "scan.json").model == "T1xxxx"
    assert len(list((out / "maps").glob("*.pdf"))) == len(list((out / "maps").glob("*.png"))) > 0
    code, text, err = run("-o", str(out), "--fresh")
    assert (code, text) == (2, "")
    assert "exists and is not empty" in err
    assert "points" not in err
    assert run("-o", str(out), "--force", "--no-figures")[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["points", "report.html", "scan.json"]


def test_stored_signals(run: Run, tmp_path: Path, grid: Path) -> None:
    """SCAN-16: the signals of a model that a user imported are a grid as well."""
    with Store(tmp_path / "s.sqlite") as store:
        made = read_grid(grid)
        store.add_signals(
            [made.signal(p, luminosity_fb=10.0, cross_section=0.1) for p in made.points[:3].tolist()]
        )
    code, out, _ = run("--stored", "--json")
    assert code == 0
    assert len(scan_from_json(out).points) == 3
    _, text, _ = run("--stored")
    assert "superbin run T1xxxx 1000 1 --source table --search small" in text


def test_options_are_those_promised() -> None:
    """SCAN-16: no option disappears."""
    names = {name for p in scan.params if isinstance(p, click.Option) for name in p.opts}
    assert {
        "--grid",
        "--figure-of-merit",
        "--max-points",
        "--processes",
        "--workers",
        "--scheduler",
        "--likelihood-limit",
        "--json",
    } <= names


def test_beside_published_limits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SCAN-17, SCAN-22: the table has ratios to the published limits, and says over how many points they go."""
    with pytest.raises(SystemExit) as stop:
        main(
            [
                "scan",
                "T1tttt",
                "--max-points",
                "3",
                "--processes",
                "1",
                "--quiet",
                "--database",
                str(tmp_path / "s.sqlite"),
            ]
        )
    assert stop.value.code == 0
    out = capsys.readouterr().out
    said = re.search(
        r"^one bin over the published limits, median \(lowest to highest\): observed (\S+) \((\S+) to (\S+)\) at 2 points, expected ",
        out,
        re.MULTILINE,
    )
    assert said is not None
    assert float(said[2]) <= float(said[1]) <= float(said[3])
    assert re.search(r"mu95 exp +1bin/pub obs +1bin/pub exp$", out, re.MULTILINE)
    # Two points lie in the published maps; of the third, beyond them, nothing is said.
    rows = [line.split() for line in out.splitlines() if re.match(r" +\d+ +\d+ +-?\d", line)]
    assert sorted(row[-1] == "-" for row in rows) == [False, False, True]


def test_systematics_need_the_likelihood(run: Run) -> None:
    """SCAN-3: signal systematics are those of the full likelihood alone."""
    code, _, err = run("--systematics", "none")
    assert code == 2
    assert "give --likelihood-limit with it" in err
