"""Public workspaces and cards written as HS3, loaded by ROOT: likelihoods at random points side by side.

    python validation/likelihood/hs3.py WORKSPACES_DIR CARDS_DIR [--only NAME ...] [-o FOLDER]

WORKSPACES_DIR and CARDS_DIR are the folders of `workspaces.py` and `combine.py`; a folder that does not exist is skipped, as is everything without
ROOT (``pip install --pre root``). Every likelihood is written by `superbin.likelihood.exports.hs3`, loaded by ``RooJSONFactoryWSTool`` in a process of
its own, and evaluated at random points about the initial values, up to one standard deviation. Compared are differences to the first point. Written are ``hs3.json`` and
``hs3.md``.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from superbin._support.files import write_text
from superbin.catalog import open_catalog
from superbin.errors import SuperbinError
from superbin.likelihood.counting import CountingLikelihood
from superbin.likelihood.engine import Engine
from superbin.likelihood.exports.hs3 import hs3_document
from superbin.likelihood.opening import open_file

Row = dict[str, Any]

HERE = Path(__file__).parent

PACKAGED = "cms-pas-sus-16-014 (packaged), T1bbbb(1750, 1)"

PATIENCE = 600
"""Seconds that ROOT may take for one likelihood."""

FAR = 100.0
"""Points whose NLL differs by more from the first are moved nearer: RooFit multiplies probabilities, which are zero below 1e-308 in a single bin."""

BY_ROOT = """
import json, sys, time, ROOT
ROOT.RooMsgService.instance().setGlobalKillBelow(ROOT.RooFit.FATAL)
document, points = sys.argv[1], json.load(open(sys.argv[2]))
began = time.perf_counter()
workspace = ROOT.RooWorkspace("w")
assert ROOT.RooJSONFactoryWSTool(workspace).importJSON(document)
loaded = time.perf_counter()
nll = workspace.obj("analysis").createNLL(workspace.data("observed"))
values = []
for point in points:
    for name, value in point.items():
        workspace.var(name).setVal(value)
    values.append(nll.getVal())
done = time.perf_counter()
print("FOUND" + json.dumps({"values": values, "load_s": loaded - began, "nll_s": done - loaded}))
"""


def random_points(engine: Engine, document: Row) -> tuple[list[dict[str, float]], list[float]]:
    """Points with the document's names, and superbin's NLL there."""
    known = document["misc"]["superbin"]
    names = {old: new for new, old in known["names"].items()}
    rng = np.random.default_rng(5)
    low, high = engine.bounds
    widths = np.minimum(np.where(np.isfinite(engine.widths), engine.widths, 0.3), 1.0)
    idle = [engine.parameters.index(name) for name in known["without_effect"]]
    points: list[dict[str, float]] = []
    values: list[float] = []
    for size in (0.0, 0.1, 0.3, 0.6, 1.0):
        step = size * widths * rng.standard_normal(low.size)
        while True:
            x = np.where(engine.fixed, engine.initial, np.clip(engine.initial + step, low, high))
            x[idle] = engine.initial[idle]
            value = engine.nll(x)
            if np.abs(step).max() < 1e-9 or abs(value - (values or [value])[0]) < FAR:
                break
            step *= 0.5
        if np.isfinite(value):
            points.append(
                {
                    names.get(n, n): float(v)
                    for n, v in zip(engine.parameters, x, strict=True)
                    if n not in known["without_effect"]
                }
            )
            values.append(value)
    return points, values


def by_root(document: Row, points: list[dict[str, float]]) -> Row:
    """What ROOT finds, or why it finds nothing."""
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / name for name in ("model.json", "points.json", "read.py")]
        for place, content in zip(places, (json.dumps(document), json.dumps(points), BY_ROOT), strict=True):
            place.write_text(content)
        command = [sys.executable, "-W", "ignore", str(places[2]), str(places[0]), str(places[1])]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            return {"reason": f"ROOT took more than {PATIENCE} s"}
    if "FOUND" not in done.stdout:
        return {"reason": f"ROOT failed: {(done.stderr or done.stdout).strip().splitlines()[-1:]}"}
    found: Row = json.loads(done.stdout.split("FOUND")[1])
    return found


def compared(engine: Engine) -> Row:
    """Write, load and compare one likelihood."""
    try:
        document = hs3_document(engine.description)
    except SuperbinError as error:
        return {"reason": f"refused: {error}"}
    points, values = random_points(engine, document)
    row: Row = {
        "parameters": len(engine.parameters),
        "bins": len(engine.observed.counts),
        "functions": len(document["functions"]),
        "megabytes": len(json.dumps(document)) / 1e6,
    }
    row |= by_root(document, points)
    if "values" in row:
        ours, theirs = np.array(values), np.array(row.pop("values"))
        difference = (theirs - theirs[0]) - (ours - ours[0])
        row["nll_range"] = float(np.abs(ours - ours[0]).max())
        row["difference"] = float(np.abs(difference).max())
        row["relative"] = float((np.abs(difference) / np.maximum(1.0, np.abs(ours - ours[0]))).max())
    return row


def sources(workspaces: Path, cards: Path) -> list[tuple[str, Path, Row]]:
    """Names, files and settings of everything in the two folders."""
    found: list[tuple[str, Path, Row]] = []
    reference = workspaces / "reference.json"
    if reference.exists():
        for name in json.loads(reference.read_text("utf-8"))["workspaces"]:
            patch = workspaces / name / "patch.json"
            found.append(
                (name, workspaces / name / "workspace.json", {"patch": patch if patch.exists() else None})
            )
    reference = cards / "reference.json"
    if reference.exists():
        for entry in json.loads(reference.read_text("utf-8")):
            settings = {"mass": float(entry["mass"])}
            found.append((f"card {entry['name']}", cards / entry["name"] / entry["card"], settings))
    return found


def table(rows: dict[str, Row]) -> str:
    lines = [
        "| likelihood | parameters, bins | functions | MB | ROOT loads, s | NLL of 5 points, s | range of NLL | largest difference | relative |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    refused = []
    for name, row in rows.items():
        if "difference" not in row:
            refused.append(f"- {name}: {row['reason']}")
            continue
        lines.append(
            f"| {name} | {row['parameters']}, {row['bins']} | {row['functions']} | {row['megabytes']:.2g} | {row['load_s']:.2g} | {row['nll_s']:.2g} | "
            f"{row['nll_range']:.4g} | {row['difference']:.0e} | {row['relative']:.0e} |"
        )
    return "\n".join([*lines, "", "Not compared:", "", *(refused or ["- nothing"])]) + "\n"


def packaged() -> Engine:
    """The packaged likelihood with its signal T1bbbb(1750, 1)."""
    with open_catalog("sqlite://") as catalog:
        search = catalog.search("cms-pas-sus-16-014")
        signal = catalog.signal(search, "T1bbbb", (1750, 1))
        return CountingLikelihood(catalog.published_likelihood(search).model(signal.yields))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("workspaces", type=Path)
    parser.add_argument("cards", type=Path)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("-o", "--output", type=Path, default=HERE)
    options = parser.parse_args()
    if find_spec("ROOT") is None:
        print("skipped: ROOT is not installed; pip install --pre root")
        return
    rows: dict[str, Row] = {}
    for name, path, settings in sources(options.workspaces, options.cards):
        if options.only and name not in options.only:
            continue
        try:
            engine = open_file(path, **settings).engine
        except SuperbinError as error:
            rows[name] = {"reason": f"not read: {str(error).replace(str(path.parent) + '/', '')}"}
        else:
            rows[name] = compared(engine)
        print(name, json.dumps(rows[name]), flush=True)
    if rows and not options.only:
        rows[PACKAGED] = compared(packaged())
        print(PACKAGED, json.dumps(rows[PACKAGED]), flush=True)
    if not rows:
        print("skipped: neither folder has a reference.json; give the folders with the public files")
        return
    write_text(options.output / "hs3.json", json.dumps(rows, indent=1) + "\n")
    write_text(
        options.output / "hs3.md", "# HS3 in ROOT\n\nMade by `hs3.py`, which says what is compared.\n\n" + table(rows)
    )  # fmt: skip


if __name__ == "__main__":
    main()
