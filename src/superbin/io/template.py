"""A search to fill in: a folder of superbin's own tables with five bins, and a page that says what each number means."""

from pathlib import Path

import numpy as np

from superbin._support.files import staged_directory, write_text
from superbin._support.shown import printable
from superbin.domain.bundle import Bundle
from superbin.domain.search import Observable, Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.io.bundles import write_bundle

__all__ = ["write_template"]

_PAGE = """# {name}: a search to fill in

Replace the numbers in the tables by those of your search, with as many lines as it has bins, and import the folder:

    superbin db import {folder}
    superbin run example 1000 100 --search {name} -o out

Lines that begin with # are comments. Numbers are events unless another unit is named.

| file | what it holds |
|---|---|
| search.json | name, title, reference; `luminosity_fb` in fb^-1 and `sqrt_s_tev` in TeV; the observables (`label` as figures and papers print it, with formulas between dollars; `unit`; `discrete` is true for what is counted); the background processes; `source`, `licence` and `citation`, which stand in every result; `accuracy`, what is known of how well the numbers agree with the experiment's |
| bins.csv | a line per bin: its number, its range in every observable (`inf` for an open end), the observed events |
| backgrounds.csv | a line per bin and process: the expected events, and the distances upward and downward of the statistical and the systematic error |
| covariance.csv | covariance of the total background of the bins, events squared, a line per bin; delete the file if none is known. Where the two sides differ: covariance_up.csv and covariance_down.csv |
| signals/*.csv | a file per signal point: model, masses, and the expected events of every bin with their Monte Carlo error; may be added later |

Optional: processes whose statistical errors come from the same events, as `shared_stat` in search.json; regions that overlap, as pairs of
bin numbers in `not_combinable`; names of the bins, as a column `name` after `bin`; and the files that
{reference} lists, such as grids, a likelihood and published limits.
"""
_REFERENCE = "docs/reference/imports.md"


def write_template(name: str, folder: str | Path, *, force: bool = False) -> None:
    """Write the folder; it imports as it is, and holds invented numbers.

    Parameters
    ----------
    name : str
        Of the search.
    folder : str or Path
    force : bool
        Whether a folder with content is replaced.

    Raises
    ------
    InputError
        If the name is blank or does not print, or `folder` is a zip file.
    OutputError
        If something is there and `force` is false, or the place cannot be written.
    """
    if not name.strip() or not name.isprintable():
        raise InputError(f"the search is to be called {name!r}; a name is printable text that is not blank")
    if Path(folder).suffix.lower() == ".zip":
        raise InputError(f"{folder}: a template is a folder to be edited; give a name without .zip")
    page = _PAGE.format(name=name, folder=printable(Path(folder).name), reference=_REFERENCE)
    with staged_directory(folder, force=force) as stage:
        write_bundle(_example(name), stage)
        write_text(stage / "README.md", page)


MET = Observable("met", r"$p_\mathrm{T}^\mathrm{miss}$", "GeV")


def _example(name: str) -> Bundle:
    search = Search.from_arrays(
        name,
        title="FILL IN: title of the publication",
        reference="FILL IN: how it is cited, with its arXiv number",
        luminosity_fb=100.0,
        sqrt_s_tev=13.0,
        edges={MET: [200.0, 300.0, 400.0, 600.0, 800.0, np.inf]},
        observed=[103, 41, 18, 4, 1],
        background={"ttbar": [60.0, 20.0, 6.0, 1.1, 0.3], "wjets": [38.0, 19.0, 9.0, 2.5, 0.8]},
        error={
            "ttbar": ([6.0, 2.5, 1.0, 0.4, 0.3], [6.0, 2.5, 1.0, 0.4, 0.2]),
            "wjets": ([4.0, 2.0, 1.2, 0.6, 0.4], [4.0, 2.0, 1.2, 0.6, 0.3]),
        },
        covariance=_covariance(),
        source="FILL IN: where the numbers come from (these are invented)",
        licence="FILL IN: licence of the data",
        citation="FILL IN: how the data want to be cited",
    )
    yields = np.array([2.0, 3.0, 5.0, 4.0, 3.0])
    signal = SignalModel(
        "example",
        {"m_mother": 1000.0, "m_lsp": 100.0},
        name,
        yields,
        0.05 * yields,
        source="FILL IN: how the signal was made (these numbers are invented)",
        cross_section_pb=0.01,
    )
    return Bundle(search, (signal,))


def _covariance() -> np.ndarray:
    """Errors of the totals with neighbours correlated by one half."""
    errors = np.array([7.2, 3.2, 1.5, 0.7, 0.5])
    distance = np.abs(np.subtract.outer(np.arange(5), np.arange(5)))
    return np.asarray(np.round(0.5**distance * np.outer(errors, errors), 4))
