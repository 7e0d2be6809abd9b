"""The likelihood of an imported search with any signal, against pyhf's limits of the same workspace."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyhf
import pytest

from superbin.analysis.answer import likelihood_answer
from superbin.analysis.details import uncertainty_sources
from superbin.catalog import Catalog, open_catalog
from superbin.cli import main
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.io.imports import Options, read
from superbin.likelihood import PublishedLikelihood
from superbin.likelihood.imported import ImportedLikelihood
from superbin.scan import Settings, prepare, run_scan, scan_point

if TYPE_CHECKING:
    from superbin.likelihood.model import Systematics

JES = {"name": "jes", "type": "histosys", "data": {"hi_data": [11.4, 4.6], "lo_data": [9.3, 3.7]}}
BACKGROUND = {
    "name": "ttbar",
    "data": [10.2, 4.1],
    "modifiers": [{"name": "norm", "type": "normfactor", "data": None}, JES],
}
CONTROL = {
    "name": "ttbar",
    "data": [80.0],
    "modifiers": [{"name": "norm", "type": "normfactor", "data": None}],
}
ALONE: dict[str, Any] = {
    "version": "1.0.0",
    "channels": [{"name": "SR", "samples": [BACKGROUND]}, {"name": "CR", "samples": [CONTROL]}],
    "observations": [{"name": "SR", "data": [12, 3]}, {"name": "CR", "data": [84]}],
    "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
}
MU = {"name": "mu", "type": "normfactor", "data": None}
XS = {"name": "eff", "type": "normsys", "data": {"hi": 1.2, "lo": 0.85}}


def operations(in_control: float, modifiers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A JSON Patch that adds a signal, in the control region too."""
    samples = {"SR": [1.8, 2.2], "CR": [in_control]}
    return [
        {
            "op": "add",
            "path": f"/channels/{i}/samples/-",
            "value": {"name": "signal", "data": samples[name], "modifiers": [MU, *modifiers]},
        }
        for i, name in enumerate(("SR", "CR"))
    ]


def pyhf_cls(patch: list[dict[str, Any]], observed: float, median: float) -> tuple[float, float]:
    """CLs by pyhf of a patched workspace: of the data at one strength, and of the median outcome at another."""
    import jsonpatch

    workspace = pyhf.Workspace(jsonpatch.apply_patch(ALONE, patch))
    model = workspace.model()
    data = workspace.data(model)
    seen = pyhf.infer.hypotest(observed, data, model, test_stat="qtilde")
    _, expected = pyhf.infer.hypotest(median, data, model, test_stat="qtilde", return_expected=True)
    return float(seen), float(expected)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A background and a patch set, as HEPData archives have them."""
    place = tmp_path / "atlas"
    place.mkdir()
    (place / "BkgOnly.json").write_text(json.dumps(ALONE))
    metadata = {
        "name": "stop_500_100",
        "values": [500, 100],
    }
    patch_set = {
        "version": "1.0.0",
        "metadata": {
            "name": "stops",
            "description": "signals",
            "labels": ["m_stop", "m_lsp"],
            "references": {"hepdata": "ins1"},
            "digests": {"sha256": pyhf.utils.digest(ALONE)},
        },
        "patches": [{"metadata": metadata, "patch": operations(6.0, [XS])}],
    }
    (place / "patchset.json").write_text(json.dumps(patch_set))
    return place


def test_a_patch_is_used_as_it_is(folder: Path) -> None:
    """RES-9: without and with its uncertainties, with what it adds to the control region; limits of pyhf."""
    found = read(folder, options=Options(luminosity_fb=139.0, mapping={"channels": ["SR"]})).bundle
    with open_catalog("sqlite://") as catalog:
        catalog.add(found)
        likelihood = catalog.open_likelihood(found.search.name)
        signal = catalog.signal(found.search.name, "stop", (500, 100))
    assert isinstance(likelihood, ImportedLikelihood)
    answer = likelihood_answer(likelihood, signal)
    assert (answer.kind, answer.channels) == ("full", 2)
    for uncertain, modifiers in ((False, []), (True, [XS])):
        limit = answer.limit(uncertain=uncertain)
        assert limit is not None
        assert limit.mu.observed is not None
        assert limit.mu.median is not None
        found_cls = pyhf_cls(operations(6.0, modifiers), limit.mu.observed, limit.mu.median)
        assert found_cls == pytest.approx((0.05, 0.05), rel=1e-3)


def test_another_signal_takes_the_place_of_the_published_ones(folder: Path) -> None:
    """RES-9: yields that no patch has, with variations of their own; nothing in the control region."""
    found = read(folder, options=Options(luminosity_fb=139.0, mapping={"channels": ["SR"]})).bundle
    likelihood = ImportedLikelihood.from_files(found.files, found.search.names, name="x")
    up, down = np.array([3.0, 1.2]) * 1.2, np.array([3.0, 1.2]) * 0.85
    signal = SignalModel(
        "T2tt",
        {"m": 1.0},
        found.search.name,
        np.array([3.0, 1.2]),
        np.zeros(2),
        variations={"eff": (up, down)},
    )
    answer = likelihood_answer(likelihood, signal)
    shape = {
        "name": "eff",
        "type": "histosys",
        "data": {"hi_data": up.tolist(), "lo_data": down.tolist()},
    }
    for uncertain, modifiers in ((False, []), (True, [shape])):
        patch = operations(0.0, modifiers)[:1]
        patch[0]["value"]["data"] = [3.0, 1.2]
        limit = answer.limit(uncertain=uncertain)
        assert limit is not None
        assert limit.mu.observed is not None
        assert limit.mu.median is not None
        assert pyhf_cls(patch, limit.mu.observed, limit.mu.median) == pytest.approx((0.05, 0.05), rel=1e-3)


def test_a_folder_with_a_workspace_is_opened(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """CLI-78: with the patch beside it; of several workspaces one has to be named."""
    patch = folder / "patchset.json"
    with pytest.raises(SystemExit) as stop:
        main(["likelihood", "limit", str(folder), "--patch", str(patch), "--json"])
    assert stop.value.code == 0
    limit = json.loads(capsys.readouterr().out)
    found_cls = pyhf_cls(operations(6.0, [XS]), limit["observed"], limit["expected"])
    assert found_cls == pytest.approx((0.05, 0.05), rel=1e-3)
    (folder / "other.json").write_text(json.dumps(ALONE))
    with pytest.raises(SystemExit) as stop:
        main(["likelihood", "limit", str(folder)])
    assert stop.value.code == 2
    assert "holds several workspaces, BkgOnly.json, other.json; name one of them" in capsys.readouterr().err


def test_scans_and_commands_use_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """SCAN-3, CLI-78: limits of the likelihood that a search was imported with are those of pyhf, in both."""
    database = folder.parent / "a.sqlite"
    found = read(folder, options=Options(luminosity_fb=139.0, mapping={"channels": ["SR"]})).bundle
    with open_catalog(database) as catalog:
        catalog.add(found)
        likelihood = catalog.open_likelihood(found.search.name)
        signal = catalog.signal(found.search.name, "stop", (500, 100))
    for systematics, modifiers in (("none", []), ("published", [XS])):
        chosen: Systematics = "none" if systematics == "none" else "published"
        settings = Settings(likelihood_limit=True, systematics=chosen)
        point = scan_point(signal, prepare(found.search, settings, likelihood))
        assert point.likelihood_limit is not None
        arguments = f"likelihood limit {found.search.name} stop 500 100 --systematics {systematics} --json"
        with pytest.raises(SystemExit) as stop:
            main([*arguments.split(), "--database", str(database)])
        assert stop.value.code == 0
        document = json.loads(capsys.readouterr().out)
        assert document["likelihood"] == "likelihood as imported"
        values = point.likelihood_limit.observed, point.likelihood_limit.median
        assert values == (document["observed"], document["expected"])
        observed, median = values
        assert observed is not None
        assert median is not None
        found_cls = pyhf_cls(operations(6.0, modifiers), observed, median)
        assert found_cls == pytest.approx((0.05, 0.05), rel=1e-3)
    scanned = run_scan(
        found.search, [signal], settings=Settings(likelihood_limit=True), likelihood=likelihood
    )
    assert scanned.points[0].likelihood_limit == point.likelihood_limit
    with pytest.raises(InputError, match="systematics 'global' are not known of it; choose published"):
        prepare(found.search, Settings(likelihood_limit=True, systematics="global"), likelihood)


def test_monte_carlo_errors_and_a_common_error_widen_a_limit(folder: Path) -> None:
    """RES-9: uncertainties that come with a signal are in the second limit alone."""
    found = read(folder, options=Options(luminosity_fb=139.0, mapping={"channels": ["SR"]})).bundle
    likelihood = ImportedLikelihood.from_files(found.files, found.search.names, name="x")
    signal = SignalModel(
        "T2tt", {"m": 1.0}, found.search.name, np.array([3.0, 1.2]), np.array([0.6, 0.4]), relative_error=0.2
    )
    exact, uncertain = (one.mu.observed for one in likelihood_answer(likelihood, signal).limits)
    assert exact is not None
    assert uncertain is not None
    assert exact < uncertain < 1.3 * exact


def test_sources_of_uncertainty_are_those_of_the_workspace(folder: Path) -> None:
    """RES-21: events that one standard deviation of each constrained parameter moves, before any fit."""
    found = read(folder, options=Options(luminosity_fb=139.0, mapping={"channels": ["SR"]})).bundle
    likelihood = ImportedLikelihood.from_files(found.files, found.search.names, name="x")
    (only,) = uncertainty_sources(likelihood, [1, 2])
    assert only.name == "jes"
    assert (only.up, only.down) == pytest.approx((1.7, -1.3))


def test_sources_of_uncertainty_are_sorted(tmp_path: Path) -> None:
    """RES-21: the largest shift first, of either side: 20 events by ``b``, 10 and 12 by the others."""
    card = tmp_path / "three.txt"
    card.write_text(
        "imax 1\njmax 1\nkmax 3\nbin r\nobservation 100\nbin r r\nprocess s t\nprocess 0 1\nrate 5 100\n"
        "a lnN - 1.1\nb lnN - 0.8/1.01\nc lnN - 1.12\n"
    )
    found = read(card, options=Options(luminosity_fb=139.0)).bundle
    likelihood = ImportedLikelihood.from_files(found.files, found.search.names, name="three")
    sources = uncertainty_sources(likelihood, [1])
    assert [one.name for one in sources] == ["b", "c", "a"]
    assert (sources[0].up, sources[0].down) == pytest.approx((1.0, -20.0))


def test_datacards_with_two_signals_answer_for_one(tmp_path: Path) -> None:
    """RES-9: the other signal process of a card is not there; limit of pyhf for the same count."""
    card = tmp_path / "two.txt"
    card.write_text(
        "imax 1\njmax 2\nkmax 1\nbin a\nobservation 12\n"
        "bin a a a\nprocess ggH qqH bkg\nprocess -1 0 1\nrate 4 2 10\nlumi lnN 1.1 1.1 1.2\n"
    )
    found = read(card, options=Options(luminosity_fb=139.0)).bundle
    likelihood = ImportedLikelihood.from_files(found.files, found.search.names, name="two")
    (signal,) = (s for s in found.signals if s.model == "qqH")
    limit = likelihood_answer(likelihood, signal).limit(uncertain=False)
    assert limit is not None
    sample = {
        "name": "bkg",
        "data": [10.0],
        "modifiers": [{"name": "lumi", "type": "normsys", "data": {"hi": 1.2, "lo": 1 / 1.2}}],
    }
    document = {
        "version": "1.0.0",
        "channels": [{"name": "a", "samples": [sample, {"name": "qqH", "data": [2.0], "modifiers": [MU]}]}],
        "observations": [{"name": "a", "data": [12]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}],
    }
    workspace = pyhf.Workspace(document)
    pdf = workspace.model(modifier_settings={"normsys": {"interpcode": "code1"}})
    assert limit.mu.observed is not None
    cls = pyhf.infer.hypotest(limit.mu.observed, workspace.data(pdf), pdf, test_stat="qtilde")
    assert float(cls) == pytest.approx(0.05, rel=1e-3)


def test_bins_that_the_likelihood_does_not_have_are_named() -> None:
    """RES-9: a search whose bins were renamed."""
    files = {"workspace.json": json.dumps(ALONE).encode()}
    with pytest.raises(InputError, match="bin 'SR1' of the search is not in its likelihood"):
        ImportedLikelihood.from_files(files, ["SR1"], name="x")


def test_a_search_without_a_likelihood_has_none(packaged_catalog: Catalog) -> None:
    """RES-9: nothing is opened; the packaged one is the published form."""
    assert packaged_catalog.open_likelihood("cms-sus-16-033") is None
    assert isinstance(packaged_catalog.open_likelihood("cms-pas-sus-16-014"), PublishedLikelihood)
