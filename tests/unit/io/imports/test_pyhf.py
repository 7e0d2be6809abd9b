"""Workspaces of pyhf as searches: their numbers against pyhf's own expectations."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonpatch
import numpy as np
import pyhf
import pytest

from superbin.errors import InputError
from superbin.io.imports import Imported, Options, read, recognise

SIGNAL: Any = {
    "name": "GG_1500_100",
    "data": [3.0, 2.0],
    "modifiers": [
        {"name": "mu", "type": "normfactor", "data": None},
        {"name": "jes", "type": "histosys", "data": {"hi_data": [3.3, 2.5], "lo_data": [2.8, 1.8]}},
        {"name": "xsec", "type": "normsys", "data": {"hi": 1.2, "lo": 0.85}},
        {"name": "mcstat_SR", "type": "staterror", "data": [0.2, 0.1]},
    ],
}
WORKSPACE: Any = {
    "version": "1.0.0",
    "channels": [
        {
            "name": "SR",
            "samples": [
                {
                    "name": "ttbar",
                    "data": [10.0, 4.0],
                    "modifiers": [
                        {"name": "mu_ttbar", "type": "normfactor", "data": None},
                        {"name": "jes", "type": "histosys", "data": {"hi_data": [11.0, 3.5], "lo_data": [9.5, 4.75]}},
                        {"name": "lumi", "type": "lumi", "data": None},
                        {"name": "mcstat_SR", "type": "staterror", "data": [0.5, 0.4]},
                    ],
                },
                {
                    "name": "znn",
                    "data": [5.0, 1.0],
                    "modifiers": [
                        {"name": "xsec", "type": "normsys", "data": {"hi": 1.1, "lo": 0.95}},
                        {"name": "jes", "type": "normsys", "data": {"hi": 0.9, "lo": 1.2}},
                        {"name": "lumi", "type": "lumi", "data": None},
                    ],
                },
                {
                    "name": "fakes",
                    "data": [2.0, 0.5],
                    "modifiers": [{"name": "fakes_SR", "type": "shapesys", "data": [0.8, 0.3]}],
                },
            ],
        },
        {
            "name": "CR",
            "samples": [{"name": "ttbar", "data": [100.0], "modifiers": [{"name": "mu_ttbar", "type": "normfactor", "data": None}]}],
        },
    ],
    "observations": [{"name": "SR", "data": [18.0, 5.0]}, {"name": "CR", "data": [103.0]}],
    "measurements": [
        {
            "name": "m",
            "config": {
                "poi": "mu",
                "parameters": [
                    {"name": "lumi", "auxdata": [1.0], "bounds": [[0.5, 1.5]], "inits": [1.0], "sigmas": [0.02]}
                ],
            },
        }
    ],
}  # fmt: skip


def with_signal(signal: Any = SIGNAL) -> Any:
    document = copy.deepcopy(WORKSPACE)
    document["channels"][0]["samples"].append(signal)
    return document


def imported(path: Path, document: Any, **mapping: Any) -> Imported:
    path.write_text(json.dumps(document))
    return read(path, options=Options(luminosity_fb=139.0, mapping=mapping))


def shifts(document: Any, mu: float) -> tuple[Any, dict[str, tuple[Any, Any]]]:
    """What pyhf expects in the signal region, and its changes by one standard deviation of each constrained parameter."""
    model = pyhf.Workspace(document).model()
    start = np.array(model.config.suggested_init())
    start[model.config.poi_index] = mu
    place = model.config.channel_slices["SR"]

    def expected(x: Any) -> Any:
        return np.array(model.expected_actualdata(x))[place]

    found = {}
    for name, values in model.config.par_map.items():
        where = values["slice"]
        if not values["paramset"].constrained:
            continue
        widths = (
            values["paramset"].width()
            if values["paramset"].pdf_type == "normal"
            else np.array(values["paramset"].factors) ** -0.5
        )
        for k, width in zip(range(where.start, where.stop), widths, strict=True):
            sides = []
            for sign in (1, -1):
                x = start.copy()
                x[k] += sign * width
                sides.append(expected(x) - expected(start))
            found[f"{name}[{k}]"] = (sides[0], sides[1])
    return expected(start), found


def test_backgrounds_and_covariance(tmp_path: Path) -> None:
    """IMP-13: nominal, asymmetric errors and covariance are those of pyhf's expectations without signal."""
    result = imported(tmp_path / "mine.json", with_signal())
    importer = recognise(tmp_path / "mine.json")
    assert importer is not None
    assert importer.name == "pyhf"
    search = result.bundle.search
    assert search.names == ("SR[0]", "SR[1]")
    assert search.observed.tolist() == [18, 5]
    assert [p.name for p in search.processes] == ["ttbar", "znn", "fakes"]
    total, changes = shifts(with_signal(), 0.0)
    np.testing.assert_allclose(sum(p.estimate.nominal for p in search.processes), total, rtol=1e-12)
    assert search.covariance is not None
    for side, factor in (("up", 1), ("down", -1)):
        rows = []
        for above, below in changes.values():
            sign = np.where(above - below < 0, -1, 1)
            rows.append(sign * np.maximum(np.maximum(factor * above, factor * below), 0))
        np.testing.assert_allclose(
            getattr(search.covariance, side), np.transpose(rows) @ rows, rtol=1e-9, atol=1e-12
        )
    fakes = search.processes[2].estimate
    np.testing.assert_allclose(fakes.stat_up, [0.8, 0.3], rtol=1e-12)
    znn = search.processes[1].estimate
    # xsec +10 -5 %, jes -10 +20 %, lumi 2 %.
    np.testing.assert_allclose(znn.syst_up[0], 5 * np.sqrt(0.1**2 + 0.2**2 + 0.02**2), rtol=1e-12)
    np.testing.assert_allclose(znn.syst_down[0], 5 * np.sqrt(0.05**2 + 0.1**2 + 0.02**2), rtol=1e-12)
    text = "\n".join(result.notes)
    assert "not used as bins: CR" in text
    assert "free parameters mu_ttbar stay where they start" in text
    assert json.loads(result.bundle.files["workspace.json"]) == with_signal()


def test_signal(tmp_path: Path) -> None:
    """IMP-13: yields at a signal strength of one, Monte Carlo errors, and variations by parameter."""
    (signal,) = imported(tmp_path / "mine.json", with_signal()).bundle.signals
    assert signal.label == "GG(1500, 100)"
    assert signal.yields.tolist() == [3, 2]
    # The statistical error is shared with the backgrounds: (0.5^2 + 0.2^2)^0.5 of 13 events, as pyhf has it.
    np.testing.assert_allclose(
        signal.errors, [3 * np.hypot(0.5, 0.2) / 13, 2 * np.hypot(0.4, 0.1) / 6], rtol=1e-12
    )
    assert {name: np.round(sides, 12).tolist() for name, sides in signal.variations.items()} == {
        "jes": [[3.3, 2.5], [2.8, 1.8]],
        "xsec": [[3.6, 2.4], [2.55, 1.7]],
    }


def patch_set(*points: tuple[int, int]) -> Any:
    return {
        "metadata": {"name": "s", "description": "", "digests": {}, "labels": ["m_gluino", "m_lsp"], "references": {}},
        "version": "1.0.0",
        "patches": [
            {
                "metadata": {"name": f"GG_{one}_{other}", "values": [one, other]},
                "patch": [{"op": "add", "path": "/channels/0/samples/0", "value": SIGNAL | {"data": [one / 500, 1.0]}}],
            }
            for one, other in points
        ],
    }  # fmt: skip


def test_background_with_patches(tmp_path: Path) -> None:
    """IMP-13: an archive as HEPData has it; the signals of all patches with the parameters that they state."""
    folder = tmp_path / "SUSY-1"
    folder.mkdir()
    (folder / "BkgOnly.json").write_text(json.dumps(WORKSPACE))
    (folder / "patchset.json").write_text(json.dumps(patch_set((1500, 100), (2000, 1))))
    result = read(folder, options=Options(luminosity_fb=139.0))
    assert result.kind == "pyhf"
    assert result.bundle.search.name == "susy-1"
    assert {s.label: s.yields.tolist() for s in result.bundle.signals} == {
        "GG(1500, 100)": [3, 1],
        "GG(2000, 1)": [4, 1],
    }
    first = result.bundle.signals[0]
    assert dict(first.parameters) == {"m_gluino": 1500, "m_lsp": 100}
    np.testing.assert_allclose(first.errors, [0.2, 0.1], rtol=1e-12)
    broken = patch_set((1500, 100))
    broken["patches"][0]["patch"][0]["path"] = "/channels/7/samples/0"
    (folder / "patchset.json").write_text(json.dumps(broken))
    notes = read(folder, options=Options(luminosity_fb=139.0)).notes
    assert any("1 patch not used, such as GG_1500_100" in note for note in notes)


def test_channels_by_mapping(tmp_path: Path) -> None:
    """IMP-13: any channel may be a bin; an unknown one is refused."""
    result = imported(tmp_path / "mine.json", with_signal(), channels=["CR", "SR"])
    assert result.bundle.search.names == ("CR", "SR[0]", "SR[1]")
    with pytest.raises(InputError, match="no channel 'x'; there are CR, SR"):
        imported(tmp_path / "mine.json", with_signal(), channels=["x"])


def test_refused(tmp_path: Path) -> None:
    """IMP-13, IMP-2: Asimov data and negative backgrounds in one report; zero on request."""
    document = with_signal()
    document["observations"][0]["data"] = [18.5, 5.0]
    document["channels"][0]["samples"][2]["data"] = [2.0, -0.5]
    document["channels"][0]["samples"][2]["modifiers"] = []
    with pytest.raises(
        InputError, match=r"2 faults: observed is 18.5 in SR\[0\].*fakes is -0.5 in SR\[1\].*\"negative\""
    ):
        imported(tmp_path / "mine.json", document)
    document["observations"][0]["data"] = [18.0, 5.0]
    search = imported(tmp_path / "mine.json", document, negative="zero").bundle.search
    assert search.processes[2].estimate.nominal.tolist() == [2, 0]


def test_background_patches_and_both_together(tmp_path: Path) -> None:
    """IMP-13: a folder as `likelihood export` writes it; a second workspace that is no patched first is still a question."""
    background = WORKSPACE | {"measurements": [WORKSPACE["measurements"][0]]}
    patches = patch_set((1500, 100), (2000, 1))
    whole = jsonpatch.apply_patch(background, patches["patches"][1]["patch"])
    whole["channels"] = whole["channels"][::-1]  # whose order means nothing
    for name, content in (("background", background), ("patchset", patches), ("workspace", whole)):
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    (tmp_path / "report.json").write_text("{}")
    result = read(tmp_path, options=Options(luminosity_fb=10.0))
    name = patches["patches"][1]["metadata"]["name"]
    assert (
        f"workspace.json: not used, it is background.json with patch {name} of patchset.json" in result.notes
    )
    assert len(result.bundle.signals) == 2
    whole["channels"][0]["samples"][0]["data"][0] += 1
    (tmp_path / "workspace.json").write_text(json.dumps(whole))
    with pytest.raises(InputError, match="2 workspaces among background.json"):
        read(tmp_path, options=Options(luminosity_fb=10.0))
