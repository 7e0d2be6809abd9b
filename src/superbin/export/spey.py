"""Input of spey's default models, as JSON: one document per signal, with the keywords of ``default.correlated_background``.

One region goes with ``default.uncorrelated_background``, whose error is symmetric; several with their covariance. Format: J. Y. Araz, SciPost
Phys. 16 (2024) 032, arXiv:2307.06996.
"""

from collections.abc import Mapping
from dataclasses import asdict

import numpy as np

from superbin._support.json import json_text
from superbin.errors import InputError
from superbin.export.entry import Entry, Point
from superbin.export.simplified import NO_REGION, differences, own_limits, with_inverse

__all__ = ["files"]


def files(entry: Entry) -> Mapping[str, bytes]:
    """``spey.json``, or ``MODEL_m1_m2.json`` for each of several signals."""
    if not entry.regions:
        raise InputError(NO_REGION)
    if not entry.points:
        raise InputError(f"{entry.search} has no signals; import some with: superbin db import FILE")
    if len(entry.points) == 1:
        return {"spey.json": _document(entry, entry.points[0])}
    names = ["_".join([p.model, *(f"{v:g}" for v in p.parameters.values())]) for p in entry.points]
    return {f"{name}.json": _document(entry, p) for name, p in zip(names, entry.points, strict=True)}


def _document(entry: Entry, point: Point) -> bytes:
    variances = with_inverse(entry)
    limits = own_limits(entry, point)
    model: dict[str, object] = {
        "signal_yields": list(point.yields),
        "background_yields": [r.background.nominal for r in entry.regions],
        "data": [r.observed for r in entry.regions],
    }
    if len(entry.regions) == 1:
        model |= {
            "backend": "default.uncorrelated_background",
            "absolute_uncertainties": [float(np.sqrt(variances[0, 0]))],
        }
    else:
        model |= {"backend": "default.correlated_background", "covariance_matrix": variances.tolist()}
    model |= {
        "analysis": f"{entry.search}: {point.label}",
        "xsection": point.cross_section_pb,
        "names": [r.name for r in entry.regions],
        "luminosity_fb": entry.luminosity_fb,
        "sqrt_s_tev": entry.sqrt_s_tev,
        "limits": asdict(limits),
        "limits_convention": "95 % CLs on the signal strength, asymptotic, Asimov auxiliary data fixed, expected a priori",
        "differences": differences([limits]),
        "source": f"{entry.reference}; superbin {entry.made_by}, search digest {entry.digest}",
    }
    return (json_text(model, "the export", indent=1) + "\n").encode()
