"""Published likelihoods, read as `Likelihood`."""

from pathlib import Path

from superbin.io.workspaces import read_workspace
from superbin.likelihood.dense import Likelihood
from superbin.statistical_model.effects import FactorCode, MorphCode

__all__ = ["read"]


def read(
    path: str | Path,
    *,
    patch: str | Path | None = None,
    patch_name: str | None = None,
    measurement: str | None = None,
    factors: FactorCode = "code4",
    morphs: MorphCode = "code4p",
) -> Likelihood:
    """Read a HistFactory JSON workspace.

    Parameters
    ----------
    path : str or Path
        The workspace (``.json``, or ``.json.gz``).
    patch : str or Path, optional
        A JSON Patch, or a patch set, that adds the signal.
    patch_name : str, optional
        Which patch of a patch set.
    measurement : str, optional
        By default the first one.
    factors : {"code4", "code1"}
        Interpolation of normsys.
    morphs : {"code4p", "code0", "code2"}
        Interpolation of histosys.

    Returns
    -------
    Likelihood

    Raises
    ------
    InputError, DocumentError
        As of `superbin.io.workspaces.read_workspace`.
    """
    return Likelihood(
        read_workspace(
            Path(path),
            patch=None if patch is None else Path(patch),
            patch_name=patch_name,
            measurement=measurement,
            factors=factors,
            morphs=morphs,
        )
    )
