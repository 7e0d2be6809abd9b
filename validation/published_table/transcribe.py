"""Make table_160.csv from the collaboration's own table of pre-fit predictions in all 160 bins, a LaTeX file.

    python validation/published_table/transcribe.py results-prefit-12_9.tex [--output FILE]

The file is public: PubPlots/output/reference/results-prefit-12_9.tex of github.com/rpatelCERN/SCRA2BLE. Its columns of
Z -> nu nu, of the total and of the observed events are kept, as printed.
"""

import argparse
import re
import sys
from pathlib import Path

from superbin._support.files import write_text
from superbin.errors import DocumentError, SuperbinError

TABLE = Path(__file__).parents[2] / "src/superbin/data/validation/table_160.csv"

PARTS = ("stat_up", "stat_down", "syst_up", "syst_down")
COLUMNS = (
    "bin",
    "observed",
    *(name for process in ("znn", "total") for name in (process, *(f"{process}_{part}" for part in PARTS))),
)
HEADER = """\
# The collaboration's own table of pre-fit predictions, CMS-PAS-SUS-16-014 (cds.cern.ch/record/2205158), 12.9 fb^-1, all 160 bins:
# observed events, Z -> nu nu and total background with statistical and systematic errors, rounded as printed. From
# PubPlots/output/reference/results-prefit-12_9.tex of github.com/rpatelCERN/SCRA2BLE by validation/published_table/transcribe.py.
"""
_FIGURE = re.compile(r"\$\s*([\d.]+)\^\{\+\s*([\d.]+)\+\s*([\d.]+)\}_\{-\s*([\d.]+)-+\s*([\d.]+)\}\$")
_CELLS = 11


def figure(cell: str) -> tuple[str, str, str, str, str]:
    """Return value, stat up, stat down, syst up, syst down of a cell, as printed."""
    found = _FIGURE.fullmatch(cell.strip())
    if found is None:
        raise DocumentError(f"{cell.strip()!r} is no value with two errors on either side")
    value, stat_up, syst_up, stat_down, syst_down = found.groups()
    return value, stat_up, stat_down, syst_up, syst_down


def rows(text: str) -> list[list[str]]:
    """Return the rows of the table in the order of `COLUMNS`."""
    found = []
    for line in text.splitlines():
        cells = line.split(r"\\")[0].split("&")
        if len(cells) != _CELLS or not cells[0].strip().isdigit():
            continue
        znn, total = figure(cells[7]), figure(cells[9])
        found.append([cells[0].strip(), cells[10].strip(), *znn, *total])
    numbers = [int(row[0]) for row in found]
    if numbers != list(range(1, len(numbers) + 1)) or not numbers:
        raise DocumentError(f"the rows are of the bins {numbers}; they must run from 1 without gaps")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", type=Path)
    parser.add_argument("--output", type=Path, default=TABLE)
    options = parser.parse_args()
    try:
        lines = [
            ",".join(COLUMNS),
            *(",".join(row) for row in rows(options.table.read_text(encoding="utf-8"))),
        ]
        write_text(options.output, HEADER + "\n".join(lines) + "\n")
    except (OSError, SuperbinError) as error:
        print(f"transcribe.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
