"""Do published searches import, and to the right numbers? Writes REPORT.md beside this script.

    python validation/searches/compare.py FOLDER

FOLDER holds public copies of searches in the forms in which they are found, one folder each; `ENTRIES` names them with
what a user must say beside them, `truths.csv` their sums and where they are public. What a search says is compared
with the sums; every import and every refusal stands in the report.
"""

import csv
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from superbin.errors import InputError
from superbin.io.imports import Imported, Options, read, recognise

HERE = Path(__file__).parent
PROCESSES = ("ttbar", "dibos", "zjets", "sitop", "wjetH", "wjetL")
FIGURE_4A = {
    "tables": {"yields": "Figure 4a"},
    "columns": {
        "background": {"background": [f"Number of _{p} events in l+jets / 100 GeV" for p in PROCESSES]}
    },
}
FIGURE_4A_HISTOGRAMS = {
    "observed": "ele_T1B0_L1chi2lo_mtt_DATA",
    "backgrounds": r"(ttbar|dibos|zjets|sitop|wjetH|wjetL)",
    "negative": "zero",
}
FIGURE_2A = {"tables": {"yields": "Figure 2a"}}


@dataclass(frozen=True)
class Entry:
    """A path with what a user says beside it, and the refusal that it deserves, if any."""

    path: str
    luminosity_fb: float | None = None
    mapping: Mapping[str, Any] = field(default_factory=dict)
    refused: str = ""
    repair: bool = False
    note: str = ""
    known: bool = True
    """Whether the sums of the path are those of this entry."""


ENTRIES = (
    Entry("smodels-CMS-SUS-19-006-agg"),
    Entry("smodels-CMS-EXO-20-004-eff"),
    Entry("smodels-CMS-SUS-20-004-eff"),
    Entry("smodels-CMS-SUS-16-048-ma5"),
    Entry("smodels-ATLAS-SUSY-2019-02-eff"),
    Entry("smodels-CMS-SUS-16-033-eff", note="overlapping aggregate regions: none are merged"),
    Entry("smodels32-CMS-SUS-20-004-converted"),
    Entry("hepdata-CMS-B2G-16-015", refused="say which"),
    Entry("hepdata-CMS-B2G-16-015", mapping=FIGURE_4A, refused="post-fit"),
    Entry(
        "hepdata-CMS-B2G-16-015/submission-yaml-only.tar.gz",
        mapping=FIGURE_4A | {"postfit": True},
        note="processes added, some are below zero in single bins",
    ),
    Entry("hepdata-CMS-EXO-22-015-infbins", 138.0, refused="normalised distribution"),
    Entry("hepdata-draft-CMS-SUS-16-008", 2.3, refused="submission.yaml:5: is not valid YAML"),
    Entry("hepdata-draft-CMS-SUS-16-008/Table2.yaml", 2.3, refused="is not valid YAML"),
    Entry("hepdata-draft-CMS-SUS-16-008/Table4.yaml", 2.3),
    Entry("hepdata-draft-CMS-SUS-16-008/Table7.yaml", 2.3),
    Entry("oldhepdata-ATLAS-SUSY-2013-23/hepdata.hep.dat", 20.3, refused="25 tables look like yields"),
    Entry("oldhepdata-ATLAS-SUSY-2013-23/hepdata.hep.dat", 20.3, FIGURE_2A, refused="post-fit"),
    Entry("oldhepdata-ATLAS-SUSY-2013-23/hepdata.hep.dat", 20.3, FIGURE_2A | {"postfit": True}),
    Entry("oldhepdata-ATLAS-SUSY-2013-23/figure_2_a.hep.dat", 20.3),
    Entry("checkmate-ATLAS-SUSY-2018-16", note="inclusive and exclusive regions: none are merged"),
    Entry("checkmate-CMS-EXO-20-004"),
    Entry("gambit-CMS-SUS-20-001", 137.0),
    Entry("ilmonteux", 36.1, refused="2 tables with observed events"),
    Entry("ilmonteux/CMS035_exSRs.dat", 35.9, {"covariance": "V_CMS035_exSRs.dat"}),
    Entry("ilmonteux/ATLAS060pT_allSRs.dat", 36.1),
    Entry(
        "ilmonteux/CMS033_bin_95CL_upper_lim.dat",
        35.9,
        refused="no form of a search is recognised",
        note="limits, no counts",
    ),
    Entry("madanalysis5-info-example/xyz_abc_ii_jjj.info", refused="is not valid XML"),
    *(
        Entry(
            f"root-CMS-EXO-22-011/yields/{kind}Mass/SR-{region}/{channel}.json",
            138.0,
            refused={("Hb", "TauEE"): "-1 in bin", ("Hb", "TauMuMu"): "-1 in bin"}.get(
                (region, channel), "data holds '-'" if channel == "TauEMu" and region.endswith("b") else ""
            ),
        )
        for kind, region in (("High", "Ha"), ("High", "Hb"), ("Low", "La"), ("Low", "Lb"))
        for channel in ("EEE-Mu", "MuMuMu-E", "TauEE", "TauEMu", "TauMuMu")
    ),
    Entry("root-SLnote-monojet", 1.0, refused="channel 'htsearch' is also in"),
    Entry(
        "root-SLnote-monojet/signal_region_simple.txt",
        1.0,
        note="a card; the expectation as of its histograms",
    ),
    Entry("root-SLnote-monojet/signal_region_simple_asymmetric.txt", 1.0, note="a card"),
    Entry("root-SLnote-monojet/mlfit.root", 1.0),
    Entry("root-SLnote-monojet/mlfit_Signal1.root", 1.0, note="the same with its signal"),
    Entry("root-SLnote-monojet/mlfit.root", 1.0, {"postfit": True}, note="post-fit on request", known=False),
    Entry("root-SLnote-monojet/shapes-SR.root", 1.0, refused="no histogram is called data"),
    Entry("root-SLnote-monojet/shapes-TH1.root", 1.0, refused="may all be the observed counts"),
    Entry(
        "root-SLnote-monojet/shapes-TH1.root",
        1.0,
        {"observed": "SR_data"},
        note="an input of Combine: the expectation without a scale factor that the card applies",
    ),
    *(
        Entry(
            f"root-CMS-EXO-22-011/{kind}MassSR-{region}.root",
            138.0,
            refused="there are only TH2, covariances",
        )
        for kind, region in (("high", "Ha"), ("high", "Hb"), ("low", "La"), ("low", "Lb"))
    ),
    Entry("hepdata-CMS-B2G-16-015/hists_ljets_B2G16015.root", 1.0, refused="may all be the observed counts"),
    Entry(
        "hepdata-CMS-B2G-16-015/hists_ljets_B2G16015.root",
        1.0,
        {"observed": "ele_T1B0_L1chi2lo_mtt_DATA"},
        refused="-0.0787641 in bin 6",
        note="weighted events leave negative contents",
    ),
    Entry("hepdata-CMS-B2G-16-015/hists_ljets_B2G16015.root", 1.0, FIGURE_4A_HISTOGRAMS, note="of Figure 4a"),
    Entry("gambit-CMS-SUS-20-001/covariance.csv", 137.0, refused="this is a covariance"),
    Entry(
        "checkmate-CMS-EXO-20-004/HEPData-106115-v2-t14.cov.json.gz", 137.0, refused="this is a covariance"
    ),
)
SPEY = "spey-docs-example/example.json"


def truths() -> dict[str, dict[str, str]]:
    lines = (HERE / "truths.csv").read_text("utf-8").splitlines()
    return {row["entry"]: row for row in csv.DictReader(line for line in lines if not line.startswith("#"))}


def attempt(path: Path, entry: Entry) -> Imported | str:
    options = Options(
        luminosity_fb=entry.luminosity_fb,
        mapping=entry.mapping,
        covariance="repair" if entry.repair else "refuse",
    )
    try:
        return read(path, options=options)
    except InputError as error:
        return str(error).replace(str(path.parent) + "/", "").replace(str(path.parent), "")


def sums(found: Imported) -> dict[str, float]:
    search = found.bundle.search
    covariance = search.covariance
    return {
        "bins": search.n_bins,
        "observed": float(search.observed.sum()),
        "background": float(sum(p.estimate.nominal.sum() for p in search.processes)),
        "sqrt_sum_cov": float("nan") if covariance is None else float(np.sqrt(covariance.up.sum())),
    }


def compared(values: Mapping[str, float], truth: Mapping[str, str] | None) -> str:
    if truth is None:
        return "no truth known"
    wrong = [
        f"{key} {values[key]:.7g}, truth {truth[key]}"
        for key in values
        if truth[key] and not np.isclose(values[key], float(truth[key]), rtol=1e-6, atol=5e-6)
    ]
    return "; ".join(wrong) if wrong else f"equal ({', '.join(key for key in values if truth[key])})"


def spey(folder: Path) -> Iterator[tuple[Path, Entry]]:
    """Spey's documented example under spey's own names of arguments, as printed and repaired."""
    content = json.loads((folder / SPEY).read_text("utf-8"))
    matrix = next(value for key, value in content.items() if key.startswith("covariance_matrix"))
    keys = ("background_yields", "data", "third_moment")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "example.json"
        path.write_text(json.dumps({k: content[k] for k in keys} | {"covariance_matrix": matrix}), "utf-8")
        yield path, Entry("spey documentation, correlated_background", 1.0, refused="not symmetric")
        yield path, Entry("spey documentation, correlated_background", 1.0, repair=True, note="repaired")


def said(entry: Entry) -> str:
    parts = [json.dumps(dict(entry.mapping), ensure_ascii=False)] if entry.mapping else []
    parts += [f"{entry.luminosity_fb:g} fb-1"] if entry.luminosity_fb else []
    parts += ["repair"] if entry.repair else []
    text = ", ".join(parts)
    return text if len(text) <= 90 else text[:87] + "..."


def cells(path: Path, entry: Entry, known: Mapping[str, Mapping[str, str]]) -> tuple[list[str], bool]:
    """A row of the report, and whether it is as it should be."""
    found = attempt(path, entry)
    if isinstance(found, str):
        good = bool(entry.refused) and entry.refused in found
        importer = recognise(path)
        text = found if len(found) <= 230 else found[:227] + "..."
        kind = importer.name if importer is not None else "none"
        return [entry.path, said(entry), kind, "refused" if good else "REFUSED", text, entry.note], good
    values = sums(found)
    truth = known.get(entry.path) if entry.known else None
    result = compared(values, truth)
    good = not entry.refused and (result.startswith("equal") or truth is None)
    numbers = (
        f"{values['bins']:.0f} bins, {values['observed']:.0f} observed, {values['background']:.7g} expected"
    )
    if not np.isnan(values["sqrt_sum_cov"]):
        numbers += f", sqrt(sum cov) {values['sqrt_sum_cov']:.6g}"
    ratio = next((n.split("are ")[1] for n in found.notes if "times the quoted errors" in n), "")
    note = "; ".join(filter(None, [entry.note, f"errors of the matrix {ratio}" if ratio else ""]))
    return [
        entry.path,
        said(entry),
        found.kind,
        "imported" if good else "WRONG",
        f"{numbers}: {result}",
        note,
    ], good


def copies(folder: Path) -> list[str]:
    """Entries with the same counts and backgrounds under two names, as some public files have them."""
    seen: dict[bytes, str] = {}
    found = []
    for entry in ENTRIES:
        if entry.refused or entry.mapping or not entry.path.endswith(".json"):
            continue
        result = attempt(folder / entry.path, entry)
        if isinstance(result, str):
            continue
        search = result.bundle.search
        key = search.observed.tobytes() + search.processes[0].estimate.nominal.tobytes()
        if key in seen:
            found.append(
                f"`{entry.path}` holds the same numbers as `{seen[key]}`: one is a copy of the other."
            )
        seen.setdefault(key, entry.path)
    return found


def main() -> int:
    if len(sys.argv) != 2:
        print(__doc__)
        return 2
    folder = Path(sys.argv[1])
    known = truths()
    there = [(folder / e.path, e) for e in ENTRIES if (folder / e.path).exists()]
    rows = [cells(path, entry, known) for path, entry in there]
    if (folder / SPEY).exists():
        rows += [cells(path, entry, known) for path, entry in spey(folder)]
    missing = [e.path for e in ENTRIES if not (folder / e.path).exists()]
    good = sum(ok for _, ok in rows)
    lines = [
        "# Published searches as they are found",
        "",
        "Made by `python validation/searches/compare.py FOLDER` from public copies; `truths.csv` names their sources and sums, which",
        "were computed without superbin. Compared to 1e-6. A refusal is checked against the reason that it should have.",
        "",
        f"{good} of {len(rows)} rows are as they should be"
        + (f"; {len(missing)} entries were not in the folder: {', '.join(missing)}" if missing else "")
        + ".",
        "",
        "| entry | said beside it | form | result | numbers or reason | notes |",
        "|---|---|---|---|---|---|",
        *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row, _ in rows),
        "",
        *copies(folder),
    ]
    (HERE / "REPORT.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
    print(f"{good} of {len(rows)} as they should be; REPORT.md written")
    return 0 if good == len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
