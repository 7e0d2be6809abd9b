"""CPU time of ``superbin run`` against that of an earlier commit, in pairs.

The earlier commit is unpacked from the repository beside this checkout and run with the same Python and the same packages. Every pair runs both
commands, cold processes with a database that is filled, one after the other; CPU time of the process and its children (LaTeX) is
counted, which other work on the machine hardly changes. Printed are the medians and the median of the paired ratios.

    python validation/speed/run.py --pairs 9
"""

import argparse
import io
import os
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMMIT = "e0f0d26"
START = "import sys; from superbin.cli import main; sys.exit(main())"
COMMAND = ("run", "T1bbbb", "1750", "1", "--force", "-o")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--commit", default=COMMIT, help="the earlier commit")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--no-pdf", action="store_true", help="without LaTeX, which is the same for both")
    chosen = parser.parse_args()
    extra = ("--no-pdf",) if chosen.no_pdf else ()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        packed = subprocess.run(
            ["git", "archive", chosen.commit, "src"], cwd=ROOT, capture_output=True, check=True
        ).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(folder / "old", filter="data")
        sides = {
            "old": (folder / "old" / "src", extra),
            "new": (ROOT / "src", ("--seconds", "0", "--no-likelihood", *extra)),
        }
        times: dict[str, list[float]] = {side: [] for side in sides}
        for i in range(chosen.pairs + 1):
            for side, (source, options) in sides.items():
                seconds = cpu_seconds(
                    source, [*COMMAND, str(folder / f"{side}-out"), *options], folder / f"{side}.sqlite"
                )
                if i:  # the first pair fills the databases and compiles
                    times[side].append(seconds)
        ratios = [new / old for old, new in zip(times["old"], times["new"], strict=True)]
        for side, values in times.items():
            print(
                f"{side}: median {statistics.median(values):.2f} s of CPU, from {min(values):.2f} to {max(values):.2f}"
            )
        print(
            f"ratio in pairs: median {statistics.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f}"
        )


def cpu_seconds(source: Path, arguments: list[str], database: Path) -> float:
    """User and system time of a command and its children."""
    environment = os.environ | {
        "PYTHONPATH": str(source),
        "SUPERBIN_DATABASE": str(database),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", START, *arguments], env=environment, capture_output=True, check=True
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
