"""What notebooks of the documentation load first: figures inside the page, and a cell magic for the shell.

``%%shell`` runs a cell by bash, shows what it prints as one text, and fails the build if a command fails.
"""

import subprocess
import sys
from typing import Any


def shell(line: str, cell: str) -> None:
    """Run the cell."""
    del line
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", cell], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.stderr.write(done.stdout + done.stderr)
        raise RuntimeError(f"exit code {done.returncode}")
    sys.stdout.write(done.stdout)


def load_ipython_extension(ipython: Any) -> None:
    """Called by ``%load_ext superbin_pages``."""
    ipython.register_magic_function(shell, "cell")
    ipython.run_line_magic("matplotlib", "inline")
