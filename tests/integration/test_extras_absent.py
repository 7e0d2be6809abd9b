"""Without an extra, what needs it says so in one line; everything else works."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXTRAS = {
    "parquet": ("pyarrow",),
    "dask": ("dask", "distributed"),
    "mc": ("pythia8mc", "fastjet", "pyhepmc", "awkward"),
    "postgresql": ("psycopg",),
    "mariadb": ("pymysql",),
    "spey": ("spey",),
}

HIDDEN = """
import importlib.abc, sys

class Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""
"""A ``sitecustomize`` module, so that worker processes miss the packages, too."""


def without(names: tuple[str, ...], folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line where some packages cannot be imported."""
    hidden = folder.with_name(f"{folder.name}-hidden")
    hidden.mkdir(exist_ok=True)
    (hidden / "sitecustomize.py").write_text(HIDDEN.format(names=names), encoding="utf-8")
    path = os.pathsep.join(filter(None, (str(hidden), os.environ.get("PYTHONPATH"))))
    return subprocess.run(
        [sys.executable, "-m", "superbin", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("parquet", ["export", "bundle", "--to", "parquet", "-o", "table.parquet"]),
        ("dask", ["scan", "T1bbbb", "--workers", "2", "--max-points", "1"]),
        ("mc", ["signal", "generate", "T1bbbb", "1750", "1", "--events", "10"]),
        ("postgresql", ["db", "list", "--database", "postgresql://nobody@127.0.0.1:9/x"]),
        ("mariadb", ["db", "list", "--database", "mariadb://nobody@127.0.0.1:9/x"]),
    ],
)
def test_the_cure_is_named(extra: str, arguments: list[str], tmp_path: Path) -> None:
    """CLI-62: one line that names the extra to install, exit code 2, and nothing is written."""
    if extra == "parquet":
        done = without(EXTRAS[extra], tmp_path, "db", "template", "mine", "-o", "bundle")
        assert done.returncode == 0, done.stderr
    before = sorted(tmp_path.rglob("*"))
    done = without(EXTRAS[extra], tmp_path, *arguments)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"superbin[{extra}]" in done.stderr
    assert sorted(tmp_path.rglob("*")) == before


def test_the_main_job_needs_none(tmp_path: Path) -> None:
    """CLI-62: with no extra at all, a signal is analysed."""
    names = tuple(name for group in EXTRAS.values() for name in group)
    done = without(
        names,
        tmp_path,
        "run",
        "T1bbbb",
        "1750",
        "1",
        "-o",
        "out",
        "--no-figures",
        "--no-pdf",
        "--seconds",
        "0",
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/result.json").stat().st_size > 0
