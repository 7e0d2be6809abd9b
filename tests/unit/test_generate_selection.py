"""Detector and selection on objects made by hand (specs/generation.md)."""

import itertools
import math

import numpy as np
import pytest

from superbin.catalog import Catalog
from superbin.domain.search import Estimate, Observable, Process, Search
from superbin.errors import InputError
from superbin.generate import Cards, DetectorCard, Job, SelectionCard
from superbin.generate.detector import Jets, flavours, smear, tag_probability, visible
from superbin.generate.events import Particles, delta_phi, pairs
from superbin.generate.isr import isr_weights, radiated
from superbin.generate.selection import (
    Kinematics,
    accepted,
    bin_probabilities,
    candidates,
    kinematics,
    mini_radius,
    poisson_binomial,
    tag_columns,
    veto,
)

Row = tuple[int, bool, int, float, float, float]
"""pdg, final, mother in the event, pT, eta, phi."""


def particles(*events: list[Row]) -> Particles:
    """Massless particles from rows."""
    rows = [row for event in events for row in event]
    offsets = np.append(0, np.cumsum([len(event) for event in events]))
    start = np.repeat(offsets[:-1], np.diff(offsets))
    pdg, final, mother, pt, eta, phi = (np.array(column) for column in zip(*rows, strict=True))
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    linked = np.where(mother >= 0, mother + start, -1)
    return Particles(offsets, pdg, final, linked, px, py, pz, pt * np.cosh(eta), np.ones(len(events)))


def jets(*events: list[tuple[float, float, float]]) -> Jets:
    """Jets from (pT, eta, phi), by falling pT."""
    rows = np.array([row for event in events for row in event]).reshape(-1, 3)
    counts = [len(event) for event in events]
    return Jets(np.append(0, np.cumsum(counts)), np.repeat(np.arange(len(events)), counts), *rows.T)


def search_in(bins: list[tuple[tuple[float, float], ...]], names: str = "njet nb ht mht") -> Search:
    """A search with bins only."""
    edges = np.array(bins, dtype=float)
    zero = np.zeros(len(bins))
    return Search(
        name="made-up",
        title="",
        reference="",
        luminosity_fb=1,
        sqrt_s_tev=13,
        observables=tuple(
            Observable(name, name, discrete=name in ("njet", "nb"), unit="") for name in names.split()
        ),
        low=edges[:, :, 0],
        high=edges[:, :, 1],
        processes=(Process("b", "b", Estimate(zero + 1, zero, zero, zero, zero)),),
        observed=zero,
    )


INF = math.inf


def test_pairs_stay_in_their_event() -> None:
    """GEN-36: every pair of the same event once, none of different ones."""
    offsets = np.array([0, 2, 2, 5])
    first, second = pairs(np.array([0, 0, 1, 2]), offsets)
    assert list(zip(first.tolist(), second.tolist(), strict=True)) == [
        (0, 0), (0, 1), (1, 0), (1, 1), (3, 2), (3, 3), (3, 4),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [(0.1, -0.1, 0.2), (3.1, -3.1, 2 * math.pi - 6.2), (0, math.pi, math.pi), (5.0, -1.0, 6 - 2 * math.pi)],
)
def test_azimuth_wraps(a: float, b: float, expected: float) -> None:
    """GEN-31: angles across the seam at pi, whatever range they are given in."""
    assert float(delta_phi(np.array(a), np.array(b))) == pytest.approx(abs(expected))


def test_poisson_binomial_against_all_outcomes() -> None:
    """GEN-35: the same as adding up all ways to tag the jets; the last column holds the rest."""
    p = np.array([0.1, 0.7, 0.4, 0.9, 0.2, 0.5])
    event = np.array([0, 0, 0, 0, 2, 2])
    result = poisson_binomial(p, event, 3, most=4)
    expected = np.zeros((3, 4))
    for number in range(3):
        mine = p[event == number]
        for outcome in itertools.product((0, 1), repeat=len(mine)):
            chance = math.prod(q if hit else 1 - q for q, hit in zip(mine.tolist(), outcome, strict=True))
            expected[number, min(sum(outcome), 3)] += chance
    np.testing.assert_allclose(result, expected, atol=1e-15)
    np.testing.assert_allclose(result.sum(axis=1), 1)


def test_edges_of_the_bins() -> None:
    """GEN-34: HT and MHT exclude the lower edge and include the upper one; Njet and Nb include both."""
    search = search_in(
        [
            ((3, 4), (0, 0), (300, 500), (300, 350)),
            ((3, 4), (1, INF), (300, 500), (300, 350)),
            ((5, INF), (0, INF), (500, INF), (350, INF)),
        ]
    )
    ht, mht, njet = zip(
        (300, 320, 4), (300.001, 320, 4), (500, 350, 3), (500.001, 350, 3), (400, 300, 3), (400, 351, 3),
        (501, 351, 5), (500, 351, 5), (400, 320, 2), strict=True,
    )  # fmt: skip
    n = len(ht)
    kin = Kinematics(
        np.array(njet), np.array(ht), np.array(mht), np.zeros(n), np.ones(n, dtype=bool), np.arange(0)
    )
    tags = np.tile([0.5, 0.3, 0.2], (n, 1))
    assert tag_columns(search) == 3
    result = bin_probabilities(search, kin, np.arange(n), tags)
    first_two = [0, 1, 1, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(result[:, 0], np.multiply(first_two, 0.5))
    np.testing.assert_allclose(result[:, 1], np.multiply(first_two, 0.5))
    np.testing.assert_allclose(result[:, 2], [0, 0, 0, 0, 0, 0, 1, 0, 0], atol=1e-15)


def test_tags_beyond_the_last_edge() -> None:
    """GEN-35: with bins up to Nb = 2 only, three tags count in none."""
    search = search_in([((0, INF), (0, 1), (0, INF), (0, INF)), ((0, INF), (2, 2), (0, INF), (0, INF))])
    columns = tag_columns(search)
    tags = poisson_binomial(np.full(3, 0.5), np.zeros(3, dtype=int), 1, most=columns)
    kin = Kinematics(
        np.array([3]), np.array([1.0]), np.array([1.0]), np.zeros(1), np.ones(1, dtype=bool), np.arange(0)
    )
    np.testing.assert_allclose(bin_probabilities(search, kin, np.arange(1), tags), [[4 / 8, 3 / 8]])


def test_other_observables() -> None:
    """GEN-37: bins in something else are refused, with what they are in."""
    with pytest.raises(InputError, match="ranges in njet, met"):
        tag_columns(search_in([((3, 4), (300, 350))], "njet met"))


def test_kinematics() -> None:
    """GEN-30: central jets make HT, all within 5 make MHT, soft ones neither."""
    kin = kinematics(
        jets(
            [(100, 0, 0), (60, 3, math.pi / 2), (50, -2.3, math.pi), (40, 5.1, 1), (29, 0, 2)],
            [],
            [(30, 0, 0), (200, 1, 0)],
        ),
        3,
        SelectionCard(),
    )
    assert kin.njet.tolist() == [2, 0, 1]
    np.testing.assert_allclose(kin.ht, [150, 0, 200])
    np.testing.assert_allclose(kin.mht, [math.hypot(50, 60), 0, 200])
    assert delta_phi(kin.mht_phi[:1], np.arctan2([-60.0], [-50.0]))[0] == pytest.approx(0)


@pytest.mark.parametrize(
    ("turns", "passes"),
    [
        ((0.6, 0.6, 0.4, 0.4, 0.0), True),  # the fifth jet may be anywhere
        ((0.4, 0.6, 0.4, 0.4), False),
        ((0.6, 0.4, 0.4, 0.4), False),
        ((0.6, 0.6, 0.2, 0.4), False),
        ((0.6, 0.6, 0.4, 0.2), False),
        ((0.6, 0.6, 0.4), True),  # three jets
        ((0.6, 0.6, 0.2), False),
        ((-0.6, 0.6, -0.4, 0.4), True),
    ],
)
def test_angles(turns: tuple[float, ...], passes: bool) -> None:
    """GEN-31: the leading jets keep 0.5, 0.5, 0.3 and 0.3 from MHT; a hard forward jet sets its direction."""
    central = [(100.0 - 10 * i, 0.1 * i, turn) for i, turn in enumerate(turns)]
    x = sum(pt * math.cos(phi) for pt, _, phi in central)
    y = sum(pt * math.sin(phi) for pt, _, phi in central)
    # What balances them and leaves 1000 GeV missing along the x axis.
    forward = (math.hypot(1000 + x, y), 4.0, math.atan2(-y, -1000 - x))
    kin = kinematics(jets([forward, *central]), 1, SelectionCard())
    assert float(kin.mht_phi[0]) == pytest.approx(0, abs=1e-9)
    assert bool(kin.angles[0]) is passes


def test_mini_radius() -> None:
    """GEN-32: 0.2 up to 50 GeV, 10 GeV/pT up to 200 GeV, 0.05 above."""
    pt = np.array([10, 50, 100, 200, 1000.0])
    np.testing.assert_allclose(mini_radius(pt, SelectionCard()), [0.2, 0.2, 0.1, 0.05, 0.05])


def one_event(rows: list[Row], mht: float = 500, mht_phi: float = 0.0) -> tuple[bool, bool]:
    batch = particles(rows)
    kin = Kinematics(
        np.array([4]), np.array([900.0]), np.array([mht]), np.array([mht_phi]), np.ones(1, bool), np.arange(0)
    )
    card = SelectionCard(neutral_isolation=1.0)
    found = candidates(batch, visible(batch, DetectorCard()), np.ones(1, dtype=bool), card)
    lepton, track = veto(found, kin, card)
    return bool(lepton[0] < 1), bool(track[0] < 1)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(13, True, -1, 40, 0, 3.1)], True),
        ([(13, True, -1, 9.9, 0, 3.1)], False),
        ([(-13, True, -1, 40, 2.45, 3.1)], False),
        ([(11, True, -1, 40, 2.45, 3.1)], True),
        ([(11, True, -1, 40, 2.55, 3.1)], False),
        # Relative isolation 0.15: allowed for muons, not for electrons.
        ([(13, True, -1, 40, 0, 3.1), (22, True, -1, 6, 0.1, 3.1)], True),
        ([(11, True, -1, 40, 0, 3.1), (22, True, -1, 6, 0.1, 3.1)], False),
        # The same photon is outside the smaller cone of a harder electron.
        ([(11, True, -1, 150, 0, 3.1), (22, True, -1, 60, 0.1, 3.1)], True),
        ([(11, True, -1, 150, 0, 3.1), (22, True, -1, 60, 0.05, 3.1)], False),
        # Neutrinos and the LSP are no activity, and pions no leptons.
        ([(13, True, -1, 40, 0, 3.1), (14, True, -1, 60, 0.1, 3.1), (1000022, True, -1, 60, 0, 3.1)], True),
        ([(211, True, -1, 40, 0, 3.1)], False),
        ([(13, False, -1, 40, 0, 3.1)], False),
    ],
)
def test_leptons(rows: list[Row], expected: bool) -> None:
    """GEN-32: thresholds, edges and mini-isolation."""
    assert one_event(rows)[0] is expected


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([(211, True, -1, 12, 0, 0.1)], True),
        ([(211, True, -1, 9, 0, 0.1)], False),
        ([(13, True, -1, 6, 0, 0.1)], True),
        ([(211, True, -1, 12, 2.45, 0.1)], False),
        # mT = sqrt(2 pT MHT (1 - cos)): 99.5 and 102 GeV.
        ([(211, True, -1, 12, 0, math.acos(1 - 9900 / 12000))], True),
        ([(211, True, -1, 12, 0, math.acos(1 - 10400 / 12000))], False),
        # Charged activity counts, neutral does not; 0.15 is too much for hadrons, not for muons.
        ([(211, True, -1, 12, 0, 0.1), (-211, True, -1, 1.8, 0.2, 0.1)], False),
        ([(211, True, -1, 12, 0, 0.1), (22, True, -1, 1.8, 0.2, 0.1)], True),
        ([(211, True, -1, 12, 0, 0.1), (-211, True, -1, 1.8, 0.31, 0.1)], True),
        ([(13, True, -1, 8, 0, 0.1), (-211, True, -1, 1.2, 0.2, 0.1)], True),
        ([(13, True, -1, 8, 0, 0.1), (-211, True, -1, 1.8, 0.2, 0.1)], False),
        ([(130, True, -1, 40, 0, 0.1)], False),
    ],
)
def test_tracks(rows: list[Row], expected: bool) -> None:
    """GEN-33: thresholds, transverse mass and isolation from charged particles."""
    assert one_event(rows)[1] is expected


def test_visible() -> None:
    """GEN-20: final, not a neutrino, LSP or gravitino, and within |eta| < 5."""
    rows: list[Row] = [(22, True, -1, 1, 4.99, 0), (22, True, -1, 1, 5.01, 0), (22, False, -1, 1, 0, 0)]
    rows += [(pdg, True, -1, 50, 0, 0) for pdg in (12, -14, 16, 1000022, 1000039, 130, -11)]
    expected = [True, False, False] + [False] * 5 + [True] * 2
    assert visible(particles(rows), DetectorCard()).tolist() == expected


@pytest.mark.parametrize(
    ("flavour", "pt", "expected", "digits"),
    [
        (5, 30, 0.44, 2), (5, 100, 0.68, 2), (5, 200, 0.68, 2), (5, 500, 0.34, 2), (5, 800, 0.07, 2),
        (4, 30, 0.055, 4), (4, 100, 0.066, 4), (4, 1000, 0.077, 4),
        (0, 30, 0.01287, 5), (0, 100, 0.01573, 5), (0, 300, 0.02574, 5), (0, 800, 0.05005, 5), (0, 2000, 0.05005, 5),
    ],
)  # fmt: skip
def test_tagging(flavour: int, pt: float, expected: float, digits: int) -> None:
    """GEN-23: the values of the recipe at the pT it gives."""
    chance = tag_probability(np.array([float(pt)]), np.array([flavour]), DetectorCard())[0]
    assert round(float(chance), digits) == pytest.approx(expected, abs=10.0**-digits)


def test_mistags_between_the_points() -> None:
    """GEN-23: linear in the logarithm of pT."""
    middle = tag_probability(np.array([math.sqrt(300 * 800)]), np.array([0]), DetectorCard())[0]
    assert float(middle) == pytest.approx(1.43 * (0.018 + 0.035) / 2)


def test_flavours() -> None:
    """GEN-22: excited hadrons, onia, quarks, diquarks and soft hadrons do not count; b goes before c."""
    rows: list[Row] = [
        (513, False, -1, 80, 0, 0),  # B*0, decays to
        (511, False, 0, 80, 0, 0),  # B0, decays to
        (411, False, 1, 40, 0.1, 0),  # D+
        (443, False, -1, 80, 0, 1.0),  # J/psi
        (5, False, -1, 80, 0, 1.0),  # b quark
        (5201, False, -1, 80, 0, 1.0),  # diquark
        (4122, False, -1, 80, 0, 2.0),  # Lambda_c
        (-531, False, -1, 4, 0, 3.0),  # B_s, too soft
        (1000005, False, -1, 80, 0, 3.0),  # sbottom
        (423, False, -1, 80, 0, -2.0),  # D*0 whose D0 flies out of the jet
        (421, False, 9, 80, 2, -2.0),
        (10521, False, -1, 80, 0, -1.0),  # excited, decays to
        (-5122, False, 11, 80, 0.39, -1.0),  # Lambda_b
    ]
    at = [(90, 0, phi) for phi in (0.0, 1.0, 2.0, 3.0, -2.0, -1.0)]
    found = jets(at)  # type: ignore[arg-type]
    card = DetectorCard()
    assert flavours(found, particles(rows), np.arange(6), card).tolist() == [5, 0, 4, 0, 0, 5]
    assert flavours(found, particles(rows), np.array([2, 0]), card).tolist() == [4, 5]


def test_smearing() -> None:
    """GEN-21: the width of the formula, no change of direction, sorted by the new pT."""
    n = 20_000
    before = jets(*([(pt, 1.0, 0.5)] for pt in np.repeat([30.0, 300.0], n).tolist()))
    after, origin = smear(before, DetectorCard(), np.random.default_rng(3).standard_normal(2 * n))
    assert np.array_equal(origin, np.arange(2 * n))
    assert np.array_equal(after.eta, before.eta)
    assert np.array_equal(after.phi, before.phi)
    for pt, part in ((30.0, after.pt[:n]), (300.0, after.pt[n:])):
        expected = math.sqrt(3.5**2 + 0.9**2 * pt + (0.04 * pt) ** 2)
        assert part.std() == pytest.approx(expected, rel=4 / math.sqrt(2 * n))
        assert part.mean() == pytest.approx(pt, abs=4 * expected / math.sqrt(n))
    swapped, origin = smear(jets([(50, 0, 0), (49, 1, 1)]), DetectorCard(), np.array([-2.0, 2.0]))
    assert (np.diff(swapped.pt) <= 0).all()
    assert origin.tolist() == [1, 0]
    assert swapped.eta.tolist() == [1, 0]


def test_radiation() -> None:
    """GEN-40: quarks of the chain claim the jets near them, gluons and quarks of radiation do not."""
    rows: list[Row] = [
        (1000021, False, -1, 500, 0, 0),
        (6, False, 0, 300, 0, 0),
        (5, False, 1, 100, 0, 0.0),  # from the top
        (24, False, 1, 200, 0, 1),
        (-2, False, 3, 100, 0, 1.0),  # from the W
        (13, False, 3, 100, 0, 2.0),  # no quark
        (21, False, -1, 100, 0, 3.0),
        (1, False, 6, 100, 0, 3.0),  # from a gluon
        (3, False, 0, 100, 0, -2.0),  # from the gluino
    ]
    found = jets([(90, 0, phi) for phi in (0.29, 0.69, 2.0, 3.0, -2.0)] + [(80, 2.5, -1.0)])
    free = radiated(particles(rows), found, np.arange(6), SelectionCard())
    assert free.tolist() == [False, True, True, True, False, True]


def test_radiation_weights() -> None:
    """GEN-41: the table, its last entry for all above, and none with an empty one."""
    number = np.array([0, 1, 2, 3, 4, 5, 6, 7, 12])
    table = (1, 0.882, 0.792, 0.702, 0.648, 0.601, 0.515)
    card = SelectionCard(isr_weights=table)
    np.testing.assert_allclose(isr_weights(number, card), [*table, 0.515, 0.515])
    np.testing.assert_allclose(isr_weights(number, SelectionCard()), 1)


def test_what_is_known_of_a_search(packaged_catalog: Catalog) -> None:
    """GEN-41, GEN-51: CMS's corrections of the packaged searches as CMS states them; none for searches without a card."""
    other = search_in([((3, 4), (0, INF), (300, 500), (300, 350))])
    assert Cards.of(other).selection == SelectionCard()
    assert "initial-state radiation" not in Cards.of(other).variations()
    later = packaged_catalog.search("cms-sus-16-033")
    card = Cards.of(later).selection
    assert card.isr_weights == (1.0, 0.920, 0.821, 0.715, 0.662, 0.561, 0.511)
    assert card.min_njet == 2
    assert Job("T1bbbb", later).cards == Cards.of(later)
    known = packaged_catalog.search("cms-pas-sus-16-014")
    card = Cards.of(known).selection
    assert card.isr_weights == (1.0, 0.882, 0.792, 0.702, 0.648, 0.601, 0.515)
    assert (card.overall_factor, card.min_njet) == (1, 3)
    mht = np.array([250.0, 251.0, 300.0, 301.0, 350.0, 499.0, 501.0, 2000.0])
    none = np.zeros(8)
    kin = Kinematics(none.astype(int), none, mht, none, np.ones(8, bool), np.arange(0))
    expected = np.array([0, 0.982, 0.982, 0.985, 0.985, 0.995, 1, 1])
    np.testing.assert_allclose(accepted(kin, card), 0.99 * expected)
    np.testing.assert_allclose(accepted(kin, SelectionCard(overall_factor=0.5)), 0.495)


def test_chance_to_pass_the_vetoes() -> None:
    """GEN-32, GEN-33: an electron is missed with 0.08, a muon with 0.03, a track of a hadron with 0.1; a lepton that is
    missed is still an isolated track if its transverse mass is small.
    """
    rows: list[Row] = [(11, True, -1, 40, 0, 3.1), (13, True, -1, 40, 1, 3.0), (211, True, -1, 12, -1, 0.1)]
    kin = Kinematics(
        np.array([4]), np.array([900.0]), np.array([500.0]), np.array([0.0]), np.ones(1, bool), np.arange(0)
    )
    found = candidates(particles(rows), np.ones(3, bool), np.ones(1, bool), SelectionCard())
    lepton, track = veto(found, kin, SelectionCard())
    assert lepton[0] == pytest.approx(0.08 * 0.03)
    assert track[0] == pytest.approx(0.1)
    near = candidates(
        particles([(13, True, -1, 40, 1, 0.1)]), np.ones(1, bool), np.ones(1, bool), SelectionCard()
    )
    assert veto(near, kin, SelectionCard())[1][0] == 0


def test_neutral_particles_around_a_lepton() -> None:
    """GEN-32: they count by the share that is asked for."""
    rows: list[Row] = [(13, True, -1, 40, 0, 3.1), (22, True, -1, 20, 0.1, 3.1), (211, True, -1, 6, 0.1, 3.1)]
    for share, vetoed in ((0.0, True), (0.05, True), (0.2, False), (1.0, False)):
        card = SelectionCard(neutral_isolation=share)
        found = candidates(particles(rows), np.ones(3, bool), np.ones(1, bool), card)
        assert (len(found.lepton_kind) == 1) is vetoed


def test_shifted_detector() -> None:
    """GEN-56: one standard deviation of the energy scale, of b tagging and of the mistags."""
    before, none = jets([(30, 0, 0), (200, 0, 2)]), np.zeros(2)
    after, _ = smear(before, DetectorCard(jet_scale_shift=1), none)
    np.testing.assert_allclose(after.pt, [202, 30.75])
    after, _ = smear(before, DetectorCard(jet_scale_shift=-2), none)
    np.testing.assert_allclose(after.pt, [196, 28.5])
    pt, flavour = np.full(3, 100.0), np.array([5, 4, 0])
    base = tag_probability(pt, flavour, DetectorCard())
    np.testing.assert_allclose(tag_probability(pt, flavour, DetectorCard(b_shift=1)) / base, [1.02, 1.04, 1])
    np.testing.assert_allclose(
        tag_probability(pt, flavour, DetectorCard(mistag_shift=-1)) / base, [1, 1, 0.85]
    )
