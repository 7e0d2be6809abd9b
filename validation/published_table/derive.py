"""Make the packaged tables of CMS-PAS-SUS-16-014 from its 520 datacards.

    python validation/published_table/derive.py DATACARDS_DIR [--output DIR] [--signal ROOT_FILE]

DATACARDS_DIR is a folder with the cards of the signal and control regions, at any depth, as the CMS analysis
reinterpretation package (github.com/jbradmil/CARP) holds them. The output folder is, by default, the
package's own. With --signal the yields of T1bbbb(1750, 1) are made from that package's ROOT histogram as well.

The cards hold a likelihood, not a table: what the collaboration's table calls statistical and systematic is spread
over nuisances, control regions and zero-count terms. The rules that bring it together stand here, process by
process; `specs/tables.md` states them with their evidence and `compare.py` sets the result beside the published
figures. No rule was adjusted to that comparison.
"""

import argparse
import math
import re
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from superbin.domain._intervals import garwood_interval
from superbin.domain.search import Estimate, Observable, Process, Search
from superbin.domain.signal import SignalModel
from superbin.errors import DocumentError, InputError, SuperbinError
from superbin.io.datacards import Datacards, Kappa, Placeholder, Term, read_datacards
from superbin.io.root import read_histogram
from superbin.io.tables import write_search, write_signal

NAME = "cms-pas-sus-16-014"
DEFAULT_OUTPUT = Path(__file__).parents[2] / "src/superbin/data" / NAME

INF = math.inf
N_JETS = ((3, 4), (5, 6), (7, 8), (9, INF))
N_B = ((0, 0), (1, 1), (2, 2), (3, INF))
BOXES = (  # HT low, high, MHT low, high in GeV, and the MHT bin of the tag
    (300, 500, 300, 350, 0),
    (500, 1000, 300, 350, 0),
    (1000, INF, 300, 350, 0),
    (350, 500, 350, 500, 1),
    (500, 1000, 350, 500, 1),
    (1000, INF, 350, 500, 1),
    (500, 1000, 500, 750, 2),
    (1000, INF, 500, 750, 2),
    (750, 1500, 750, INF, 3),
    (1500, INF, 750, INF, 3),
)
N_BINS = len(N_JETS) * len(N_B) * len(BOXES)

OBSERVABLES = (
    Observable("njet", "$N_\\mathrm{jet}$", "", discrete=True),
    Observable("nb", "$N_\\mathrm{b}$", "", discrete=True),
    Observable("ht", "$H_\\mathrm{T}$", "GeV"),
    Observable("mht", "$H_\\mathrm{T}^\\mathrm{miss}$", "GeV"),
)
SOURCE = (
    "Pre-fit expectations derived from the 520 datacards of the CMS analysis reinterpretation package "
    "(github.com/jbradmil/CARP, 2016). A prediction that the cards hold as a floor (0.0001, a placeholder of the signal, or a "
    "free rate whose control region counts nothing) is zero here, with 1.841 events of the control region as upward error. "
    "Downward errors stop at zero events: the statistical one first, the systematic one at what is left."
)
SIGNAL_SOURCE = (
    "RA2bin_T1bbbb_1750_1_fast.root of the CMS analysis reinterpretation package (github.com/jbradmil/CARP, 2016), "
    "CMS fast simulation at 12.9 fb^-1; cross section NLO+NLL, LHC SUSY Cross Section Working Group, 2016"
)

ONE_SIGMA = 0.8413447460685429
"""The standard normal distribution function at one."""

ZERO_COUNT_UP = -math.log1p(-ONE_SIGMA)
"""Upper end, 1.841, of the central 68.3 % interval of a Poisson mean when nothing was counted."""

FLOOR = 1e-4
"""What the cards write for a rate of zero, so that a logarithm exists."""

ROUNDING = 1e-6
"""Differences of counts below this are zero: the cards give contaminations to four decimals."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """One row of the table: events of one process in one bin."""

    nominal: float
    stat_up: float
    stat_down: float
    syst_up: float
    syst_down: float

    def capped(self) -> "Prediction":
        """Stop the downward errors at zero events: first the statistical one, then what is left."""
        stat = min(self.stat_down, self.nominal)
        return Prediction(
            self.nominal, self.stat_up, stat, self.syst_up, min(self.syst_down, self.nominal - stat)
        )


class Cards:
    """The cards, indexed by channel and process."""

    def __init__(self, cards: Datacards) -> None:
        self.observed = {channel.name: channel for channel in cards.channels}
        self._terms = {(t.channel, t.process): (i, t) for i, t in enumerate(cards.terms)}
        self._kappas: dict[int, dict[str, Kappa]] = defaultdict(dict)
        for nuisance in cards.nuisances:
            if nuisance.kind == "lnN":
                for entry in nuisance.entries:
                    self._kappas[entry.term][nuisance.name] = entry

    def count(self, channel: str) -> float:
        """Return the observed events of a channel."""
        if channel not in self.observed:
            raise InputError(
                f"no card has the channel {channel!r}; the table needs every signal and control region"
            )
        return self.observed[channel].observed

    def _term(self, channel: str, process: str) -> tuple[int, Term]:
        self.count(channel)
        try:
            return self._terms[channel, process]
        except KeyError:
            place = self.observed[channel].place
            raise DocumentError(f"{place}: channel {channel!r} has no process {process!r}") from None

    def rate(self, channel: str, process: str) -> float:
        """Return a rate as the cards have it, a leaked placeholder being the floor (as in the other cards)."""
        rate = self._term(channel, process)[1].rate
        return FLOOR if isinstance(rate, Placeholder) else rate

    def prediction(self, channel: str, process: str) -> float:
        """Return a rate as a prediction: zero where the cards have the floor or a leaked placeholder."""
        rate = self.rate(channel, process)
        return 0.0 if rate == FLOOR else rate

    def kappas(self, channel: str, process: str) -> dict[str, Kappa]:
        """Return the log-normal factors on a rate, by nuisance."""
        return self._kappas[self._term(channel, process)[0]]


def shifts(kappa: Kappa) -> tuple[float, float]:
    """Return the relative shift up and down, both >= 0, that one factor stands for.

    A single kappa is 1 + the relative error, on both sides; of a pair each side is taken as written, and an
    inverted pair is turned round.
    """
    if kappa.symmetric:
        return abs(kappa.up - 1), abs(kappa.up - 1)
    relative = (kappa.up - 1, kappa.down - 1)
    return max(0.0, *relative), -min(0.0, *relative)


def quadrature(kappas: Iterable[Kappa]) -> tuple[float, float]:
    """Return the root of the sum of squares of relative shifts, up and down."""
    pairs = [shifts(kappa) for kappa in kappas]
    return math.hypot(*(up for up, _ in pairs)), math.hypot(*(down for _, down in pairs))


def lost_lepton(cards: Cards, index: int) -> Prediction:
    """Events with a lepton out of acceptance or not identified (`WTopSL`)."""
    return _single_lepton(cards, index, "WTopSL")


def hadronic_tau(cards: Cards, index: int) -> Prediction:
    """Events with a tau that decays to hadrons (`WTopHad`)."""
    return _single_lepton(cards, index, "WTopHad")


def _single_lepton(cards: Cards, index: int, process: str) -> Prediction:
    channel = f"Binsignal{index}"
    nominal = cards.prediction(channel, process)
    kappas = cards.kappas(channel, process)
    relative_stat, _ = quadrature(k for name, k in kappas.items() if name.startswith("LLHadTauCorrelError"))
    up, down = quadrature(k for name, k in kappas.items() if not name.startswith("LLHadTauCorrelError"))
    # The HighW term is the weight of one event more in the control region.
    zero_count = ZERO_COUNT_UP * cards.rate(channel, f"{process}HighW")
    stat = nominal * relative_stat
    return Prediction(nominal, math.hypot(stat, zero_count), stat, nominal * up, nominal * down).capped()


def invisible_z(cards: Cards, index: int) -> Prediction:
    """Z -> nu nu, from the photon count of its (Njet, box); one photon bin serves all four numbers of b jets."""
    channel, control = f"Binsignal{index}", f"Binsphoton{index // 40 * 10 + index % 10}"
    per_photon = cards.prediction(channel, "zvv") / _positive(cards, control, "zvv")
    count = cards.count(control)
    nominal = per_photon * count
    # Two sets of nuisances with names of their own: what the photon region does not know and what it does.
    kappas = [*cards.kappas(channel, "zvv").items(), *cards.kappas(control, "zvv").items()]
    up, down = quadrature(k for name, k in kappas if not name.startswith("DYstat"))
    # The share of each number of b jets is counted in Drell-Yan events.
    shared_up, shared_down = (
        nominal * x for x in quadrature(k for name, k in kappas if name.startswith("DYstat"))
    )
    photons = nominal / math.sqrt(count) if count > 0 else 0.0
    photons_up = photons if count > 0 else ZERO_COUNT_UP * per_photon
    return Prediction(
        nominal,
        math.hypot(photons_up, shared_up),
        math.hypot(photons, shared_down),
        nominal * up,
        nominal * down,
    ).capped()


def qcd(cards: Cards, index: int) -> Prediction:
    """QCD multijets, from the low-delta-phi count less its contamination by the other processes."""
    channel, control = f"Binsignal{index}", f"BinLowdphi{index}"
    per_event = cards.prediction(channel, "qcd") / _positive(cards, control, "qcd")
    contamination = cards.prediction(control, "contam")
    # Where the contamination reaches the count, the cards put one event for the sake of the fit.
    count = max(0.0, cards.count(control) - contamination)
    count = 0.0 if count < ROUNDING else count
    low, high = garwood_interval(count).tolist()
    nominal = per_event * count
    syst = quadrature(cards.kappas(channel, "qcd").values())
    contamination_error = quadrature(cards.kappas(control, "contam").values())[0] * contamination * per_event
    return Prediction(
        nominal,
        per_event * (high - count),
        per_event * (count - low),
        math.hypot(nominal * syst[0], contamination_error),
        math.hypot(nominal * syst[1], contamination_error),
    ).capped()


def _positive(cards: Cards, channel: str, process: str) -> float:
    rate = cards.rate(channel, process)
    if rate <= 0:
        raise InputError(
            f"process {process!r} has rate {rate:g} in channel {channel!r}; a transfer factor needs > 0"
        )
    return rate


PROCESSES = {
    "lostlep": ("Lost lepton", lost_lepton),
    "hadtau": ("Hadronic tau", hadronic_tau),
    "znn": ("$Z\\to\\nu\\bar\\nu$", invisible_z),
    "qcd": ("QCD multijet", qcd),
}
"""Name, label and rule of every background."""


def estimates(cards: Datacards, n_bins: int, *, digits: int = 7) -> dict[str, Estimate]:
    """Return the table of predictions, rounded to `digits` significant digits.

    Parameters
    ----------
    cards : Datacards
        With the channels ``Binsignal{i}``, ``BinLowdphi{i}`` and ``Binsphoton{j}`` of every bin.
    n_bins : int
        Number of signal regions, numbered from 0 in the cards.
    digits : int
        The cards give rates to five decimals, so more than seven would be noise.
    """
    indexed = Cards(cards)
    table = {}
    for name, (_, rule) in PROCESSES.items():
        rows = [rule(indexed, index) for index in range(n_bins)]
        columns = (np.array([getattr(row, part) for row in rows]) for part in Prediction.__slots__)
        table[name] = Estimate(*(np.array([float(f"{x:.{digits}g}") for x in column]) for column in columns))
    return table


def check_tags(cards: Datacards, tags: dict[str, str]) -> int:
    """Check that every card's own tag says what its bin's number means; return how many were checked.

    Parameters
    ----------
    cards : Datacards
        Cards with a first comment ``the tag = NJets0_BTags0_MHT0_HT0``.
    tags : dict
        The tag expected for every channel.
    """
    written = {comment.place.file: comment for comment in cards.comments if "tag =" in comment.text}
    for channel in cards.channels:
        comment = written.get(channel.place.file)
        if comment is None or channel.name not in tags:
            raise DocumentError(f"{channel.place}: channel {channel.name!r} has no tag to check its bin with")
        tag = re.sub(r".*tag =", "", comment.text).strip()
        if tag != tags[channel.name]:
            raise DocumentError(
                f"{comment.place}: the tag is {tag!r} but channel {channel.name!r} should be {tags[channel.name]!r}"
            )
    return len(cards.channels)


def _edges(index: int) -> tuple[list[float], list[float]]:
    jets, b, box = N_JETS[index // 40], N_B[index // 10 % 4], BOXES[index % 10]
    return [jets[0], b[0], box[0], box[2]], [jets[1], b[1], box[1], box[3]]


def _tags() -> dict[str, str]:
    tags: dict[str, str] = {}
    for index in range(N_BINS):
        tail = f"MHT{BOXES[index % 10][4]}_HT{index % 10}"
        tag = f"NJets{index // 40}_BTags{index // 10 % 4}_{tail}"
        tags |= {f"Bin{kind}{index}": tag for kind in ("signal", "SLControl", "Lowdphi")}
        if index // 10 % 4 == 0:
            tags[f"Binsphoton{index // 40 * 10 + index % 10}"] = tag
    return tags


def derive_search(cards: Datacards) -> Search:
    """Return the search that the cards hold."""
    n_checked = check_tags(cards, _tags())
    print(f"{n_checked} channels carry the tag their number means", file=sys.stderr)
    observed = {channel.name: channel.observed for channel in cards.channels}
    low, high = zip(*(_edges(index) for index in range(N_BINS)), strict=True)
    table = estimates(cards, N_BINS)
    return Search(
        name=NAME,
        title="Search for supersymmetry in events with jets and missing transverse momentum in proton-proton "
        "collisions at 13 TeV",
        reference="CMS Collaboration, CMS-PAS-SUS-16-014 (2016), cds.cern.ch/record/2205158",
        luminosity_fb=12.9,
        sqrt_s_tev=13.0,
        observables=OBSERVABLES,
        low=np.array(low),
        high=np.array(high),
        processes=tuple(Process(name, label, table[name]) for name, (label, _) in PROCESSES.items()),
        observed=np.array([observed[f"Binsignal{index}"] for index in range(N_BINS)]),
        shared_stat=(("lostlep", "hadtau"),),
        source=SOURCE,
    )


def derive_signal(path: Path) -> SignalModel:
    """Return T1bbbb(1750, 1) from its histogram."""
    histogram = read_histogram(path)
    return SignalModel(
        model="T1bbbb",
        parameters={"m_mother": 1750.0, "m_lsp": 1.0},
        search=NAME,
        yields=histogram.values,
        errors=histogram.errors,
        source=SIGNAL_SOURCE,
        cross_section_pb=3.59842e-3,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datacards", type=Path)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    parser.add_argument("--signal", type=Path)
    options = parser.parse_args()
    try:
        search = derive_search(read_datacards(options.datacards))
        write_search(search, options.output)
        if options.signal is not None:
            signals = options.output / "signals"
            signals.mkdir(exist_ok=True)
            write_signal(derive_signal(options.signal), signals / "T1bbbb_1750_1.csv")
    except SuperbinError as error:
        print(f"derive.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
