"""A submission for HEPData: tables of regions and signals in its YAML, with qualifiers and asymmetric errors.

Format: https://hepdata-submission.readthedocs.io, schema 1.1. hepdata-validator accepts it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from superbin.domain.aggregate import Background
from superbin.export.entry import Entry, Point

__all__ = ["files"]


def files(entry: Entry) -> Mapping[str, bytes]:
    """``submission.yaml`` and a file for every table."""
    tables: list[tuple[str, str, str, dict[str, Any]]] = []
    if entry.regions:
        tables.append(
            ("regions", "Aggregate regions", "Observed events and predicted background", _regions(entry))
        )
    if len(entry.regions) > 1:
        tables.append(
            (
                "covariance",
                "Covariance",
                "Covariance of the predicted background of the regions",
                _covariance(entry),
            )
        )
    for model in entry.models:
        points = [p for p in entry.points if p.model == model]
        tables.append(
            (
                f"signals_{model}",
                f"Signals {model}",
                f"Yields, limits and significances of {model}",
                _signals(entry, points),
            )
        )
    head = {
        "comment": f"Reinterpretation of {entry.search} ({entry.reference}) with superbin {entry.made_by}; search digest {entry.digest}.",
    }
    documents: list[dict[str, Any]] = [head]
    documents += [
        {
            "name": title,
            "location": "Reinterpretation",
            "description": f"{what}. {entry.luminosity_fb:g} fb-1 at {entry.sqrt_s_tev:g} TeV.",
            "keywords": [
                {"name": "reactions", "values": ["P P --> X"]},
                {"name": "cmenergies", "values": [1000 * entry.sqrt_s_tev]},
            ],
            "data_file": f"{stem}.yaml",
        }
        for stem, title, what, _ in tables
    ]
    made = {"submission.yaml": yaml.safe_dump_all(documents, sort_keys=False)}
    made |= {f"{stem}.yaml": yaml.safe_dump(table, sort_keys=False) for stem, _, _, table in tables}
    return {name: text.encode() for name, text in made.items()}


def _qualifiers(entry: Entry) -> list[dict[str, Any]]:
    return [
        {"name": "SQRT(S)", "value": 1000 * entry.sqrt_s_tev, "units": "GeV"},
        {"name": "LUMINOSITY", "value": entry.luminosity_fb, "units": "fb-1"},
    ]


def _dependent(entry: Entry, name: str, units: str, values: Sequence[dict[str, Any]]) -> dict[str, Any]:
    header = {"name": name} | ({"units": units} if units else {})
    return {"header": header, "qualifiers": _qualifiers(entry), "values": list(values)}


def _labels(entry: Entry) -> list[str]:
    """Names of the regions with their selections, the same in every table, so that readers put the tables together."""
    return [
        r.name if r.cuts in ((), (r.name,)) else f"{r.name}: {' or '.join(r.cuts)}" for r in entry.regions
    ]


def _regions(entry: Entry) -> dict[str, Any]:
    names = [{"value": label} for label in _labels(entry)]
    background = [_background(r.background) for r in entry.regions]
    return {
        "independent_variables": [{"header": {"name": "Region"}, "values": names}],
        "dependent_variables": [
            _dependent(entry, "Observed", "events", [{"value": r.observed} for r in entry.regions]),
            _dependent(entry, "Background", "events", background),
        ],
    }


def _background(total: Background) -> dict[str, Any]:
    value: dict[str, Any] = {"value": float(total.nominal)}
    if total.up or total.down:  # HEPData has no errors that are all zero
        error = {"plus": float(total.up), "minus": -float(total.down)}
        value["errors"] = [{"label": "total", "asymerror": error}]
    return value


def _covariance(entry: Entry) -> dict[str, Any]:
    names = _labels(entry)
    pairs = [(i, j) for i in range(len(names)) for j in range(len(names))]
    variances = entry.variances()
    return {
        "independent_variables": [
            {"header": {"name": "Region 1"}, "values": [{"value": names[i]} for i, _ in pairs]},
            {"header": {"name": "Region 2"}, "values": [{"value": names[j]} for _, j in pairs]},
        ],
        "dependent_variables": [
            _dependent(entry, "Covariance", "events^2", [{"value": float(variances[i, j])} for i, j in pairs])
        ],
    }


def _signals(entry: Entry, points: Sequence[Point]) -> dict[str, Any]:
    names = list(points[0].parameters)
    independent = [
        {
            "header": {"name": name, **({"units": "GeV"} if name.startswith("m_") else {})},
            "values": [{"value": float(p.parameters[name])} for p in points],
        }
        for name in names
    ]
    dependent = []
    for i, region in enumerate(entry.regions):
        values = [
            {"value": p.yields[i]}
            | ({"errors": [{"label": "MC stat", "symerror": p.errors[i]}]} if p.errors[i] else {})
            for p in points
        ]
        dependent.append(_dependent(entry, f"Signal in {region.name}", "events", values))
    quantities: list[tuple[str, str, list[float | None]]] = [
        ("Cross section", "pb", [p.cross_section_pb for p in points]),
        ("Expected local significance", "", [p.expected_z for p in points]),
        ("Observed local significance", "", [p.observed_z for p in points]),
    ]
    limits = {
        "observed": "Observed 95% CL upper limit on the signal strength",
        "expected": "Expected 95% CL upper limit on the signal strength",
        "likelihood_observed": "Observed 95% CL upper limit on the signal strength, full likelihood",
        "likelihood_expected": "Expected 95% CL upper limit on the signal strength, full likelihood",
    }
    quantities += [
        (title, "", [(p.limits or {}).get(name) for p in points]) for name, title in limits.items()
    ]
    for title, units, found in quantities:
        if any(value is not None for value in found):
            # HEPData's word for a value that is not there.
            dependent.append(
                _dependent(entry, title, units, [{"value": "-" if v is None else float(v)} for v in found])
            )
    return {"independent_variables": independent, "dependent_variables": dependent}
