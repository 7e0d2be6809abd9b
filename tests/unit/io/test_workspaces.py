"""Reading HistFactory JSON: what is accepted as pyhf accepts it, what is refused and how (ENG-14 to ENG-17)."""

import copy
import gzip
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superbin.errors import DocumentError, InputError, SuperbinError, UnknownNameError
from superbin.io.workspaces import model_from_workspace, patched, patches, read_workspace
from superbin.likelihood import read
from superbin.statistical_model import Normal, Poisson

Document = dict[str, Any]


def document() -> Document:
    """Two channels, the second in the alphabet first."""
    signal = {
        "name": "s",
        "data": [2.0, 1.0],
        "modifiers": [{"name": "mu", "type": "normfactor", "data": None}],
    }
    background = {
        "name": "b",
        "data": [10.0, 5.0],
        "modifiers": [
            {"name": "jes", "type": "normsys", "data": {"lo": 0.9, "hi": 1.1}},
            {"name": "tilt", "type": "histosys", "data": {"lo_data": [9.0, 6.0], "hi_data": [11.0, 4.0]}},
            {"name": "mc", "type": "shapesys", "data": [1.0, 0.0]},
            {"name": "lumi", "type": "lumi", "data": None},
        ],
    }
    control = {
        "name": "b",
        "data": [50.0],
        "modifiers": [{"name": "st", "type": "staterror", "data": [5.0]}],
    }
    return {
        "channels": [{"name": "SR", "samples": [signal, background]}, {"name": "CR", "samples": [control]}],
        "observations": [{"name": "SR", "data": [12.0, 5.0]}, {"name": "CR", "data": [49.0]}],
        "measurements": [
            {
                "name": "first",
                "config": {
                    "poi": "mu",
                    "parameters": [
                        {
                            "name": "lumi",
                            "auxdata": [1.0],
                            "sigmas": [0.03],
                            "bounds": [[0.8, 1.2]],
                            "inits": [1.0],
                        },
                        {"name": "mu", "bounds": [[0.0, 5.0]], "inits": [0.5]},
                        {"name": "jes", "fixed": True, "inits": [0.25]},
                    ],
                },
            },
            {
                "name": "second",
                "config": {
                    "poi": "",
                    "parameters": [
                        {
                            "name": "lumi",
                            "auxdata": [2.0],
                            "sigmas": [0.1],
                            "bounds": [[1.0, 3.0]],
                            "inits": [2.0],
                        }
                    ],
                },
            },
        ],
        "version": "1.0.0",
    }


def test_measurement_is_applied() -> None:
    """ENG-14: bounds, initial values, fixed parameters and auxiliary data of the measurement, others by default."""
    model = model_from_workspace(document())
    found = {p.name: p for p in model.parameters}
    assert model.signal_strengths == ("mu",)
    assert [c.name for c in model.channels] == ["CR", "SR"]
    assert set(found) == {"mu", "jes", "tilt", "mc[0]", "mc[1]", "lumi", "st[0]"}
    assert (found["mu"].initial, found["mu"].upper, found["mu"].constraint) == (0.5, 5.0, None)
    assert found["jes"].fixed
    assert found["jes"].initial == 0.25
    assert found["lumi"].constraint == Normal(1.0, 0.03)
    assert found["mc[0]"].constraint == Poisson(100.0, 100.0)
    assert found["mc[1]"].fixed
    assert found["st[0]"].constraint == Normal(1.0, 0.1)
    assert (found["st[0]"].lower, found["st[0]"].upper) == (1e-10, 10.0)


def test_other_measurement_and_no_parameter_of_interest() -> None:
    """ENG-14: a measurement is chosen by name; without a parameter of interest there are fits but no limits."""
    model = model_from_workspace(document(), measurement="second")
    assert model.signal_strengths == ()
    assert {p.name: p for p in model.parameters}["lumi"].constraint == Normal(2.0, 0.1)
    with pytest.raises(UnknownNameError, match="has no measurement 'third'; it has first, second"):
        model_from_workspace(document(), measurement="third")


def test_files_and_patches(tmp_path: Path) -> None:
    """ENG-14, ENG-16: a file, gzip-compressed or not, with a patch or one of a patch set."""
    space = document()
    space["channels"][0]["samples"].pop(0)
    patch = [{"op": "add", "path": "/channels/0/samples/0", "value": document()["channels"][0]["samples"][0]}]
    digest = hashlib.sha256(json.dumps(space, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    patch_set = {
        "metadata": {"digests": {"sha256": digest}, "labels": ["m"], "description": "", "references": {}},
        "patches": [{"metadata": {"name": f"p{i}", "values": [i]}, "patch": patch} for i in range(2)],
        "version": "1.0.0",
    }
    (tmp_path / "bkg.json.gz").write_bytes(gzip.compress(json.dumps(space).encode()))
    (tmp_path / "patch.json").write_text(json.dumps(patch))
    (tmp_path / "set.json").write_text(json.dumps(patch_set))
    whole = model_from_workspace(document())
    for arguments in (
        {"patch": tmp_path / "patch.json"},
        {"patch": tmp_path / "set.json", "patch_name": "p1"},
    ):
        model = read_workspace(tmp_path / "bkg.json.gz", **arguments)
        assert model.channels[1].samples[0].nominal.tolist() == [2.0, 1.0]
        assert sorted(p.name for p in model.parameters) == sorted(p.name for p in whole.parameters)
    assert read(tmp_path / "bkg.json.gz", patch=tmp_path / "patch.json").fit().ok
    assert patches(patch_set) == ("p0", "p1")
    with pytest.raises(InputError, match="holds 2 patches; name one of them, such as 'p0'"):
        patched(space, patch_set)
    with pytest.raises(UnknownNameError, match="has no patch 'q'; it has p0, p1"):
        patched(space, patch_set, "q")
    with pytest.raises(DocumentError, match="belongs to another workspace"):
        patched(document(), patch_set, "p0")
    with pytest.raises(InputError, match="is a single patch; leave out the name"):
        patched(space, patch, "p0")
    with pytest.raises(DocumentError, match="the patch does not fit this workspace"):
        patched(space, [{"op": "remove", "path": "/channels/7"}])
    with pytest.raises(InputError, match="no patch set is given"):
        read_workspace(tmp_path / "bkg.json.gz", patch_name="p0")


def _set(*path: str | int, value: object) -> Callable[[Document], None]:
    def change(space: Document) -> None:
        place: Any = space
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return change


B = ("channels", 0, "samples", 1)

BROKEN: dict[str, Callable[[Document], None]] = {
    r"\$ has no 'observations'": lambda d: d.pop("observations"),
    r"\$ has an entry 'chanels'": _set("chanels", value=1),
    r"\$\.version is \"2\"": _set("version", value="2"),
    r"\$\.channels is \{\}; it must be an array": _set("channels", value={}),
    r"\$\.channels is empty": _set("channels", value=[]),
    r"samples\[1\]\.data has 3 entries; the observation of channel 'SR' has 2 bins": _set(*B, "data", value=[1, 2, 3]),
    r"samples\[1\]\.data\[1\] is \"5\"; it must be a number": _set(*B, "data", value=[1, "5"]),
    r"samples\[1\]\.data\[0\] is true; it must be a number": _set(*B, "data", value=[True, 2]),
    r"samples\[1\]\.data\[0\] is 1.*it must be a finite number": _set(*B, "data", value=[10**400, 2]),
    r"observations\[0\]\.data\[1\] is -1; it must not be below 0": _set("observations", 0, "data", value=[3, -1]),
    r"is channel 'CR', which has no observation": lambda d: d["observations"].pop(1),
    r"is a second observation 'SR'": lambda d: d["observations"].append(d["observations"][0]),
    r"type is 'normsis'; known modifiers are histosys, lumi": _set(*B, "modifiers", 0, "type", value="normsis"),
    r"has factors 0 and 1\.1; log-normal factors are above zero": _set(*B, "modifiers", 0, "data", "lo", value=0),
    r"modifiers\[1\]\.data\.hi_data has 1 entry; the sample has 2 bins": _set(*B, "modifiers", 1, "data", "hi_data", value=[1]),
    r"modifiers\[2\]\.data\[0\] is -1; it must not be below 0": _set(*B, "modifiers", 2, "data", value=[-1, 1]),
    r"gives 'mu' 1 normal parameter\(s\), elsewhere the name has 1 free": _set(*B, "modifiers", 0, "name", value="mu"),
    r"repeats normsys 'jes' on sample 'b'": lambda d: d["channels"][0]["samples"][1]["modifiers"].append(d["channels"][0]["samples"][1]["modifiers"][0]),
    r"poi is 'sigma', which no modifier": _set("measurements", 0, "config", "poi", value="sigma"),
    r"poi is 'mc', which has a value in each bin": _set("measurements", 0, "config", "poi", value="mc"),
    r"needs inits, bounds, auxdata and sigmas of 'lumi'": _set("measurements", 0, "config", "parameters", value=[]),
    r"bounds\[0\] is \[5, 0\]; bounds are a lower and an upper one": _set("measurements", 0, "config", "parameters", 1, "bounds", value=[[5, 0]]),
    r"parameters\[1\]\.inits has 2 entries; 'mu' has 1": _set("measurements", 0, "config", "parameters", 1, "inits", value=[1, 2]),
    r"parameters\[1\] is at odds: .*outside its bounds": _set("measurements", 0, "config", "parameters", 1, "inits", value=[7]),
    r"parameters\[1\]\.sigmas configures what 'mu' does not have": _set("measurements", 0, "config", "parameters", 1, "sigmas", value=[1]),
    r"parameters\[2\]\.fixed is 1; it must be true or false": _set("measurements", 0, "config", "parameters", 2, "fixed", value=1),
}  # fmt: skip


@pytest.mark.parametrize("message", BROKEN)
def test_broken_documents(message: str) -> None:
    """ENG-15: one line with the JSON path and the rule."""
    space = document()
    BROKEN[message](space)
    with pytest.raises(DocumentError, match=message) as caught:
        model_from_workspace(space, source="w.json")
    assert str(caught.value).startswith("w.json: ")
    assert "\n" not in str(caught.value)


def test_all_faults_at_once() -> None:
    """IMP-2, ENG-15: one report with the JSON path of every fault, each once."""
    space = document()
    _set(*B, "data", value=[1, "5"])(space)
    _set("channels", 0, "samples", 0, "data", value=[1])(space)
    _set("channels", 1, "samples", 0, "modifiers", 0, "type", value="normsis")(space)
    with pytest.raises(DocumentError) as caught:
        model_from_workspace(space, source="w.json")
    text = str(caught.value)
    assert text.startswith("w.json: 3 faults: ")
    for path in (
        "channels[0].samples[1].data[1] is",
        "channels[0].samples[0].data has 1",
        "channels[1].samples[0].modifiers[0].type",
    ):
        assert text.count(f"$.{path}") == 1
    space = document()
    _set("observations", 0, "data", value=[3, -1])(space)
    _set(*B, "data", value=[1, "5"])(space)
    with pytest.raises(
        DocumentError, match=r"w.json: 2 faults: \$.observations\[0\].data\[1\] is -1.*samples\[1\]"
    ):
        model_from_workspace(space, source="w.json")
    space = document()
    _set("measurements", 0, "config", "parameters", 1, "inits", value=[7])(space)
    _set("measurements", 0, "config", "parameters", 2, "fixed", value=1)(space)
    _set("measurements", 0, "config", "poi", value="sigma")(space)
    with pytest.raises(
        DocumentError, match=r"w.json: 3 faults: .*is at odds: .*true or false.*poi is 'sigma'"
    ):
        model_from_workspace(space, source="w.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", ":1: not JSON"), ('{"a": NaN}', "NaN is not a finite number"), ("[]", r"\$ is \[\]")],
)
def test_files_that_are_no_workspace(tmp_path: Path, text: str, message: str) -> None:
    """ENG-15: not JSON, NaN, another kind of JSON."""
    path = tmp_path / "w.json"
    path.write_text(text)
    with pytest.raises(DocumentError, match=message):
        read(path)


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += _places(inner, (*path, key))
    return found


JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.floats(), st.text(max_size=3), st.just([]), st.just({}),
    st.lists(st.floats(-2, 2), max_size=3), st.just(10**400), st.just({"lo": 1.0, "hi": 1.0}),
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_anything_is_read_or_refused(data: st.DataObject) -> None:
    """ENG-17: junk anywhere in a document gives a model or one of superbin's own errors."""
    space = copy.deepcopy(document())
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(_places(space)))
        if data.draw(st.booleans()):
            _set(*path, value=data.draw(JUNK))(space)
        else:
            place: Any = space
            for key in path[:-1]:
                place = place[key]
            del place[path[-1]]
    refused = ""
    try:
        model_from_workspace(space)
    except SuperbinError as error:
        refused = str(error)
    assert "\n" not in refused
