"""What a merge can be chosen for, in words: one entry per figure of merit, for commands, papers and maps.

The functions are in `superbin.merge.figures`; a test holds the names together. Nothing here needs NumPy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["MERITS", "Merit"]


@dataclass(frozen=True, slots=True)
class Merit:
    """How a figure of merit is spoken of.

    Attributes
    ----------
    goal : str
        What a merge is chosen for, such as ``largest expected significance``.
    tex : str
        The same, in full, for a paper: a verb and its object; LaTeX.
    symbol : str
        Of the number that is shown for it.
    limit : bool
        Whether it is the inverse of an upper limit on the signal strength: the limit is shown, and the lowest is best.
    """

    goal: str
    tex: str
    symbol: str
    limit: bool = False

    def shown(self, value: float) -> float:
        """The number to show for a value of the figure of merit: a limit itself, not its inverse."""
        return 1 / value if self.limit else value


MERITS: Mapping[str, Merit] = MappingProxyType(
    {
        "midp": Merit(
            "largest expected significance",
            "maximise the exact expected mid-p significance at $n=s+b$ (for sets that do not reach $Z=1$, $1/\\mu$ with the signal "
            "strength $\\mu$ at which they would)",
            "figure of merit",
        ),
        "profile_asimov": Merit(
            "largest Asimov significance",
            "maximise the Asimov significance of a Gaussian-constrained background",
            "Z_G",
        ),
        "s_over_sqrt_bv": Merit(
            "largest s/sqrt(b + up^2)", r"maximise $s/\sqrt{b+\sigma_+^2}$", "s/sqrt(b + up^2)"
        ),
        "limit": Merit(
            "lowest expected limit",
            r"minimise the exact median expected $95\,\%$ CLs limit on the signal strength",
            "mu95",
            limit=True,
        ),
        "asimov_limit": Merit(
            "lowest asymptotic expected limit",
            r"minimise the asymptotic median expected $95\,\%$ CLs limit on the signal strength",
            "mu95",
            limit=True,
        ),
    }
)
"""Every figure of merit by its name."""
