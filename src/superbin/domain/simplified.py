"""Simplified models: which decay a name stands for, as text for figures and papers.

The names are those of the LHC collaborations (Alves et al., J. Phys. G 39 (2012) 105005, doi:10.1088/0954-3899/39/10/105005).
"""

from superbin.domain.cross_sections import process_of

__all__ = ["PARTICLES", "mass_text", "particle_words", "process_text"]

PARTICLES = {
    "gluino": r"\tilde{g}",
    "sbottom": r"\tilde{b}",
    "stop": r"\tilde{t}",
    "squark": r"\tilde{q}",
}
"""Produced particles, in mathtext that TeX reads as well."""

_WORDS = {
    "gluino": "gluinos",
    "sbottom": "bottom squarks",
    "stop": "top squarks",
    "squark": "light-flavor squarks",
}

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


def mass_text(model: str, parameter: str) -> str | None:
    r"""Symbol of a mass of a simplified model, in mathematics without dollars.

    Parameters
    ----------
    model : str
        Such as ``"T1bbbb"``.
    parameter : str
        ``"m_mother"`` or ``"m_lsp"``.

    Returns
    -------
    str or None
        None for a parameter that is neither, or a model whose particles are not known here.

    Examples
    --------
    >>> mass_text("T1bbbb", "m_mother")
    'm_{\\tilde{g}}'
    """
    if parameter == "m_lsp":
        return f"m_{{{_LSP}}}"
    particle = PARTICLES.get(process_of(model))
    return f"m_{{{particle}}}" if parameter == "m_mother" and particle else None


def particle_words(model: str) -> str | None:
    """What a simplified model produces in pairs, in words; None where the name does not tell.

    Examples
    --------
    >>> particle_words("T2bb")
    'bottom squarks'
    """
    return _WORDS.get(process_of(model))
