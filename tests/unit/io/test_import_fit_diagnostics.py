"""Combine's fitDiagnostics as searches: clauses RIMP-11 and RIMP-12. The files are written here by uproot."""

from pathlib import Path
from typing import Any

import hist
import numpy as np
import pytest
import uproot

from superbin.errors import DocumentError, InputError
from superbin.io.imports import Imported, Options, read, recognise

TTBAR = {"sr": [10.0, 4.0], "cr": [20.0, 6.0, 1.0]}
ZNN = {"sr": [5.0, 1.0], "cr": [2.0, 2.0, 2.0]}
SIGNAL = {"sr": [3.0, 2.0], "cr": [0.0, 0.0, 1.0]}
DATA = {"sr": [17.0, 4.0], "cr": [21.0, 9.0, 0.0]}
ERROR = {"sr": [2.0, 1.0], "cr": [3.0, 1.5, 0.5]}
ROWS = ["cr_0", "cr_1", "cr_2", "sr_0", "sr_1"]
# In the order of ROWS.
SPREAD = np.array([3.0, 1.5, 0.5, 2.0, 1.0])
RHO = np.full((5, 5), 0.3) + np.diag(np.full(5, 0.7))
RHO[0, 3] = RHO[3, 0] = 0.8


def shape(values: Any, errors: Any) -> Any:
    h: Any = hist.Hist(hist.axis.Regular(len(values), 0, len(values)), storage=hist.storage.Weight())
    h.view().value[:] = values
    h.view().variance[:] = np.square(errors)
    return h


def graph(values: Any) -> Any:
    return uproot.as_TGraph({"x": np.arange(len(values)) + 0.5, "y": np.array(values, dtype=float)})


def labelled(matrix: Any) -> Any:
    h: Any = hist.Hist(hist.axis.StrCategory(ROWS), hist.axis.StrCategory(ROWS))
    h.values()[...] = matrix
    return h


def write(
    path: Path, *, fits: tuple[str, ...] = ("prefit", "fit_b"), overall: bool = True, own: bool = True,
    data: Any = DATA, signal: Any = SIGNAL, total: float = 1.0,
) -> Path:  # fmt: skip
    with uproot.recreate(path) as file:
        for fit in fits:
            factor = 1.0 if fit == "prefit" else 1.1
            for channel in ("sr", "cr"):
                where = f"shapes_{fit}/{channel}"
                n = len(TTBAR[channel])
                ttbar, znn = (np.array(p[channel]) * factor for p in (TTBAR, ZNN))
                file[f"{where}/ttbar"] = shape(ttbar, np.full(n, 0.5))
                file[f"{where}/znn"] = shape(znn, np.full(n, 0.25))
                file[f"{where}/signal"] = shape(signal[channel], np.zeros(n))
                file[f"{where}/total_background"] = shape((ttbar + znn) * total, ERROR[channel])
                file[f"{where}/total_signal"] = shape(signal[channel], np.zeros(n))
                file[f"{where}/data"] = graph(data[channel])
                if own:
                    file[f"{where}/total_covar"] = hist.Hist(
                        hist.axis.Regular(n, 0, n),
                        hist.axis.Regular(n, 0, n),
                        data=np.diag(np.square(ERROR[channel])),
                    )
            if overall:
                file[f"shapes_{fit}/overall_total_covar"] = labelled(RHO * np.outer(SPREAD, SPREAD))
    return path


def imported(path: Path, **mapping: Any) -> Imported:
    return read(path, options=Options(luminosity_fb=36.0, mapping=mapping))


def test_prefit_by_default(tmp_path: Path) -> None:
    """RIMP-11, RIMP-12: all channels, named bins, counts of the graph, and the matrix in the order of the bins."""
    path = write(tmp_path / "fit.root")
    kind = recognise(path)
    assert kind is not None
    assert kind.name == "fitdiagnostics"
    got = imported(path)
    search = got.bundle.search
    assert search.names == ("sr/1", "sr/2", "cr/1", "cr/2", "cr/3")
    assert search.observed.tolist() == [17, 4, 21, 9, 0]
    found = {p.name: p.estimate for p in search.processes}
    assert found.keys() == {"ttbar", "znn"}
    assert found["ttbar"].nominal.tolist() == [10, 4, 20, 6, 1]
    assert found["znn"].nominal.tolist() == [5, 1, 2, 2, 2]
    assert found["znn"].syst_up.tolist() == [0.25] * 5
    assert search.covariance is not None
    order = [3, 4, 0, 1, 2]
    np.testing.assert_allclose(search.covariance.up, (RHO * np.outer(SPREAD, SPREAD))[np.ix_(order, order)])
    # sr/1 with cr/1: 0.8 x 2 x 3.
    assert search.covariance.up[0, 2] == pytest.approx(4.8)
    (signal,) = got.bundle.signals
    assert signal.model == "signal"
    assert signal.yields.tolist() == [3, 2, 0, 0, 1]
    text = "\n".join(got.notes)
    assert "shapes_fit_b: not used, they are post-fit" in text
    assert "that of signal + background; the signal is 6 events here" in text
    assert "1 to 1 times the errors of total_background" in text


def test_post_fit_on_request_only(tmp_path: Path) -> None:
    """RIMP-11: post-fit shapes are read on request only, and with a warning."""
    path = write(tmp_path / "fit.root", signal={"sr": [0.0] * 2, "cr": [0.0] * 3})
    got = imported(path, postfit=True)
    np.testing.assert_allclose(
        got.bundle.search.processes[0].estimate.nominal, np.array([10, 4, 20, 6, 1]) * 1.1
    )
    assert got.bundle.signals == ()
    text = "\n".join(got.notes)
    assert "WARNING: shapes_fit_b are post-fit" in text
    assert "the signal is 0 here, so it is the background's" in text
    only = write(tmp_path / "only.root", fits=("fit_b",))
    with pytest.raises(
        InputError,
        match=r"has no shapes_prefit, only shapes_fit_b; post-fit shapes use the observed counts twice",
    ):
        imported(only)
    with pytest.raises(InputError, match="postfit is 'fit_b'; it must be true or false"):
        imported(path, postfit="fit_b")
    with pytest.raises(InputError, match="has no shapes_fit_b, only shapes_prefit"):
        imported(write(tmp_path / "before.root", fits=("prefit",)), postfit=True)


def test_channels(tmp_path: Path) -> None:
    """RIMP-12: of one channel its own matrix serves where there is no overall one; of several it does not."""
    path = write(tmp_path / "fit.root", overall=False)
    one = imported(path, channels=["cr"]).bundle.search
    assert one.names == ("cr/1", "cr/2", "cr/3")
    assert one.covariance is not None
    np.testing.assert_allclose(one.covariance.up, np.diag([9, 2.25, 0.25]))
    got = imported(path)
    both = got.bundle.search
    assert both.covariance is None
    (background,) = both.processes
    assert background.estimate.nominal.tolist() == [15, 5, 22, 8, 3]
    assert background.estimate.syst_up.tolist() == [2, 1, 3, 1.5, 0.5]
    assert "--saveOverallShapes" in "\n".join(got.notes)
    with pytest.raises(InputError, match="no channel 'x' in shapes_prefit/; there are sr, cr"):
        imported(path, channels=["x"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": {"sr": [17.5, 4.0], "cr": [1.0, 1.0, -1.0]}},
            "2 faults: sr/data is 17.5 in bin 1.*cr/data is -1 in bin 3",
        ),
        ({"total": 1.2}, "the backgrounds add up to 15 in bin 1 and total_background is 18"),
    ],
)
def test_faults(changes: Any, message: str, tmp_path: Path) -> None:
    """RIMP-11, RIMP-12: bad observed counts and backgrounds that miss their total are refused."""
    with pytest.raises(DocumentError, match=message):
        imported(write(tmp_path / "fit.root", **changes))


def test_signals_by_mapping(tmp_path: Path) -> None:
    """RIMP-12: a signal that is named; an unknown one, and an unknown key, are refused."""
    path = write(tmp_path / "fit.root")
    assert imported(path, signals=["signal"]).bundle.search.digest == imported(path).bundle.search.digest
    with pytest.raises(InputError, match="signal 'x' is not a process; there are signal, ttbar, znn"):
        imported(path, signals=["x"])
    with pytest.raises(InputError, match="nothing reads the key 'observed'"):
        imported(path, observed="data")
