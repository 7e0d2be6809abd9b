"""Simplified models: which decay a name stands for, as text for figures and papers.

The names are those of the LHC collaborations (Alves et al., J. Phys. G 39 (2012) 105005, doi:10.1088/0954-3899/39/10/105005).
"""

from superbin.domain.cross_sections import process_of

__all__ = ["PARTICLES", "process_text"]

PARTICLES = {
    "gluino": r"\tilde{g}",
    "sbottom": r"\tilde{b}",
    "stop": r"\tilde{t}",
    "squark": r"\tilde{q}",
}
"""Produced particles, in mathtext that TeX reads as well."""

_ANTI = {r"\tilde{g}": r"\tilde{g}"}
_LSP = r"\tilde{\chi}^0_1"
_DECAYS = {
    "T1bbbb": r"b\bar{b}",
    "T1tttt": r"t\bar{t}",
    "T1qqqq": r"q\bar{q}",
    "T2bb": "b",
    "T2tt": "t",
    "T2qq": "q",
}
"""What each produced particle decays to beside the lightest neutralino."""


def process_text(model: str) -> str | None:
    r"""Production and decay of a simplified model, in mathematics without dollars.

    Parameters
    ----------
    model : str
        Such as ``"T1bbbb"``.

    Returns
    -------
    str or None
        None for a model whose decay is not known here.

    Examples
    --------
    >>> process_text("T2bb")
    'pp \\rightarrow \\tilde{b}\\bar{\\tilde{b}},\\ \\tilde{b} \\rightarrow b\\tilde{\\chi}^0_1'
    """
    if model not in _DECAYS:
        return None
    particle = PARTICLES[process_of(model)]
    anti = _ANTI.get(particle, rf"\bar{{{particle}}}")
    return rf"pp \rightarrow {particle}{anti},\ {particle} \rightarrow {_DECAYS[model]}{_LSP}"
