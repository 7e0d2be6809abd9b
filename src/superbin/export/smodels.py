"""An entry of a SModelS 3.2 text database: efficiency maps of regions with their covariance, or upper limits of a scan.

Regions become efficiency maps (``dataType: efficiencyMap``), combined by SModelS's simplified likelihood (``statModels`` ``sl``): backgrounds of
Gaussian, symmetric errors. A scan, whose points have aggregate bins of their own, becomes maps of its observed and expected upper limits on the
cross section. A map interpolates between points: one point is none. Format: https://smodels.readthedocs.io, "Database of Experimental
Results"; M. M. Altakach et al., SciPost Phys. Codebases 62 (2025).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from superbin._support.shown import counted
from superbin.errors import InputError
from superbin.export.entry import Entry, Point, Region
from superbin.export.simplified import (
    Limits,
    columns,
    compared,
    differences,
    own_limits,
    spread,
    with_inverse,
)
from superbin.stats.limits import cls_limit

__all__ = ["files"]

_FEWEST = 3
"""Points of a map over two masses: fewer span no triangle."""

_PARTICLES = '"""Final states that topologies may have: those of SModelS itself."""\n\nfrom smodels.experiment.defaultFinalStates import finalStates\n'

_CONSTRAINTS = {
    "T1bbbb": "[[['b','b']],[['b','b']]]",
    "T1tttt": "[[['t','t']],[['t','t']]]",
    "T1qqqq": "[[['jet','jet']],[['jet','jet']]]",
    "T2bb": "[[['b']],[['b']]]",
    "T2tt": "[[['t']],[['t']]]",
    "T2qq": "[[['jet']],[['jet']]]",
}
"""Final states of the models, in SModelS's bracket notation."""


def files(entry: Entry) -> Mapping[str, bytes]:
    """A database with one entry: unpack it, and give its folder to SModelS as the database."""
    by_model = {model: [p for p in entry.points if p.model == model] for model in entry.models}
    _check(by_model)
    identity = _identity(entry.search)
    folder = f"{round(entry.sqrt_s_tev)}TeV/{_collaboration(entry)}/{identity}"
    made = {"version": f"superbin-{entry.made_by}\n", "databaseParticles.py": _PARTICLES}
    own = {i: own_limits(entry, entry.points[i]) for i in compared(entry.points)} if entry.regions else {}
    made[f"{folder}/globalInfo.txt"] = _global(entry, identity, own)
    if entry.regions:
        made[f"{folder}/covariance.json"] = repr(with_inverse(entry).tolist()) + "\n"
        made[f"{folder}/superbin-limits.csv"] = _own(entry, own)
        for i, region in enumerate(entry.regions):
            made[f"{folder}/{region.name}/dataInfo.txt"] = _region(entry, i, region)
            for model, points in by_model.items():
                made[f"{folder}/{region.name}/{model}.txt"] = _topology(
                    model, _efficiencies(entry, i, points)
                )
    else:
        made[f"{folder}/data/dataInfo.txt"] = "dataType: upperLimit\ndataId: None\n"
        for model, points in by_model.items():
            made[f"{folder}/data/{model}.txt"] = _topology(model, _upper_limits(points))
    return {name: text.encode() for name, text in made.items()}


def _check(by_model: Mapping[str, list[Point]]) -> None:
    if not by_model:
        raise InputError(
            "there are no signals, of which a SModelS entry has maps; import some with: superbin db import FILE"
        )
    for model, points in by_model.items():
        if model not in _CONSTRAINTS:
            raise InputError(
                f"the final state of {model!r} in SModelS's notation is not known; known are {', '.join(_CONSTRAINTS)}"
            )
        unknown = [p.label for p in points if not p.cross_section_pb]
        if unknown:
            raise InputError(
                f"the cross section of {unknown[0]} is not known; SModelS needs efficiencies or limits in fb"
            )
        if any(len(p.parameters) != 2 for p in points):
            raise InputError(
                f"{model} has {counted(len(points[0].parameters), 'mass')}; maps of two are written"
            )
        if len(points) < _FEWEST:
            count = counted(len(points), "point")
            verb = "makes" if len(points) == 1 else "make"
            raise InputError(
                f"{count} of {model} {verb} no map, which SModelS interpolates; export a scan.json of {_FEWEST} points or more"
            )


def _identity(search: str) -> str:
    return re.sub(r"[^A-Za-z0-9-]+", "-", search).strip("-").upper() or "SEARCH"


def _collaboration(entry: Entry) -> str:
    text = f"{entry.search} {entry.reference}".upper()
    return "ATLAS" if "ATLAS" in text else "CMS"


def _global(entry: Entry, identity: str, own: Mapping[int, Limits]) -> str:
    lines = [
        f"id: {identity}",
        f"sqrts: {entry.sqrt_s_tev:g}*TeV",
        f"lumi: {entry.luminosity_fb:g}/fb",
        f"prettyName: {_line(entry.title)}",
        f"publication: {_line(entry.reference)}",
        f"url: {_url(entry)}",
        f"implementedBy: superbin {entry.made_by}",
        f"comment: {_comment(entry, own)}",
        "private: False",
        f"lastUpdate: {datetime.now(UTC):%Y/%m/%d}",
    ]
    if entry.regions:
        names = [region.name for region in entry.regions]
        lines += [
            f"regionMappings: { {name: {'smodels': name, 'type': 'SR'} for name in names} }",
            f"regionSets: { {'aggregates': names} }",
            "statModels: {'aggregates': [('sl', 'covariance.json')]}",
        ]
    return "\n".join(lines) + "\n"


def _url(entry: Entry) -> str:
    """The address that the reference of the search names."""
    found = re.search(
        r"(?:https?://)?(?:cds\.cern\.ch|arxiv\.org|(?:dx\.)?doi\.org)/[^\s,;]+",
        f"{entry.reference} {entry.citation}",
    )
    if found is None:
        return "not given"
    return found[0] if found[0].startswith("http") else f"https://{found[0]}"


def _comment(entry: Entry, own: Mapping[int, Limits]) -> str:
    said = [f"search digest {entry.digest}"]
    if entry.regions:
        said.append("errors of backgrounds are symmetric here, the mean of both sides")
        said.append(
            f"superbin's own limits of this model at {len(own)} of {counted(len(entry.points), 'point')} are in superbin-limits.csv"
        )
        said += differences(own.values())
    else:
        said.append(
            "limits of one aggregate bin, chosen for every point by its expected significance or limit"
        )
        said += _over_likelihood(entry.points)
    return "; ".join(said)


def _over_likelihood(points: Sequence[Point]) -> list[str]:
    """How far the limits of a scan are from those of the full likelihood."""
    said = []
    for which in ("observed", "expected"):
        pairs = (((p.limits or {}).get(which), (p.limits or {}).get(f"likelihood_{which}")) for p in points)
        ratios = [ours / theirs - 1 for ours, theirs in pairs if ours and theirs]
        if ratios:
            said.append(f"{which} limits over those of the full likelihood: {spread(ratios)}")
    return said or ["the full likelihood is not compared: the scan has no limits of it"]


def _own(entry: Entry, own: Mapping[int, Limits]) -> str:
    """Table of superbin's own limits of the same model, and of what they leave out."""
    names = list(dict.fromkeys(name for p in entry.points for name in p.parameters))
    lines = [
        "# 95 % CLs limits on the signal strength, asymptotic, in SModelS's convention: Asimov auxiliary data fixed, expected a priori;",
        "# smodels_observed: what SModelS gives where a region observes 0, whose background it holds; asymmetric: errors up and down",
        ",".join(["model", *names, *columns()]),
    ]
    for i, limits in own.items():
        point = entry.points[i]
        values = [point.parameters.get(name) for name in names] + [
            getattr(limits, name) for name in columns()
        ]
        lines.append(",".join([point.model, *("" if v is None else f"{v:.8g}" for v in values)]))
    return "\n".join(lines) + "\n"


def _region(entry: Entry, i: int, region: Region) -> str:
    total = region.background
    error = float(entry.variances()[i, i]) ** 0.5
    lines = [
        f"dataId: {region.name}",
        "dataType: efficiencyMap",
        f"observedN: {region.observed}",
        f"expectedBG: {float(total.nominal)!r}",
        f"bgError: {error!r}",
        f"upperLimit: {_visible(entry, region.observed, total.nominal, error)}",
        f"expectedUpperLimit: {_visible(entry, round(total.nominal), total.nominal, error)}",
        f"comment: {_line(' or '.join(region.cuts))}",
    ]
    return "\n".join(lines) + "\n"


def _visible(entry: Entry, count: float, background: float, error: float) -> str:
    """Limit on the visible cross section of a region, 95 % CLs exact, as SModelS writes it."""
    # A symmetric error may reach below zero; a background does not.
    events = float(cls_limit(count, background, error, min(error, background)))
    return f"{events / entry.luminosity_fb:.6g}*fb"


def _efficiencies(entry: Entry, i: int, points: list[Point]) -> dict[str, list[str]]:
    rows = []
    for p in points:
        produced = 1000 * (p.cross_section_pb or 0.0) * entry.luminosity_fb
        rows.append(f"[{_masses(p)},{p.yields[i] / produced:.8g}]")
    return {"efficiencyMap": rows}


def _upper_limits(points: list[Point]) -> dict[str, list[str]]:
    made = {}
    for key, part in (("upperLimits", "observed"), ("expectedUpperLimits", "expected")):
        known = [(p, mu) for p in points if (mu := (p.limits or {}).get(part)) is not None]
        made[key] = [f"[{_masses(p)},{1000 * mu * (p.cross_section_pb or 0.0):.8g}*fb]" for p, mu in known]
    return made


def _masses(point: Point) -> str:
    branch = "[" + ",".join(f"{value:.6E}*GeV" for value in point.parameters.values()) + "]"
    return f"[{branch},{branch}]"


def _topology(model: str, maps: Mapping[str, list[str]]) -> str:
    lines = [
        f"txName: {model}",
        f"constraint: {_CONSTRAINTS[model]}",
        "condition: None",
        "conditionDescription: None",
        "source: superbin",
        "validated: N/A",
        "axes: [[x, y], [x, y]]",
        "finalState: ['MET', 'MET']",
        "intermediateState: None",
    ]
    lines += [f"{key}: [{(',' + chr(10)).join(rows)}]" for key, rows in maps.items()]
    return "\n".join(lines) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())
