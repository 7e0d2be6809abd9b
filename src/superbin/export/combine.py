"""Counting datacards of CMS Combine: one region with its processes and a log-normal for each of their errors, or several with correlated errors.

Format: the manual of CMS Combine, arXiv:2404.06614. An error of up and down becomes ``down/up`` factors; Combine's interpolation between
them is its own (a factor at one standard deviation is exact). Several regions have the correlated log-normal errors of `superbin.workspace.regions`.
"""

from collections.abc import Mapping

from superbin import workspace
from superbin._support.shown import counted
from superbin.domain.aggregate import AggregateBin, ProcessYield
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.export.entry import Entry
from superbin.export.pyhf import signal_names
from superbin.export.simplified import NO_REGION

__all__ = ["files"]


def files(entry: Entry) -> Mapping[str, bytes]:
    """``datacard.txt`` of all regions and one signal, or ``MODEL_m1_m2.txt`` for each of several."""
    if len(entry.aggregates) == 1 and len(entry.points) == 1:
        total = entry.aggregates[0]
        if total.signal <= 0:
            raise InputError(f"the region expects {total.signal:g} signal events; a datacard needs > 0")
        return {"datacard.txt": _card(entry, total).encode()}
    if entry.bundle is None:
        raise InputError(NO_REGION)
    signals = entry.bundle.signals
    if not signals:
        raise InputError(f"{entry.search} has no signals; import some with: superbin db import FILE")
    empty = next((s.label for s in signals if not s.yields.any()), None)
    if empty is not None:
        raise InputError(f"{empty} expects no events in the regions; a datacard needs > 0, leave it out")
    background = workspace.regions(entry.bundle.search, entry.bundle.search.covariance)
    names = ["datacard"] if len(signals) == 1 else signal_names(signals)
    return {
        f"{name}.txt": _regions_card(entry, background, signal).encode()
        for name, signal in zip(names, signals, strict=True)
    }


def _regions_card(entry: Entry, background: workspace.Document, signal: SignalModel) -> str:
    """Several regions with one background each: the log-normal errors of the workspace, shared by all regions."""
    channels = background["channels"]
    samples = [channel["samples"][0] for channel in channels]
    places = [name for channel in channels for name in [channel["name"]] * 2]
    nuisances = []
    for k, modifier in enumerate(samples[0]["modifiers"]):
        factors = [sample["modifiers"][k]["data"] for sample in samples]
        cells = [cell for f in factors for cell in ("-", f"{f['lo']:.10g}/{f['hi']:.10g}")]
        nuisances.append([modifier["name"], "lnN", *cells])
    rates = [
        f"{value:.10g}"
        for events, sample in zip(signal.yields, samples, strict=True)
        for value in (events, sample["data"][0])
    ]
    counts = [f"{row['data'][0]:.10g}" for row in background["observations"]]
    return _text(
        f"{entry.search}, {signal.label}: {counted(len(channels), 'region')}",
        entry,
        (["bin", *(c["name"] for c in channels)], ["observation", *counts]),
        [
            ["bin", "", *places],
            ["process", "", *["signal", "background"] * len(channels)],
            ["process", "", *["0", "1"] * len(channels)],
            ["rate", "", *rates],
        ],
        nuisances,
    )


def _card(entry: Entry, total: AggregateBin) -> str:
    # Combine has no logarithm of zero: a process without expectation is left out.
    backgrounds = [p for p in total.processes if p.nominal > 0]
    names = [_word(p.name) for p in backgrounds]
    rows = [
        ["bin", "", *["aggregate"] * (1 + len(names))],
        ["process", "", "signal", *names],
        ["process", "", *map(str, range(1 + len(names)))],
        ["rate", "", f"{total.signal:.10g}", *(f"{p.nominal:.10g}" for p in backgrounds)],
    ]
    nuisances = []
    for kind, group in dict.fromkeys(("stat", p.stat_group) for p in backgrounds) | dict.fromkeys(
        ("syst", p.name) for p in backgrounds
    ):
        # Processes that share their control region's events vary together, as in the workspace.
        mine = [p for p in backgrounds if (p.stat_group if kind == "stat" else p.name) == group]
        cells = {p.name: factors for p in mine if (factors := _factors(p, kind)) is not None}
        if cells:
            row = [cells.get(p.name, "-") for p in backgrounds]
            nuisances.append([f"{_word(group)}_{kind}", "lnN", "-", *row])
    return _text(
        f"{entry.search}, {entry.points[0].label}: bins {', '.join(map(str, total.bins))}",
        entry,
        (["bin", "aggregate"], ["observation", str(total.observed)]),
        rows,
        nuisances,
    )


def _text(
    title: str,
    entry: Entry,
    counts: tuple[list[str], list[str]],
    rows: list[list[str]],
    nuisances: list[list[str]],
) -> str:
    table = _aligned([*rows, *nuisances])
    text = [
        f"# {title}",
        f"# {entry.reference}; superbin {entry.made_by}, search digest {entry.digest}",
        f"imax {len(counts[0]) - 1}",
        f"jmax {len(set(rows[1][2:])) - 1}",
        f"kmax {len(nuisances)}",
        "---",
        *(_aligned(list(counts)) if len(counts[0]) > 2 else map(" ".join, counts)),
        "---",
        *table[:4],
        "---",
        *table[4:],
    ]
    return "\n".join(text) + "\n"


def _factors(process: ProcessYield, kind: str) -> str | None:
    up, down = getattr(process, f"{kind}_up"), getattr(process, f"{kind}_down")
    if up == down == 0:
        return None
    # A background that may vanish has no logarithm: the factor stops at one in a thousand.
    low, high = max(1 - down / process.nominal, 1e-3), 1 + up / process.nominal
    return f"{low:.10g}/{high:.10g}"


def _word(name: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)


def _aligned(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
