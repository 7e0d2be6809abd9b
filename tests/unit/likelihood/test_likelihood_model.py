"""From cards to models: translation, options, refusals; the value of the likelihood by brute force."""

import gzip
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import superbin
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, InputError, UnknownNameError
from superbin.io.datacards import Recipe
from superbin.likelihood import Fitter, PublishedLikelihood
from superbin.likelihood.inference import fit_both, upper_limit
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


REGIONS = (
    "bin late control early none\nobservation 4 5 6 7\nbin late late control control early early none\n"
    "process s b s b s b b\nprocess 0 1 0 1 0 1 1\nrate {late} 3 0.00005 4 {early} 5 7\n"
)


@pytest.mark.parametrize("late", ["0.7", "0", "1e-9", "SIGNAL"])
def test_bins_are_the_channels_with_a_column_for_a_signal(compiled: Compiled, late: str) -> None:
    """LIK-3: whatever its rate, zero and tiny ones too."""
    likelihood = compiled(REGIONS.format(late=late, early="SIGNAL"))
    assert likelihood.n_bins == 3
    model = likelihood.model([10.0, 0.0, 20.0])
    assert model.channels == ("late", "control", "early", "none")
    assert model.bins.tolist() == [0, 1, 2, -1]
    signal, background = (Objective(model).expected(np.array([mu])) for mu in (1.0, 0.0))
    np.testing.assert_allclose(background, [3.0, 4.0, 5.0, 7.0], rtol=1e-12)
    np.testing.assert_allclose(signal - background, [10.0, 0.0, 20.0, 0.0], rtol=1e-9)


def test_a_recipe_says_which_channels_are_bins(compiled: Compiled) -> None:
    """LIK-3: what the cards' signal leaves in a control region is no part of another signal, but of the cards' own."""
    recipe = Recipe(signal_regions="late|early")
    likelihood = compiled(REGIONS.format(late=0.7, early=0), recipe=recipe)
    assert likelihood.n_bins == 2
    model = likelihood.model([10.0, 20.0])
    assert model.bins.tolist() == [0, -1, 1, -1]
    both = (Objective(m).expected(np.array([1.0])) for m in (model, likelihood.as_written()))
    for found, signal in zip(both, ([10.0, 0.0, 20.0, 0.0], [0.7, 5e-5, 0.0, 0.0]), strict=True):
        np.testing.assert_allclose(found - [3.0, 4.0, 5.0, 7.0], signal, atol=1e-12)


def test_what_is_changed_or_doubtful_is_noted(compiled: Compiled) -> None:
    """LIK-2: counted, with the first place."""
    text = REGIONS.format(late=0.7, early=0) + "x[nofloat] lnN - 1.1 - - - - - of the background\n"
    notes = compiled(text).notes
    assert [note.split(":")[0] for note in notes] == ["ignored-words", "nofloat", "signal-placeholder"]
    assert "1 signal rates of 5e-05, first at " in notes[-1]
    recipe = Recipe(signal_regions="late|early", signal_placeholder=5e-5)
    assert compiled(text, recipe=recipe).notes[0] == "signal-placeholder: 1 repaired"
    assert len(compiled(text, recipe=recipe).notes) == 3


def test_words_as_backgrounds_are_refused(compiled: Compiled) -> None:
    """LIK-26: with the line; a recipe may say what they stand for."""
    card = "bin a\nobservation 12\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL BKG\nx lnN 1.05 1.2\n"
    with pytest.raises(
        DocumentError, match=r"card\.txt:6: the rate of background 'b' in channel 'a' is the word 'BKG'"
    ):
        compiled(card)
    assert compiled(card, recipe=Recipe(background_word=0.5)).model([1.0]).rates.tolist() == [1.0, 0.5]


def test_words_as_signals_of_control_regions_are_refused(compiled: Compiled) -> None:
    """LIK-26: a word as a signal rate in a control region is refused with its line."""
    card = "bin a b\nobservation 1 2\nbin a a b b\nprocess s b s b\nprocess 0 1 0 1\nrate 1 2 WORD 3\n"
    with pytest.raises(
        DocumentError, match=r"card\.txt:6: the rate of signal 's' in control region 'b' is the word 'WORD'"
    ):
        compiled(card, recipe=Recipe(signal_regions="a"))


def test_the_same_channels_twice_are_refused(compiled: Compiled) -> None:
    """LIK-26, CARD-18: unless whoever knows the cards says they are different measurements."""
    card = "bin p q\nobservation 5 5\nbin p p q q\nprocess s b s b\nprocess 0 1 0 1\nrate 1 4 1 4\nx lnN - 1.1 - 1.1\n"
    with pytest.raises(DocumentError, match=r"card\.txt:2: the same channels twice: 'q' is 'p' of "):
        compiled(card)
    assert compiled(card, recipe=Recipe(equal_channels=True)).n_bins == 2


def test_cards_as_they_are_written(compiled: Compiled) -> None:
    """LIK-30: all signals under one strength; a word for a signal is not a number."""
    card = (
        "bin a\nobservation 6\nbin a a a\nprocess g q b\nprocess -1 0 1\nrate {} 3 5.5\nside gmN 11 - - 0.5\n"
    )
    model = compiled(card.format(2)).as_written()
    x = Objective(model).initial
    x[0] = 2.0
    assert Objective(model).expected(x).tolist() == [15.5, 11.0]
    with pytest.raises(InputError, match="the signal in channel 'a' is a word, not a number"):
        compiled(card.format("SIGNAL")).as_written()
    with pytest.raises(InputError, match="the signal is zero in all channels"):
        compiled(card.format(0).replace(" 3 5.5", " 0 5.5")).as_written()


def test_observations_without_expectation_are_refused(compiled: Compiled) -> None:
    """LIK-26: a channel is never left out in silence."""
    card = "bin a b\nobservation 1 2\nbin a a b\nprocess s b b\nprocess 0 1 1\nrate 1 2 0\n"
    with pytest.raises(InputError, match="channel 'b' observed 2 events where nothing is expected"):
        compiled(card).as_written()


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
    """LIK-26: a signal whose `gmN` counts no event is refused."""
    card = "bin a\nobservation 0\nbin a a\nprocess s b\nprocess 0 1\nrate {} 1\nside gmN 0 0.1 -\n"
    with pytest.raises(DocumentError, match=r"card.txt:7: gmN 'side' counts no event"):
        compiled(card.format("SIGNAL"))
    with pytest.raises(InputError, match="the signal is normalised by 'side', which has no starting value"):
        compiled(card.format(0)).model([1.0])


def test_several_signals_in_a_bin_are_refused(compiled: Compiled) -> None:
    """LIK-26: where one signal is to be filled in."""
    card = "bin a\nobservation 0\nbin a a a\nprocess s t b\nprocess 0 -1 1\nrate 1 SIGNAL 1\n"
    with pytest.raises(InputError, match="bin 1 has several signal processes"):
        compiled(card).model([1.0])


def test_cards_without_signal_are_refused(compiled: Compiled) -> None:
    """LIK-26: cards without a signal column are refused."""
    with pytest.raises(InputError, match="none of the 1 channel is a bin with a column for a signal"):
        compiled("bin a\nobservation 0\nbin a\nprocess b\nprocess 1\nrate 1\n")


def test_unknown_names_are_refused(compiled: Compiled) -> None:
    """LIK-26: an unknown process or nuisance in an option is refused by name."""
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
    """LIK-26: signal yields of the wrong length, negative, not finite or all zero are refused."""
    with pytest.raises(InputError, match=text):
        two_bins.model(yields)


@pytest.mark.parametrize("option", ["systematics", "zero_count", "interpolation"])
def test_unknown_options_are_refused(two_bins: PublishedLikelihood, option: str) -> None:
    """LIK-26: an unknown value of an option is refused."""
    with pytest.raises(UnknownNameError, match=f"{option} is 'maybe'; it must be one of"):
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


OWN = (
    "bin a c\nobservation 4 7\nbin a a c c\nprocess s b s b\nprocess 0 1 0 1\nrate {rates[0]} 2 {rates[1]} 6\n"
    "lumi lnN 1.03 - 1.03 -\nboth lnN 1.2 1.1 1.2 1.1\n"
)


def test_systematics_of_the_signal_can_be_its_own(compiled: Compiled) -> None:
    """LIK-6: as if a card had its variations, its common error and the Monte Carlo error of every bin; what cards have for another signal goes."""
    variations = {"jet energy scale": ([3.6, 4.5], [2.7, 6.0]), "radiation": ([9.0, 5.0], [1.0, 5.0])}
    signal = SignalModel(
        "T",
        {},
        "x",
        np.array([3.0, 5.0]),
        np.array([0.3, 0.0]),
        variations={name: (np.array(up), np.array(down)) for name, (up, down) in variations.items()},
        relative_error=0.05,
    )
    likelihood = compiled(OWN.format(rates=["SIGNAL", "SIGNAL"]), global_systematics=["lumi"])
    written = OWN.format(rates=[3.0, 5.0]).replace("1.2 1.1 1.2", "- 1.1 -")
    written += (
        "jes lnN 0.9/1.2 - 1.2/0.9 -\nisr lnN 0.5/2 - - -\ncommon lnN 1.05 - 1.05 -\nmc lnN 1.1 - - -\n"
    )
    own = likelihood.with_signal(signal, systematics="own")
    theirs = compiled(written, global_systematics=["lumi"]).as_written()
    assert len(own.parameters) == len(theirs.parameters) == 6
    assert {p.name for p in own.parameters} >= {
        "signal_jet_energy_scale",
        "signal_common",
        "signal_statistics_bin_1",
    }
    mine, expected = Fitter(own), Fitter(theirs)
    limits = [upper_limit(fitter, *fit_both(fitter)) for fitter in (mine, expected)]
    assert limits[0].observed == pytest.approx(limits[1].observed, rel=1e-6)
    assert limits[0].bands[0] == pytest.approx(limits[1].bands[0], rel=1e-6)
    plain = Fitter(likelihood.with_signal(signal, systematics="none"))
    without = upper_limit(plain, *fit_both(plain)).observed
    assert None not in (limits[0].observed, without)
    assert limits[0].observed > 1.02 * without  # type: ignore[operator]


def test_own_systematics_need_the_signal(two_bins: PublishedLikelihood) -> None:
    """LIK-6, LIK-26: yields alone have no uncertainties."""
    with pytest.raises(InputError, match="give the signal with its uncertainties to with_signal"):
        two_bins.model([1.0, 1.0], systematics="own")
    ones = np.ones(2)
    variations = {"a b": (np.array([1.0, 2.0]), ones), "a-b": (np.array([2.0, 1.0]), ones)}
    signal = SignalModel("T", {}, "x", ones, np.zeros(2), variations=variations)
    names = {p.name for p in two_bins.with_signal(signal, systematics="own").parameters}
    assert {"signal_a_b", "signal_a_b_2"} <= names


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
    """LIK-8: the value equals the formula summed with plain loops."""
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
    """LIK-8: an event where none is expected makes the value infinite."""
    likelihood = compiled("bin a\nobservation 1\nbin a a\nprocess s b\nprocess 0 1\nrate SIGNAL 0\n")
    objective = Objective(likelihood.model([1.0]))
    assert objective.nll(np.array([0.0]), objective.data()) == math.inf


def test_packed_documents_survive_writing_and_are_deterministic(tmp_path: Path) -> None:
    """LIK-1: a packed likelihood is written back with equal bytes and is below 300 kB."""
    data = Path(superbin.__file__).parent / "data"
    source = data / "cms-pas-sus-16-014" / "likelihood.json.gz"
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
    """LIK-1: a file that is no packed likelihood is refused by name."""
    path = tmp_path / "l.gz"
    path.write_bytes(content)
    with pytest.raises(DocumentError, match=r"l\.gz: not a"):
        read(path)


@pytest.mark.parametrize(
    "part", ["background_floor", "channels", "terms", "parameters", "zero_count", "branches", "name"]
)
def test_documents_with_a_missing_part_are_refused(part: str) -> None:
    """LIK-1: a document that lacks a part is refused."""
    document = {
        "format": "superbin-likelihood-2", "background_floor": 0.0, "name": "n", "source": "s", "notes": [], "zero_count": [],
        "global_systematics": [], "branches": {}, "channels": [["a", 1.0, 0]],
        "terms": [[0, "s", None, 1], [0, "b", 2.0, 0]], "parameters": [["k", "normal", None, None, 0.0, [[1, 1.1]]]],
    }  # fmt: skip
    assert from_document(json.loads(json.dumps(document))).n_bins == 1
    del document[part]
    with pytest.raises(DocumentError, match="missing or malformed"):
        from_document(document)


def test_unknown_parameters_are_named(two_bins: PublishedLikelihood) -> None:
    """LIK-26: an unknown parameter is refused with names near to it."""
    with pytest.raises(
        UnknownNameError, match=r"no parameter 'alpho' in this model; similar names: \['alpha'\]"
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
    """LIK-26: a merge without its control region, or of unknown or no bins, is refused."""
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
