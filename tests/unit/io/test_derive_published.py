"""From the collaboration's files to the packaged tables of published results, on made-up files: PUB-1, TAB-14."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from superbin.errors import DocumentError, InputError

VALIDATION = Path(__file__).parents[3] / "validation"


def load(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        path.replace("/", "_").removesuffix(".py"), VALIDATION / path
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nearest_bins_of_a_map() -> None:
    """PUB-1: the nearest bin, the lower of two as near; empty bins and points beyond the map are left out; pb becomes fb."""
    derive = load("published_limits/derive.py")
    x, y = np.arange(605.0, 700, 10), np.arange(6.0, 100, 10)
    pb = np.add.outer(x, y / 1000)
    pb[0, 0] = 0.0
    found, far = derive.lattice((x, y, pb))
    assert sorted(found) == [
        (m, n) for m in (600, 650, 700) for n in (1, 25, 50, 75, 100) if (m, n) != (600, 1)
    ]
    assert found[650, 25] == pytest.approx(1000 * (645 + 0.026))
    assert found[700, 1] == pytest.approx(1000 * (695 + 0.006))
    assert far == (5, 5)


def test_missing_folder(tmp_path: Path) -> None:
    """PUB-1: the file that is missing is named."""
    derive = load("published_limits/derive.py")
    with pytest.raises(InputError, match=r"Figure_010-b.root: there is no such file; name the folder"):
        derive.tables(tmp_path, derive.FIGURES["cms-pas-sus-16-014"])


ROW = (
    r"{} & 500-750 & 1000+ & 5-6 & 2 & $2.0^{{+1.2+0.4}}_{{-1.0-0.4}}$ & $2.18^{{+0.84+0.43}}_{{-0.71-0.42}}$ & "
    r"$2.29^{{+0.65+0.43}}_{{-0.64-0.38}}$ & $0.00^{{+0.02+0.00}}_{{-0.00--0.00}}$ & $105^{{+10+ 8}}_{{-11- 9}}$ & 97 \\ \hline"
)


def test_rows_of_the_table() -> None:
    """TAB-14: the columns kept, as printed: value, stat up and down, syst up and down."""
    transcribe = load("published_table/transcribe.py")
    first, second = transcribe.rows("\n".join(["Bin & x", ROW.format(1), ROW.format(2), r"\end{tabular}"]))
    assert first == ["1", "97", "2.29", "0.65", "0.64", "0.43", "0.38", "105", "10", "11", "8", "9"]
    assert second[0] == "2"
    assert len(transcribe.COLUMNS) == len(first)
    with pytest.raises(DocumentError, match="without gaps"):
        transcribe.rows(ROW.format(2))
    with pytest.raises(DocumentError, match="no value with two errors"):
        transcribe.rows(ROW.format(1).replace("$2.29^", "$2.29"))
