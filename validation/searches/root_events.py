"""Events of public ROOT files counted by superbin, beside sums by NumPy on what uproot reads.

The files are in the package scikit-hep-testdata (folder ``skhep_testdata/data``): ``uproot-HZZ.root``, whose weights are in single
precision, and 200 simulated events of CMS Open Data, of which some have negative weights.
Run: ``python validation/searches/root_events.py FOLDER``, the folder that holds the two files.
"""

import itertools
import sys
from pathlib import Path

import numpy as np
import uproot

from superbin.domain.search import Search
from superbin.io.signals import signal_from_tree


def compare(path: Path, tree: str, observable: str, weight: str, edges: list[float]) -> bool:
    n_bins = len(edges) - 1
    search = Search.from_arrays(
        "check", observed=[0] * n_bins, background=[1.0] * n_bins, luminosity_fb=1, edges={observable: edges}
    )
    made = signal_from_tree(path, tree, search, weight=weight, chunk=1000)
    with uproot.open(path) as file:
        arrays = file[tree].arrays([observable, weight], library="np")
    x, w = arrays[observable].astype(float), arrays[weight].astype(float)
    inside = [w[(x > low) & (x <= high)] for low, high in itertools.pairwise(edges)]
    expected, squares = [part.sum() for part in inside], [(part**2).sum() for part in inside]
    good = np.allclose(made.yields, expected, rtol=1e-12) and np.allclose(
        made.errors, np.sqrt(squares), rtol=1e-12
    )
    print(
        f"{path.name}: total {made.yields.sum():.6f}, all events of the file {w.sum():.6f}; bins agree: {good}"
    )
    print(f"    {made.source}")
    return bool(good)


def main() -> None:
    folder = Path(sys.argv[1])
    results = [
        compare(folder / "uproot-HZZ.root", "events", "NMuon", "EventWeight", [0, 1, 2, 10]),
        compare(
            folder / "nanoAOD_2015_CMS_Open_Data_ttbar.root",
            "Events",
            "MET_pt",
            "genWeight",
            [0, 20, 50, 100, np.inf],
        ),
    ]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
