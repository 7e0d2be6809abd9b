"""The region file of MadAnalysis 5: observed, background and error of every region, with the covariance between them.

Format: E. Conte and B. Fuks, Int. J. Mod. Phys. A 33 (2018) 1830027, arXiv:1808.00480; covariances as in arXiv:1910.11418.
"""

from collections.abc import Mapping
from xml.etree import ElementTree as ET

import numpy as np

from superbin.errors import InputError
from superbin.export.entry import Entry

__all__ = ["files"]


def files(entry: Entry) -> Mapping[str, bytes]:
    """``NAME.info``; the error of a region is the mean of both sides, or the root of its variance in the covariance."""
    if not entry.regions:
        raise InputError(
            "a scan has an aggregate bin of its own at every point and no common region, which the format needs; "
            "export one result, or a bundle of k regions that superbin common designed"
        )
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
    return {f"{name}.info": ET.tostring(root, encoding="utf-8", xml_declaration=False) + b"\n"}
