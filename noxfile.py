#!/usr/bin/env -S uv run --script

# /// script
# dependencies = ["nox>=2024.4.15"]
# ///

"""Tasks of development: ``nox -l`` lists them, ``nox -s tests`` runs one.

``.ci/run`` is the gate of every landing and needs no nox; these sessions are its parts, and what it leaves to other machines.
"""

import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True

EXTRAS = (
    "dask",
    "distributed",
    "fastjet",
    "psycopg",
    "pyarrow",
    "pyhepmc",
    "pymysql",
    "pythia8mc",
    "spey",
)
"""Modules that only extras bring (awkward comes with uproot); the smoke test checks that none of them is there."""


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types and import contracts."""
    session.install("-e", ".[test]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests; arguments go to pytest."""
    session.install("-e", ".[test]")
    session.run("python", "-m", "pytest", "-n", "logical", "--dist", "loadfile", *session.posargs)


@nox.session(venv_backend="uv", default=False)
def oldest(session: nox.Session) -> None:
    """Run the unit tests with the oldest dependencies that pyproject.toml allows."""
    session.install("--resolution", "lowest-direct", "-e", ".[test]")
    session.run(
        "python", "-m", "pytest", "-n", "logical", "--dist", "loadfile", *(session.posargs or ["tests/unit"])
    )


@nox.session(default=False)
def docs(session: nox.Session) -> None:
    """Build the site; ``docs/_build/index.html`` is its first page."""
    session.install("-e", ".[docs]")
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", "docs", "docs/_build")


@nox.session(default=False, reuse_venv=False)
def smoke(session: nox.Session) -> None:
    """Build sdist and wheel, install the wheel alone, without extras, and do the main job with it."""
    dist = Path("dist").resolve()
    shutil.rmtree(dist, ignore_errors=True)
    session.install("build", "twine")
    session.run("python", "-m", "build", "--outdir", str(dist))
    session.run("twine", "check", "--strict", *map(str, sorted(dist.iterdir())))
    (wheel,) = dist.glob("*.whl")
    session.install(str(wheel))
    out = Path(session.create_tmp()).resolve()
    session.env["SUPERBIN_DATABASE"] = str(out / "superbin.sqlite")
    with session.chdir(out):
        absent = f"import importlib.util as u, sys; sys.exit(str([m for m in {EXTRAS!r} if u.find_spec(m)] or '') or 0)"
        session.run("python", "-c", absent)
        session.run("superbin", "--version")
        session.run("superbin", "pvalue", "40", "25", "5", "5")
        session.run("superbin", "run", "T1bbbb", "1750", "1", "-o", "out", "--force")
        session.run("python", "-m", "superbin", "plot", "out/result.json", "-o", "figures", "--force")


if __name__ == "__main__":
    nox.main()
