"""A counting datacard of CMS Combine: one region, its processes, and a log-normal for each of their errors.

Format: the manual of CMS Combine, arXiv:2404.06614. An error of up and down becomes ``down/up`` factors; Combine's interpolation between
them is its own (a factor at one standard deviation is exact).
"""

from collections.abc import Mapping

from superbin._support.shown import counted
from superbin.domain.aggregate import AggregateBin, ProcessYield
from superbin.errors import InputError
from superbin.export.entry import Entry

__all__ = ["files"]


def files(entry: Entry) -> Mapping[str, bytes]:
    """``datacard.txt`` of one region and one signal."""
    if len(entry.aggregates) != 1 or len(entry.points) != 1:
        raise InputError(
            f"this datacard is of one region with one signal; this has {counted(len(entry.aggregates), 'region')} and "
            f"{counted(len(entry.points), 'signal')}; export a result.json"
        )
    total = entry.aggregates[0]
    if total.signal <= 0:
        raise InputError(f"the region expects {total.signal:g} signal events; a datacard needs > 0")
    return {"datacard.txt": _card(entry, total).encode()}


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
    table = _aligned([*rows, *nuisances])
    text = [
        f"# {entry.search}, {entry.points[0].label}: bins {', '.join(map(str, total.bins))}",
        f"# {entry.reference}; superbin {entry.made_by}, search digest {entry.digest}",
        "imax 1",
        f"jmax {len(names)}",
        f"kmax {len(nuisances)}",
        "---",
        "bin aggregate",
        f"observation {total.observed}",
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
