"""From cards to models: translation, options, refusals; the value of the likelihood by brute force."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from superbin.errors import DocumentError, InputError, UnknownNameError
from superbin.likelihood import PublishedLikelihood, packaged
from superbin.likelihood.model import CountingModel
from superbin.likelihood.objective import Objective
from superbin.likelihood.packed import from_document, read, write

Compiled = Callable[..., PublishedLikelihood]


def parameters(likelihood: PublishedLikelihood) -> dict[str, tuple[str, float, float, float]]:
    """Kind, range and start of every parameter."""
    return {p.name: (p.kind, p.lower, p.upper, p.initial) for p in likelihood.template.parameters}


def test_kinds_of_cards_become_kinds_of_parameters(two_bins: PublishedLikelihood) -> None:
    """LIK-2: lnN, lnU with one factor, lnU with several."""
    found = parameters(two_bins)
    assert found["alpha"] == ("normal", -math.inf, math.inf, 0.0)
    assert found["scale"] == ("free", 0.01, 100.0, 1.0)
    assert found["jes"] == ("flat", -1.0, 1.0, 0.0)


def test_bins_are_the_channels_with_an_open_signal(compiled: Compiled) -> None:
    """LIK-3: a placeholder or more than 1e-4 events; the rest are control regions, whose signal stays as it is."""
    card = (
        "bin late control early\nobservation 4 5 6\nbin late late control control early early\n"
        "process s b s b s b\nprocess 0 1 0 1 0 1\nrate 0.7 3 0.00005 4 SIGNAL 5\n"
    )
    likelihood = compiled(card)
    assert likelihood.n_bins == 2
    model = likelihood.model([10.0, 20.0])
    assert model.channels == ("late", "control", "early")
    assert model.bins.tolist() == [0, -1, 1]
    signal, background = (Objective(model).expected(np.array([mu])) for mu in (1.0, 0.0))
    np.testing.assert_allclose(background, [3.0, 4.0, 5.0], rtol=1e-12)
    np.testing.assert_allclose(signal - background, [10.0, 5e-5, 20.0], rtol=1e-9)


def test_gamma_becomes_a_control_channel(compiled: Compiled) -> None:
    """LIK-2: gmN with N events and alpha is rate alpha N phi, with N observed where phi N is expected."""
    likelihood = compiled(
        "bin a\nobservation 3\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL 2.0\nside gmN 8 - 0.25\n"
    )
    model = likelihood.model([1.0])
    assert model.channels == ("a", "gmN:side")
    assert model.observed.tolist() == [3.0, 8.0]
    x = np.array([0.0, 1.5])
    np.testing.assert_allclose(Objective(model).expected(x), [3.0, 12.0], rtol=1e-14)


def test_gamma_without_events_keeps_its_alpha(compiled: Compiled) -> None:
    """LIK-2: the rate is zero in the card, but the count's upper end is not."""
    likelihood = compiled(
        "bin a\nobservation 0\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL 0\nside gmN 0 - 0.25\n"
    )
    model = likelihood.model([1.0])
    np.testing.assert_allclose(Objective(model).expected(np.array([0.0, 2.0])), [0.5, 2.0], rtol=1e-14)


def test_gamma_without_events_on_an_open_signal_is_refused(compiled: Compiled) -> None:
    """LIK-26."""
    with pytest.raises(DocumentError, match=r"card.txt:7: gmN 'side' counts no event"):
        compiled("bin a\nobservation 0\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL 1\nside gmN 0 0.1 -\n")


def test_several_signals_in_a_bin_are_refused(compiled: Compiled) -> None:
    """LIK-26."""
    with pytest.raises(InputError, match="channel 'a' has several signal processes"):
        compiled("bin a\nobservation 0\nbin a a a\nprocess s t b\nprocess 0 -1 1\nrate SIGNAL SIGNAL 1\n")


def test_cards_without_signal_are_refused(compiled: Compiled) -> None:
    """LIK-26."""
    with pytest.raises(InputError, match="none of the 1 channels has a signal"):
        compiled("bin a\nobservation 0\nbin a\nprocess b\nprocess 1\nrate 1\n")


def test_unknown_names_are_refused(compiled: Compiled) -> None:
    """LIK-26."""
    card = "bin a\nobservation 0\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL 1\n"
    with pytest.raises(InputError, match="no card of 'datacards' has a process 'zero'"):
        compiled(card, zero_count=["zero"])
    with pytest.raises(InputError, match="no card of 'datacards' has a nuisance 'lumi'"):
        compiled(card, global_systematics=["lumi"])


@pytest.mark.parametrize(
    ("yields", "text"),
    [
        ([1.0], r"shape \(1,\); \(2,\) is needed"),
        ([1.0, 2.0, 3.0], r"shape \(3,\); \(2,\) is needed"),
        ([1.0, -2.0], "bin 2 is -2"),
        ([np.nan, 2.0], "bin 1 is nan"),
        ([np.inf, 2.0], "bin 1 is inf"),
        ([0.0, 0.0], "zero in all 2 bins"),
    ],
)
def test_bad_signals_are_refused(two_bins: PublishedLikelihood, yields: list[float], text: str) -> None:
    """LIK-26."""
    with pytest.raises(InputError, match=text):
        two_bins.model(yields)


@pytest.mark.parametrize("option", ["systematics", "zero_count", "interpolation"])
def test_unknown_options_are_refused(two_bins: PublishedLikelihood, option: str) -> None:
    """LIK-26."""
    with pytest.raises(InputError, match=f"{option} is 'maybe'; it must be one of"):
        two_bins.model([1.0, 1.0], **{option: "maybe"})  # type: ignore[arg-type]


def test_systematics_of_the_signal_are_an_option(compiled: Compiled) -> None:
    """LIK-6: factors on backgrounds stay in any case."""
    card = (
        "bin a\nobservation 4\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL 3\n"
        "lumi lnN 1.03 -\njec lnN 1.1 -\nboth lnN 1.2 1.1\n"
    )
    likelihood = compiled(card, global_systematics=["lumi"])

    def acting(model: CountingModel) -> set[tuple[str, str]]:
        pairs = zip(model.entry_parameter, model.entry_term, strict=True)
        return {(model.parameters[j].name, model.processes[t]) for j, t in pairs}

    everything = {("lumi", "s"), ("jec", "s"), ("both", "s"), ("both", "b")}
    assert acting(likelihood.model([1.0])) == everything
    assert acting(likelihood.model([1.0], systematics="global")) == {("lumi", "s"), ("both", "b")}
    assert acting(likelihood.model([1.0], systematics="none")) == {("both", "b")}


def test_zero_count_terms_can_be_dropped(compiled: Compiled) -> None:
    """LIK-7: with them go the channels and parameters that are left with nothing."""
    card = (
        "bin a c\nobservation 4 0\nbin a a a c\nprocess s b z z\nprocess 0 1 2 2\nrate SIGNAL 3 0.5 1\n"
        "phi lnU - - 100 100\n"
    )
    likelihood = compiled(card, zero_count=["z"])
    assert likelihood.model([1.0]).channels == ("a", "c")
    dropped = likelihood.model([1.0], zero_count="dropped")
    assert dropped.channels == ("a",)
    assert dropped.parameters == ()
    assert dropped.options["zero_count"] == "dropped"


def brute_force(model: CountingModel, x: list[float], counts: list[float]) -> float:
    """The likelihood written from its formula with loops; interpolation beyond |theta| = 1/2 only."""
    total = 0.0
    for c, n in enumerate(counts):
        expected = 0.0
        for t in range(len(model.processes)):
            if model.term_channel[t] != c:
                continue
            rate = model.rates[t] * (x[0] if model.signal[t] else 1.0)
            for e in range(model.entry_term.size):
                if model.entry_term[e] != t:
                    continue
                j = int(model.entry_parameter[e])
                theta = x[1 + j]
                if model.parameters[j].kind == "free":
                    rate *= theta
                else:
                    rate *= math.exp(theta * model.log_up[e] if theta > 0 else -theta * model.log_down[e])
            expected += rate
        total += expected - n - (n * math.log(expected / n) if n > 0 else 0.0)
    return total + 0.5 * sum(
        theta**2 for theta, p in zip(x[1:], model.parameters, strict=True) if p.kind == "normal"
    )


def test_value_is_the_formula(two_bins: PublishedLikelihood) -> None:
    """LIK-8."""
    model = two_bins.model([2.0, 3.0])
    objective = Objective(model)
    rng = np.random.default_rng(1)
    for _ in range(10):
        x = rng.choice([-1, 1], size=objective.n_parameters) * rng.uniform(
            0.5, 2, size=objective.n_parameters
        )
        x = np.where(objective.lower >= 0, np.abs(x), x)
        expected = brute_force(model, x.tolist(), model.observed.tolist())
        assert objective.nll(x, objective.data()) == pytest.approx(expected, rel=1e-12)


def test_something_observed_where_nothing_is_expected_is_infinitely_unlikely(compiled: Compiled) -> None:
    """LIK-8."""
    likelihood = compiled("bin a\nobservation 1\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL 0\n")
    objective = Objective(likelihood.model([1.0]))
    assert objective.nll(np.array([0.0]), objective.data()) == math.inf


def test_packed_documents_survive_writing_and_are_deterministic(tmp_path: Path) -> None:
    """LIK-1."""
    source = (
        Path(packaged.__code__.co_filename).parents[1] / "data" / "cms-pas-sus-16-014" / "likelihood.json.gz"
    )
    document = read(source)
    write(document, tmp_path / "a.gz")
    write(read(tmp_path / "a.gz"), tmp_path / "b.gz")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == gzip.decompress(source.read_bytes())
    assert source.stat().st_size < 300_000


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b"no json"), gzip.compress(b"[1]"), gzip.compress(b'{"format": "x"}')],
    ids=["empty", "no gzip", "no json", "no object", "other format"],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """LIK-1."""
    path = tmp_path / "l.gz"
    path.write_bytes(content)
    with pytest.raises(DocumentError, match=r"l\.gz: not a"):
        read(path)


@pytest.mark.parametrize("part", ["channels", "terms", "parameters", "zero_count", "branches", "name"])
def test_documents_with_a_missing_part_are_refused(part: str) -> None:
    """LIK-1."""
    document = {
        "format": "superbin-likelihood-1", "name": "n", "source": "s", "notes": [], "zero_count": [],
        "global_systematics": [], "branches": {}, "channels": [["a", 1.0, 0]],
        "terms": [[0, "s", None, 1], [0, "b", 2.0, 0]], "parameters": [["k", "normal", None, None, 0.0, [[1, 1.1]]]],
    }  # fmt: skip
    assert from_document(json.loads(json.dumps(document))).n_bins == 1
    del document[part]
    with pytest.raises(DocumentError, match="missing or malformed"):
        from_document(document)


def test_unknown_searches_and_parameters_are_named(two_bins: PublishedLikelihood) -> None:
    """LIK-26."""
    with pytest.raises(
        UnknownNameError, match=r"no likelihood ships for search 'x'; there is one for cms-pas-sus-16-014"
    ):
        packaged("x")
    with pytest.raises(
        UnknownNameError, match=r"no parameter 'alpho' in this model; near to it: \['alpha'\]"
    ):
        two_bins.model([1.0, 1.0]).position("alpho")


def test_merging_sums_what_bins_expect(two_bins: PublishedLikelihood) -> None:
    """LIK-23: at any parameters, and the control region is kept."""
    model = two_bins.model([2.0, 3.0])
    merged = model.merged([1, 2])
    assert merged.channels == ("aggregate", "control")
    assert merged.observed.tolist() == [19.0, 25.0]
    rng = np.random.default_rng(2)
    x = dict(zip(("mu", *model.index), rng.uniform(0.1, 1.0, 1 + len(model.parameters)), strict=True))
    apart = Objective(model).expected(np.array([x[name] for name in ("mu", *model.index)]))
    together = Objective(merged).expected(np.array([x[name] for name in ("mu", *merged.index)]))
    np.testing.assert_allclose(together, [apart[0] + apart[1], apart[2]], rtol=1e-13)


def test_merging_keeps_only_what_acts(two_bins: PublishedLikelihood, compiled: Compiled) -> None:
    """LIK-23: without the zero-count process the flat signal nuisance of the other bin is all that could go."""
    card = (
        "bin a b ca cb\nobservation 4 5 6 7\nbin a a b b ca cb\nprocess s k s k k k\nprocess 0 1 0 1 1 1\n"
        "rate SIGNAL 3 SIGNAL 4 6 7\npa lnU - 100 - - 100 -\npb lnU - - - 100 - 100\nk lnN - 1.1 - - - -\n"
    )
    model = compiled(card).model([1.0, 1.0]).merged([2])
    assert model.channels == ("aggregate", "cb")
    assert [p.name for p in model.parameters] == ["pb"]
    assert two_bins.n_bins == 2


def test_merging_refuses_missing_controls_and_bins(compiled: Compiled) -> None:
    """LIK-26."""
    model = compiled(
        "bin a\nobservation 4\nbin a a\nprocess s k\nprocess 0 1\nrate SIGNAL 3\nfree lnU - 100\n"
    ).model([1.0])
    with pytest.raises(
        InputError, match="free rate 'free' acts on the bins chosen but no control region measures it"
    ):
        model.merged([1])
    with pytest.raises(InputError, match="bin 8 has no channel"):
        model.merged([8])
    with pytest.raises(InputError, match="empty"):
        model.merged([])
