"""Figures as files: names, formats, failures and reproducible bytes."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from superbin.errors import OutputError, UnknownNameError
from superbin.plot import figures, save
from superbin.results import AnalysisResult


@pytest.fixture
def figure() -> Figure:
    figure = Figure(figsize=(2, 2))
    figure.subplots().set_title(r"$\alpha$ and text")
    return figure


def test_every_figure_of_a_result(example_result: AnalysisResult) -> None:
    """FIG-15: one figure per observable and two of the count, by name."""
    drawn = figures(example_result)
    names = [
        "projection-njet",
        "projection-nb",
        "projection-mht",
        "projection-ht",
        "count-expected",
        "count-observed",
    ]
    assert list(drawn) == names
    assert len(drawn) == 6
    titles = {t.get_text() for ax in drawn["projection-ht"].axes for t in ax.texts}
    assert "Reinterpretation of CMS data" in titles
    legend = drawn["count-observed"].axes[0].get_legend()
    assert legend is not None
    assert legend.get_texts()[0].get_text() == "Observed n = 14"
    with pytest.raises(KeyError):
        drawn["another"]


def test_result_without_projections(example_result: AnalysisResult) -> None:
    """FIG-15: the figures of the count do not need projections."""
    assert list(figures(replace(example_result, projections=()))) == ["count-expected", "count-observed"]


def test_both_formats(figure: Figure, tmp_path: Path) -> None:
    """FIG-15: PDF and PNG beside each other; a dot in the name is part of the name."""
    written = save(figure, tmp_path / "a.1750")
    assert written == (tmp_path / "a.1750.pdf", tmp_path / "a.1750.png")
    assert written[0].read_bytes().startswith(b"%PDF")
    assert written[1].read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.1750.pdf", "a.1750.png"]


@pytest.mark.parametrize(("suffix", "start"), [("pdf", b"%PDF"), ("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_one_file_by_its_suffix(figure: Figure, tmp_path: Path, suffix: str, start: bytes) -> None:
    """FIG-15: a path with a known suffix names the one file to write."""
    (path,) = save(figure, tmp_path / f"figure.{suffix}")
    assert path == tmp_path / f"figure.{suffix}"
    assert path.read_bytes().startswith(start)


def test_unknown_format(figure: Figure, tmp_path: Path) -> None:
    """FIG-14: an unknown format is an error before anything is written."""
    with pytest.raises(UnknownNameError, match=r"figure format 'gif' is unknown; use one of pdf, png, svg"):
        save(figure, tmp_path / "figure", formats=("pdf", "gif"))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_missing_folder(figure: Figure, tmp_path: Path) -> None:
    """FIG-14: a place that cannot be written is an error that names it."""
    with pytest.raises(OutputError, match="cannot write .*no/figure.pdf"):
        save(figure, tmp_path / "no" / "figure")


def test_failure_leaves_the_old_file(figure: Figure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FIG-14: when drawing fails, what stood there stays, and nothing half-written is left."""
    (path,) = save(figure, tmp_path / "figure.png")
    before = path.read_bytes()

    def fail(*args: object, **kwargs: object) -> None:  # noqa: ARG001 - stands in for any call
        raise MemoryError

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(MemoryError):
        save(figure, path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["figure.png"]


def test_settings_are_restored(figure: Figure, tmp_path: Path) -> None:
    """FIG-13: saving leaves Matplotlib's settings as they were, and does not depend on them."""
    before = dict(mpl.rcParams)
    (plain,) = save(figure, tmp_path / "plain.png")
    assert dict(mpl.rcParams) == before
    with mpl.rc_context({"savefig.dpi": 30, "savefig.facecolor": "red", "savefig.bbox": "tight"}):
        (styled,) = save(figure, tmp_path / "styled.png")
    assert plain.read_bytes() == styled.read_bytes()


SCRIPT = """
from matplotlib.figure import Figure
from superbin.plot import save
figure = Figure(figsize=(2, 2))
ax = figure.subplots()
ax.set_title(r"$\\alpha$ and text")
ax.stairs([1, 2], [0, 1, 2], fill=True, hatch="//")
save(figure, {path!r})
"""


def test_same_bytes_in_another_process(tmp_path: Path) -> None:
    """FIG-14: no dates, no random names: two processes with different hash seeds write the same bytes."""
    for name, seed in (("a", "1"), ("b", "2")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        script = SCRIPT.format(path=str(tmp_path / name))
        subprocess.run([sys.executable, "-c", script], env=environment, check=True, timeout=120)
    for suffix in ("pdf", "png"):
        assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()
