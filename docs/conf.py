"""Configuration of the documentation build."""

import os
import subprocess
import sys
import tempfile
from importlib.metadata import version as _version
from pathlib import Path

# Notebooks fill a database of their own, and print to the width of the page.
os.environ.pop("SUPERBIN_DATABASE", None)
os.environ["XDG_DATA_HOME"] = tempfile.mkdtemp()
os.environ["COLUMNS"] = "100"
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, (str(Path(__file__).parent / "_kernel"), os.environ.get("PYTHONPATH")))
)

project = "superbin"
author = "the superbin developers"
copyright = "2026, the superbin developers"
version = release = _version("superbin")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
    "numpydoc",
]
myst_enable_extensions = ["colon_fence", "dollarmath", "amsmath", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build", "_kernel", "_pictures"]

nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True

autosummary_generate = True
autodoc_typehints = "none"
numpydoc_show_class_members = False
numpydoc_xref_param_type = False


def setup(app: object) -> None:
    """Draw the pictures of pages that are not notebooks."""
    app.connect("builder-inited", _draw_pictures)  # type: ignore[attr-defined]


def _draw_pictures(_: object) -> None:
    here = Path(__file__).parent
    subprocess.run([sys.executable, here / "_kernel" / "draw_pictures.py", here / "_pictures"], check=True)


html_theme = "furo"
html_title = "superbin"
html_extra_path = ["../src/superbin/schemas"]
copybutton_prompt_text = "$ "
