"""Make the packaged covariance of CMS-PAS-SUS-16-014 from its packaged likelihood.

    python validation/likelihood/covariance.py [--output FOLDER]

Eight significant digits, so that the tables are the same on every machine. Run it when the packaged likelihood changes.
"""

import argparse
import gzip
from pathlib import Path

from superbin._support.files import write_bytes
from superbin.likelihood import from_packed, variations

NAME = "cms-pas-sus-16-014"
DEFAULT_OUTPUT = Path(__file__).parents[2] / "src/superbin/data" / NAME


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    folder = parser.parse_args().output
    packed = DEFAULT_OUTPUT / "likelihood.json.gz"
    likelihood = from_packed(packed.read_bytes(), packed)
    for side, matrix in zip(("up", "down"), variations(likelihood).covariances(), strict=True):
        lines = [
            f"# {NAME}: covariance of the background predictions, {side} side, events squared; made from the nuisances of the",
            "# published likelihood by validation/likelihood/covariance.py.",
            *(",".join(f"{value:.8g}" for value in row) for row in (matrix + matrix.T) / 2),
        ]
        content = gzip.compress("\n".join([*lines, ""]).encode(), compresslevel=9, mtime=0)
        write_bytes(folder / f"covariance_{side}.csv.gz", content)
        print(f"covariance_{side}.csv.gz: {len(content)} bytes")


if __name__ == "__main__":
    main()
