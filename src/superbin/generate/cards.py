"""Every constant of the simulation in one place, and how to change one by name.

Clauses GEN-70 and GEN-71 of ``specs/generation.md``.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from superbin._support.json import json_text, parse_json
from superbin.domain.search import Search
from superbin.errors import DocumentError, InputError, UnknownNameError
from superbin.generate.detector import DetectorCard
from superbin.generate.pythia import GeneratorSettings
from superbin.generate.selection import SelectionCard

__all__ = ["Cards"]

ISR = "initial-state radiation"
LEPTON_ERROR = 0.05
"""One standard deviation of the efficiencies for leptons and tracks that veto, relative."""


@dataclass(frozen=True, slots=True)
class Cards:
    """The constants of generator, detector and selection.

    Parameters
    ----------
    generator : GeneratorSettings
        What Pythia is told.
    detector : DetectorCard
        Jets, smearing and tagging.
    selection : SelectionCard
        Cuts, vetoes, weights of radiation and the overall factor.
    """

    generator: GeneratorSettings = field(default_factory=GeneratorSettings)
    detector: DetectorCard = field(default_factory=DetectorCard)
    selection: SelectionCard = field(default_factory=SelectionCard)

    @classmethod
    def of(cls, search: Search) -> "Cards":
        """The cards of a search: the default ones at its energy, with the constants of its own, `Search.simulation`."""
        return cls(GeneratorSettings(sqrt_s_gev=1000 * search.sqrt_s_tev)).changed(search.simulation)

    def variations(self) -> dict[str, tuple["Cards", "Cards"]]:
        """The cards with one source of uncertainty up, and down, by one standard deviation.

        Sources are the jet energy scale, b tagging (b and c jets together), mistags of light jets, the veto of leptons and
        tracks, and initial-state radiation where its weights have an uncertainty.
        """
        up, down = (
            (
                replace(self.detector, jet_scale_shift=shift),
                replace(self.detector, b_shift=shift),
                replace(self.detector, mistag_shift=shift),
            )
            for shift in (1.0, -1.0)
        )
        names = ("jet energy scale", "b tagging", "mistags")
        found = {
            name: (replace(self, detector=a), replace(self, detector=b))
            for name, a, b in zip(names, up, down, strict=True)
        }
        # Up is more signal: leptons and tracks are seen less often.
        found["lepton veto"] = self._with_leptons(-LEPTON_ERROR), self._with_leptons(LEPTON_ERROR)
        more, less = self.selection.isr_weights_up, self.selection.isr_weights_down
        if more and less:
            found[ISR] = (
                replace(self, selection=replace(self.selection, isr_weights=more)),
                replace(self, selection=replace(self.selection, isr_weights=less)),
            )
        return found

    def _with_leptons(self, shift: float) -> "Cards":
        names = ("electron_efficiency", "muon_efficiency", "track_efficiency")
        changed = {name: min(getattr(self.selection, name) * (1 + shift), 1.0) for name in names}
        return replace(self, selection=replace(self.selection, **changed))

    def changed(self, changes: Iterable[str]) -> "Cards":
        """The same cards with some constants changed.

        Parameters
        ----------
        changes : iterable of str
            Such as ``"detector.b_efficiency=0.7"`` or ``"selection.isr_weights=[]"``; values are JSON.

        Raises
        ------
        UnknownNameError
            If there is no such constant.
        InputError
            If a change is not ``card.name=value``, or the value is not of the constant's kind or outside its domain.
        """
        new: dict[str, dict[str, object]] = {}
        for change in changes:
            name, equals, text = change.partition("=")
            card, dot, constant = name.strip().partition(".")
            if not (equals and dot):
                raise InputError(
                    f"{change!r} is not a change of a constant; write card.name=value, such as "
                    "detector.b_efficiency=0.7"
                )
            old = getattr(self, card) if card in cls_names(Cards) else None
            if old is None or constant not in cls_names(type(old)):
                known = [f"{c}.{n}" for c in cls_names(Cards) for n in cls_names(type(getattr(self, c)))]
                raise UnknownNameError(
                    f"there is no constant {name.strip()!r}; the constants are {', '.join(known)}"
                )
            new.setdefault(card, {})[constant] = _parsed(text, getattr(old, constant), name.strip())
        # All of a card at once: a rule may hold for two constants together.
        changed = {card: replace(getattr(self, card), **constants) for card, constants in new.items()}
        return replace(self, **changed)

    def record(self) -> dict[str, Any]:
        """All constants as JSON has them."""
        content: dict[str, Any] = parse_json(json_text(asdict(self), "the cards"), "the cards")
        return content


def cls_names(cls: Any) -> list[str]:
    """Names of a dataclass' fields."""
    return [f.name for f in fields(cls)]


def _parsed(text: str, old: object, name: str) -> object:
    """A value of the same kind as the one it replaces."""
    try:
        value = parse_json(text, name)
    except DocumentError:
        value = text.strip()
    if isinstance(old, bool) or isinstance(value, bool):
        good = isinstance(old, bool) and isinstance(value, bool)
    elif isinstance(old, tuple):
        value = _tuples(value)
        good = isinstance(value, tuple)
    elif isinstance(old, int):
        good = isinstance(value, int)
    else:
        good = isinstance(value, int | float)
    if not good:
        kind = {bool: "true or false", tuple: "a JSON list", int: "a whole number"}.get(type(old), "a number")
        raise InputError(f"{name} = {text.strip()!r} is not {kind}; its default is {json.dumps(old)}")
    return value


def _tuples(value: object) -> object:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
