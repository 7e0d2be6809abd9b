"""The region file of MadAnalysis 5: observed, background and error of every region, with the covariance between them.

Format: E. Conte and B. Fuks, Int. J. Mod. Phys. A 33 (2018) 1830027, arXiv:1808.00480; covariances as in arXiv:1910.11418.
"""

from collections.abc import Mapping
from xml.etree import ElementTree as ET

import numpy as np

from superbin.errors import InputError
from superbin.export.entry import Entry
from superbin.export.simplified import NO_REGION, compared, differences, own_limits

__all__ = ["files"]


def files(entry: Entry) -> Mapping[str, bytes]:
    """``NAME.info``; the error of a region is the mean of both sides, or the root of its variance in the covariance."""
    if not entry.regions:
        raise InputError(NO_REGION)
    name = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in entry.search)
    variances = entry.variances()
    root = ET.Element("analysis", {"id": name, "cov_subset": "aggregates"})
    ET.SubElement(root, "lumi").text = repr(entry.luminosity_fb)
    for i, region in enumerate(entry.regions):
        part = ET.SubElement(
            root, "region", {"type": "signal", "id": region.name, "cov_subset": "aggregates"}
        )
        ET.SubElement(part, "nobs").text = str(region.observed)
        ET.SubElement(part, "nb").text = repr(float(region.background.nominal))
        ET.SubElement(part, "deltanb").text = repr(float(np.sqrt(variances[i, i])))
        for j, other in enumerate(entry.regions):
            ET.SubElement(part, "covariance", {"region": other.name}).text = repr(float(variances[i, j]))
    ET.indent(root)
    text = _comment(entry) + ET.tostring(root, encoding="unicode") + "\n"
    return {f"{name}.info": text.encode()}


def _comment(entry: Entry) -> str:
    """What the entry is, as a comment before the root: the parser of MadAnalysis takes every child of the root for a part of the model."""
    lines = [
        f"{entry.search}: {entry.reference}; superbin {entry.made_by}, search digest {entry.digest}",
        "backgrounds are Gaussian here, their errors the mean of both sides or the roots of the covariance's diagonal",
    ]
    if chosen := compared(entry.points):
        lines += differences(own_limits(entry, entry.points[i]) for i in chosen)
    # "--" must not be in a comment of XML.
    return "<!--\n" + "\n".join(" ".join(line.split()).replace("--", "- -") for line in lines) + "\n-->\n"
