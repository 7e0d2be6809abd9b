"""Simplified models and their spectra: what is produced, how it decays, and the SLHA text that tells Pythia so.

`MODELS` holds the models by name; `slha_text` writes the spectrum of one point as a pure function of the model and
its masses. The format is that of the SUSY Les Houches Accord (Skands et al., JHEP 07 (2004) 036,
arXiv:hep-ph/0311123). Spectra that users bring: `superbin.generate.spectrum`. Clauses GEN-1 to GEN-4 of
``specs/generation.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from superbin.errors import InputError, UnknownNameError

__all__ = ["LSP", "MODELS", "Model", "masses", "model_named", "slha_text"]

LSP = 1000022
"""PDG number of the lightest neutralino."""

DECOUPLED = 1.0e5
"""Mass in GeV of everything a simplified model does not have; far above the beam energy."""

WIDTH = 1.0
"""Width of the mother in GeV: prompt, narrow, and decaying before it could hadronise."""

_LIGHT = (1, 2, 3, 4)
_SUSY = (
    *(1000000 + k for k in (1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16)),
    *(2000000 + k for k in (1, 2, 3, 4, 5, 6, 11, 13, 15)),
    *(1000000 + k for k in (21, 22, 23, 25, 35, 24, 37)),
)
_HIGGS = (35, 36, 37)


@dataclass(frozen=True, slots=True)
class Model:
    """A simplified model: a pair of mothers, each decaying to quarks and the LSP.

    Parameters
    ----------
    name : str
        Such as ``"T1bbbb"``.
    process : str
        What is produced in pairs, as tables of cross sections name it: ``"gluino"``, ``"stop"`` (one squark) or
        ``"squark"`` (eight degenerate ones).
    mothers : tuple of int
        PDG numbers of the mothers; all have the mass ``m_mother``.
    decays : tuple of tuple of int
        For every mother the quarks it decays to besides the LSP; several choices share the rate evenly.
    min_difference : float
        The least m_mother - m_lsp in GeV: the masses of the quarks, and a few GeV of phase space.
    text : str
        The decay in words.
    """

    name: str
    mothers: tuple[int, ...]
    decays: tuple[tuple[tuple[int, ...], ...], ...]
    min_difference: float
    text: str


def _gluino(name: str, pairs: tuple[tuple[int, ...], ...], least: float, text: str) -> Model:
    return Model(name, (1000021,), (pairs,), least, text)


MODELS: Mapping[str, Model] = {
    model.name: model
    for model in (
        _gluino("T1bbbb", ((5, -5),), 12.0, "gluino -> b bbar LSP"),
        _gluino("T1tttt", ((6, -6),), 355.0, "gluino -> t tbar LSP"),
        _gluino("T1qqqq", tuple((q, -q) for q in _LIGHT), 6.0, "gluino -> q qbar LSP, q = d, u, s, c evenly"),
        Model("T2bb", (1000005,), (((5,),),), 7.0, "sbottom -> b LSP"),
        Model("T2tt", (1000006,), (((6,),),), 180.0, "stop -> t LSP"),
        Model(
            "T2qq",
            tuple(side + q for side in (1000000, 2000000) for q in _LIGHT),
            tuple(((q,),) for _ in range(2) for q in _LIGHT),
            4.0,
            "squark -> q LSP, eight degenerate squarks",
        ),
    )
}
"""The models known by name."""


def model_named(name: str) -> Model:
    """Look a model up.

    Raises
    ------
    UnknownNameError
        If no model bears the name.
    """
    if name not in MODELS:
        raise UnknownNameError(
            f"no model {name!r} can be generated; choose one of {', '.join(MODELS)}, or give a spectrum of your "
            "own with --slha"
        )
    return MODELS[name]


def masses(model: Model, parameters: tuple[float, ...]) -> tuple[float, float]:
    """The masses of the mother and the LSP, if the decay is possible.

    Raises
    ------
    InputError
        If there are not two masses, one is not finite and positive, or the decay is kinematically closed.
    """
    if len(parameters) != 2:
        raise InputError(
            f"model {model.name} takes 2 parameters, m_mother and m_lsp in GeV; {len(parameters)} were given"
        )
    mother, lsp = (float(value) for value in parameters)
    for name, value in (("m_mother", mother), ("m_lsp", lsp)):
        if not 0 < value < 6500:
            raise InputError(
                f"{name} of {model.name} is {value:g} GeV; it must be above 0 and below 6500 GeV, half the "
                "centre-of-mass energy"
            )
    if mother - lsp < model.min_difference:
        raise InputError(
            f"{model.name}({mother:g}, {lsp:g}) is kinematically closed: {model.text} needs "
            f"m_mother - m_lsp >= {model.min_difference:g} GeV, here it is {mother - lsp:g}"
        )
    return mother, lsp


def slha_text(model: Model, m_mother: float, m_lsp: float) -> str:
    """Write the spectrum and the decays of one point.

    Parameters
    ----------
    model : Model
        One of `MODELS`.
    m_mother, m_lsp : float
        Masses in GeV, as `masses` accepts them.

    Returns
    -------
    str
        SLHA 1. Everything but the mothers and the LSP has the mass `DECOUPLED`; mixing matrices are unit; a decay
        to three bodies is flat in phase space, which is what the collaborations simulate for these models.
    """
    m_mother, m_lsp = masses(model, (m_mother, m_lsp))
    spectrum = dict.fromkeys(_SUSY, DECOUPLED) | dict.fromkeys(_HIGGS, DECOUPLED) | {25: 125.0, LSP: m_lsp}
    spectrum |= dict.fromkeys(model.mothers, m_mother)
    lines = ["BLOCK MODSEL", " 1 0", "BLOCK SPINFO", " 1 superbin", " 2 1"]
    lines += ["BLOCK SMINPUTS", " 1 127.934", " 2 1.16637e-5", " 3 0.1172", " 4 91.1876", " 5 4.25"]
    lines += [" 6 172.5", " 7 1.777", "BLOCK MINPAR", " 3 10.0", "BLOCK MASS"]
    lines += [f" {number} {mass:.10g}" for number, mass in sorted(spectrum.items())]
    for name, size in (("NMIX", 4), ("UMIX", 2), ("VMIX", 2), ("STOPMIX", 2), ("SBOTMIX", 2), ("STAUMIX", 2)):
        lines.append(f"BLOCK {name}")
        lines += [f" {i} {j} {float(i == j)}" for i in range(1, size + 1) for j in range(1, size + 1)]
    lines += ["BLOCK ALPHA", " -0.1", "BLOCK HMIX Q= 1000", " 1 500", " 2 10", " 3 246", " 4 1e6"]
    lines += ["BLOCK GAUGE Q= 1000", " 1 0.36", " 2 0.64", " 3 1.06"]
    for mother, choices in zip(model.mothers, model.decays, strict=True):
        lines.append(f"DECAY {mother} {WIDTH}")
        for quarks in choices:
            products = " ".join(str(number) for number in (*quarks, LSP))
            lines.append(f" {1 / len(choices):.10g} {len(quarks) + 1} {products}")
    lines.append(f"DECAY {LSP} 0.0")
    return "\n".join(lines) + "\n"
