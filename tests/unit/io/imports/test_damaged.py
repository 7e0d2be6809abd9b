"""Damaged and hostile inputs of every form: refused in words, never by an accident of the code."""

import json
import os
import random
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
import uproot

from superbin.domain.search import Search
from superbin.errors import InputError
from superbin.io.imports import Options, read
from superbin.io.tables import write_search

TOKENS = [b"", b"-1", b"nan", b"1e999", b"[", b"]", b"{", b"null", b",", b"\n", b"\0", b"\xff", b'"', b"-", b"None", b"9" * 40, b"\xe2\x80\xae", b"[]", b"<", b"&x;"]  # fmt: skip
TABLE = (
    "bin;observed;background;error;met;ht low;ht high\n1;12;10,5;2,5;200-300;0;100\n2;3;4,25;1,5;300+;0;inf\n"
)
YAML = """dependent_variables:
- header: {name: Observed}
  values: [{value: 12}, {value: 3}]
- header: {name: Background, units: Events}
  qualifiers: [{name: SQRT(S), units: GeV, value: 8000}]
  values: [{value: 10.5, errors: [{symerror: 2, label: stat}, {asymerror: {plus: 1, minus: -2}, label: sys}]}, {value: 4}]
independent_variables:
- header: {name: MET, units: GeV}
  values: [{low: 0, high: 100}, {low: 100, high: .inf}]
"""
OLD = "*dataset:\n*qual: . : data : background\n*data: x : y : y\n 0 TO 1; 3 +1,-2; 2.5 +- 1 (DSYS=1,DSYS=+1,-2:a);\n*dataend:\n"
INFO = (
    '<analysis id="a">\n<lumi>20</lumi>\n<region type="signal" id="A"><nobs>3</nobs><nb>2</nb><deltanb>1</deltanb>'
    '<covariance region="A">4</covariance></region>\n</analysis>\n'
)
HEAD = "id: TOY\nsqrts: 13*TeV\nlumi: 20/fb\n"
MODELS = "regionSets: {'all': ['A', 'B']}\nregionMappings: {'A': {'smodels': 'A'}}\nstatModels: {'all': [('sl', 'm.txt')]}\n"


def one(name: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(text, encoding="utf-8")
        return folder / name

    return make


def smodels(head: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        place = folder / "entry"
        place.mkdir()
        (place / "globalInfo.txt").write_text(HEAD + head)
        (place / "m.txt").write_text("[[4, 1], [1, 9]]")
        for name in ("A", "B"):
            (place / name).mkdir()
            info = f"dataType: efficiencyMap\ndataId: {name}\nobservedN: 3\nexpectedBG: 2.5\nbgError: 2\nthirdMoment: 1\n"
            (place / name / "dataInfo.txt").write_text(info)
            rows = "[[[[500*GeV, 100*GeV], [500*GeV, 100*GeV]], 0.02]]"
            (place / name / "T2tt.txt").write_text(f"txName: T2tt\nefficiencyMap: {rows}\n")
        return place

    return make


def own(folder: Path) -> Path:
    search = Search.from_arrays(
        "mine",
        observed=[12, 3],
        background=[10.5, 4.25],
        error=2.0,
        luminosity_fb=139,
        edges={"met": [200, 400, 800]},
        covariance=[[4.0, 1.0], [1.0, 4.0]],
    )
    write_search(search, folder / "own")
    return folder / "own"


def beside(folder: Path) -> Path:
    place = folder / "pair"
    place.mkdir()
    (place / "t.csv").write_text("# lumi: 3/fb\nregion,obs,bkg,err\nA,12,10,2\nB,3,4,4\n")
    (place / "cov.csv").write_text("A,B\n4,1\n1,16\n")
    return place


def pyhf(folder: Path) -> Path:
    place = folder / "likelihood"
    place.mkdir()
    background = {
        "name": "b",
        "data": [5.0, 2.0],
        "modifiers": [{"name": "s", "type": "shapesys", "data": [1.0, 0.5]}],
    }
    signal = {
        "name": "g",
        "data": [1.0, 2.0],
        "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
    }
    document = {
        "version": "1.0.0",
        "channels": [{"name": "SR", "samples": [background]}],
        "observations": [{"name": "SR", "data": [3, 0]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
    }
    (place / "BkgOnly.json").write_text(json.dumps(document))
    patch = {
        "metadata": {"name": "g_1_2", "values": [1, 2]},
        "patch": [{"op": "add", "path": "/channels/0/samples/1", "value": signal}],
    }
    (place / "patchset.json").write_text(
        json.dumps({"metadata": {"digests": {}, "labels": ["m", "n"]}, "patches": [patch]})
    )
    return place


def checkmate(folder: Path) -> Path:
    place = folder / "analysis"
    place.mkdir()
    (place / "a_ref.dat").write_text("SR obs bkg bkg_err\nA 12 10.5 2\nB 3 4 1\n")
    (place / "a_var.j").write_text('{"lumi": "36.1", "ecm": "13.0", "author": "me", "long_info": ["a", "b"]}')
    (place / "a_cov.csv").write_text("A,B\n4,1\n1,1\n")
    return place


def histogram(values: list[float], axis: str = "met") -> Any:
    h: Any = hist.Hist(
        hist.axis.Variable(range(len(values) + 1), label=axis, name=axis), storage=hist.storage.Weight()
    )
    h.view().value[:] = h.view().variance[:] = values
    return h


def square(values: list[list[float]]) -> Any:
    n = len(values)
    return hist.Hist(hist.axis.Regular(n, 0, n), hist.axis.Regular(n, 0, n), data=np.array(values))


def root(folder: Path, mark: str = "") -> Path:
    path = folder / "t.root"
    with uproot.recreate(path) as file:
        file["data"] = histogram([12.0, 3.0], f"met{mark}")
        file[f"top{mark}"] = histogram([10.5, 4.0])
        file[f"top{mark}_jesUp"] = histogram([11.5, 4.0])
        file[f"top{mark}_jesDown"] = histogram([9.5, 4.0])
        file["covariance"] = square([[4.0, 1.0], [1.0, 1.0]])
        file[f"T1{mark}_1000_100"] = histogram([1.0, 2.0])
    return path


def fit_diagnostics(folder: Path, mark: str = "") -> Path:
    path = folder / "fit.root"
    with uproot.recreate(path) as file:
        where = f"shapes_prefit/sr{mark}"
        for name in (f"top{mark}", "total_background"):
            file[f"{where}/{name}"] = histogram([10.5, 4.0])
        file[f"{where}/data"] = uproot.as_TGraph({"x": np.array([0.5, 1.5]), "y": np.array([12.0, 3.0])})
        file[f"{where}/total_covar"] = square([[4.0, 1.0], [1.0, 1.0]])
    return path


FORMS: dict[str, Callable[[Path], Path]] = {
    "table": one("t.csv", TABLE),
    "beside": beside,
    "yaml": one("t.yaml", YAML),
    "old": one("t.hep.dat", OLD),
    "info": one("t.info", INFO),
    "spey": one(
        "t.json",
        json.dumps({"background_yields": [5, 4], "data": [3, 3], "covariance_matrix": [[4, 1], [1, 9]], "third_moment": [1, 2]}),
    ),
    "yields": one(
        "t.json", json.dumps({"data": [3, 0], "bkgr": {"w": {"nominal": [2, 1], "up": [1, 1], "down": [1, 1]}}})
    ),
    "exported": one(
        "t.json",
        json.dumps(
            {
                "headers": [{"name": "MET", "colspan": 1}, {"name": "Data"}, {"name": "Total SM"}],
                "qualifiers": {"SQRT(S)": [{"group": 0, "value": "8000"}]},
                "values": [
                    {
                        "x": [{"low": "1", "high": "2"}],
                        "y": [{"value": "3"}, {"value": "2", "errors": [{"symerror": "1"}]}],
                    }
                ],
            }
        ),
    ),
    "smodels": smodels('datasetOrder: "A", "B"\ncovariance: [[4, 1], [1, 9]]\n'),
    "smodels32": smodels(MODELS),
    "own": own,
    "pyhf": pyhf,
    "checkmate": checkmate,
    "root": root,
    "fitdiagnostics": fit_diagnostics,
    "card": one(
        "card.txt",
        "imax 1\njmax 1\nkmax *\nbin sr\nobservation 15\nbin sr sr\nprocess s b\nprocess 0 1\nrate 2 10\nlumi lnN 1.02 0.9/1.1\nctl gmN 40 - 0.25\n",
    ),
}  # fmt: skip


def damage(path: Path, rng: random.Random) -> None:
    """Replace, move or cut out a piece of the file."""
    text = bytearray(path.read_bytes())
    spans = [match.span() for match in re.finditer(rb"[-\w.]+|[^\w\s]|\s+", bytes(text))]
    if not spans:
        return
    start, stop = rng.choice(spans)
    text[start:stop] = rng.choice(TOKENS) if rng.random() < 0.7 else bytes(text[slice(*rng.choice(spans))])
    path.write_bytes(text)


@pytest.mark.parametrize("form", FORMS)
def test_damaged(form: str, tmp_path: Path) -> None:
    """IMP-2: whatever is broken, the input is imported or refused in one printable line."""
    whole = FORMS[form](tmp_path)
    luminosity = None if form == "own" else 1.0
    read(whole, options=Options(luminosity_fb=luminosity))
    rng = random.Random(form)
    refused = 0
    for _ in range(60):
        place = tmp_path / "damaged"
        place.mkdir()
        target = place / whole.name
        if whole.is_dir():
            shutil.copytree(whole, target)
        else:
            shutil.copy(whole, target)
        files = sorted(p for p in ([target] if target.is_file() else target.rglob("*")) if p.is_file())
        for _ in range(rng.randint(1, 2)):
            damage(rng.choice(files), rng)
        options = Options(luminosity_fb=luminosity, covariance=rng.choice(["refuse", "repair"]))
        try:
            said: tuple[str, ...] = read(target, options=options).notes
        except InputError as error:
            refused += 1
            said = (str(error),)
        assert all(text.isprintable() for text in said)
        shutil.rmtree(place)
    assert refused > (2 if whole.suffix == ".root" else 10)


def files_of(path: Path) -> list[Path]:
    return sorted(p for p in ([path] if path.is_file() else path.rglob("*")) if p.is_file())


def outcome(path: Path, form: str) -> str:
    """What an import says, or why it refuses; always printable."""
    try:
        result = read(path, options=Options(luminosity_fb=None if form == "own" else 1.0))
    except InputError as error:
        text = str(error)
    else:
        search = result.bundle.search
        text = " ".join(
            [
                *result.notes,
                *search.names,
                *(p.name for p in search.processes),
                *(s.label for s in result.bundle.signals),
            ]
        )
        labels = [o.label + o.unit for o in search.observables] + [p.label for p in search.processes]
        assert all(label.isprintable() for label in labels)
    assert text.isprintable()
    return text


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_no_file(form: str, kind: str, tmp_path: Path) -> None:
    """IMP-7: a pipe, a device or a folder in the place of any file is not waited for, not read and not written to."""
    whole = FORMS[form](tmp_path)
    for number in range(len(files_of(whole))):
        place = tmp_path / f"{number}"
        place.mkdir()
        target = place / whole.name
        shutil.copytree(whole, target) if whole.is_dir() else shutil.copy(whole, target)
        file = files_of(target)[number]
        file.unlink()
        if kind == "pipe":
            os.mkfifo(file)
        elif kind == "device":
            file.symlink_to("/dev/zero")
        else:
            file.mkdir()
        outcome(target, form)
        if file == target:
            with pytest.raises(InputError):
                read(target, kind="superbin" if form == "own" else None, options=Options(luminosity_fb=1.0))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("mark", ["\u202e", "\x1b[31m", "\u200b", "\x07"])
def test_marks_in_names(form: str, mark: str, tmp_path: Path) -> None:
    """IMP-7: characters that do not print are refused in names and escaped wherever a text is printed."""
    whole = FORMS[form](tmp_path)
    for number, original in enumerate(files_of(whole)):
        if original.suffix == ".root":
            continue
        text = original.read_text(encoding="utf-8")
        # Into every word of the file, a few at a time.
        words = [m.end() for m in re.finditer(r"[A-Za-z]{1,}", text)]
        for end in words[:: max(1, len(words) // 6)]:
            place = tmp_path / f"{number}-{end}"
            place.mkdir()
            target = place / whole.name
            shutil.copytree(whole, target) if whole.is_dir() else shutil.copy(whole, target)
            escaped = mark if original.suffix not in (".json", ".j") else json.dumps(mark)[1:-1]
            files_of(target)[number].write_text(text[:end] + escaped + text[end:], encoding="utf-8")
            outcome(target, form)
            shutil.rmtree(place)


@pytest.mark.parametrize("make", [root, fit_diagnostics])
@pytest.mark.parametrize("mark", ["\u202e", "\x1b[31m", "\u200b", "\x07"])
def test_marks_in_root_names(make: Callable[[Path, str], Path], mark: str, tmp_path: Path) -> None:
    """IMP-7: the same for names of histograms, channels and axes in ROOT files."""
    outcome(make(tmp_path, mark), "root")


@pytest.mark.parametrize("form", FORMS)
def test_links_are_followed_to_files_only(form: str, tmp_path: Path) -> None:
    """IMP-7: a link to nothing or to itself is refused in words, as anything else that cannot be read."""
    whole = FORMS[form](tmp_path)
    for number in range(len(files_of(whole))):
        place = tmp_path / f"{number}"
        place.mkdir()
        target = place / whole.name
        shutil.copytree(whole, target) if whole.is_dir() else shutil.copy(whole, target)
        file = files_of(target)[number]
        file.unlink()
        file.symlink_to(file if number % 2 else tmp_path / "nothing")
        outcome(target, form)


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"root", "fitdiagnostics"}))
def test_sizes(form: str, tmp_path: Path) -> None:
    """IMP-7: a file larger than the bound is refused; ROOT files may be large, and their histograms have a bound of their own."""
    whole = FORMS[form](tmp_path)
    largest = max(files_of(whole), key=lambda p: p.stat().st_size)
    with largest.open("ab") as stream:
        stream.truncate(300 * 2**20)  # a hole, which takes no disk
    with pytest.raises(InputError) as caught:
        read(whole, options=Options(luminosity_fb=None if form == "own" else 1.0))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_written(form: str, tmp_path: Path) -> None:
    """IMP-7: an import leaves its source and the folder around it as they were."""
    whole = FORMS[form](tmp_path)
    before = {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in tmp_path.rglob("*")}
    outcome(whole, form)
    assert {p: (p.stat().st_mtime_ns, p.stat().st_size) for p in tmp_path.rglob("*")} == before


LONG = {
    "spaces": " " * 200_000,
    "digits": "0" * 200_000 + "!",
    "brackets": "[(" * 100_000,
    "closed": "[(" * 100_000 + "]",
    "marks": "+-|" * 70_000 + "!",
    "names": "a_b.c=" * 30_000,
    "lines": " \n" * 100_000,
    "sizes": "1 fb-" * 40_000,
    "levels": "- " * 100_000,
}


@pytest.mark.parametrize(
    ("before", "ending"), [("", ".yaml"), ("", ".info"), ("bin,observed,background\n1,2,", ".csv")]
)
def test_long_lines(before: str, ending: str, tmp_path: Path) -> None:
    """IMP-7: a line of 200 000 characters is read once, not once from each of its characters."""
    for name, text in LONG.items():
        path = tmp_path / f"{name}{ending}"
        path.write_text(before + text)
        with pytest.raises(InputError):
            read(path, options=Options(luminosity_fb=1.0))
