r"""From values to TeX: nothing that a user or a document wrote reaches LaTeX unescaped.

* `TeX`: a string that is TeX already; every other string is escaped when a template prints it.
* `escape`: any text as plain ASCII TeX that prints it.
* `mathtext`: a label with ``$...$`` formulas; a formula passes only if it parses in a small safe language.
* `measured`, `parts`, `three`, `percent`, `pvalue`, `estimate`, `whole`, `z`: numbers as a paper writes them.

Specified in ``specs/paper.md``.
"""

import math
import re
import unicodedata

from superbin.results import rounding
from superbin.results.wording import MATH, scientific

__all__ = [
    "TeX",
    "escape",
    "estimate",
    "mathtext",
    "measured",
    "parts",
    "percent",
    "percent_of",
    "pvalue",
    "three",
    "whole",
    "z",
]


class TeX(str):
    """A string of TeX, printed as it is."""

    __slots__ = ()


_ASCII = {
    "\\": r"\textbackslash{}",
    # Not \{ and \}: BibTeX counts braces without regard to a backslash.
    "{": r"\textbraceleft{}",
    "}": r"\textbraceright{}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedblright{}",
    "`": r"\textquoteleft{}",
    "'": r"\textquoteright{}",
    # After the end of a table's row these would be read as its options.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
}
_GREEK = re.findall(
    r"\w+",
    """alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi
    omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega""",
)
_FORMULAS = {
    **dict(zip("αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ", (rf"\{word}" for word in _GREEK), strict=True)),
    "≥": r"\geq", "≤": r"\leq", "≠": r"\neq", "≈": r"\approx", "∼": r"\sim", "±": r"\pm", "×": r"\times",
    "·": r"\cdot", "→": r"\rightarrow", "←": r"\leftarrow", "∞": r"\infty", "√": r"\surd", "−": "-", "°": r"{}^{\circ}",
    "µ": r"\mu", "ℓ": r"\ell", "∂": r"\partial", "∑": r"\sum", "⟨": r"\langle", "⟩": r"\rangle",
}  # fmt: skip
_LETTERS = {
    "–": "--", "—": "---", "…": r"\ldots{}", "‘": r"\textquoteleft{}", "’": r"\textquoteright{}",
    "“": r"\textquotedblleft{}", "”": r"\textquotedblright{}", "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}",
    "œ": r"\oe{}", "Œ": r"\OE{}", "ø": r"\o{}", "Ø": r"\O{}", "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}",
    "§": r"\S{}", "¶": r"\P{}", "©": r"\copyright{}", "£": r"\pounds{}", "€": "EUR", "¡": "!", "¿": "?",
}  # fmt: skip
_ACCENTS = {
    "\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
    "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c",
}  # fmt: skip


def escape(text: str) -> TeX:
    """Write any text as TeX that prints it.

    Parameters
    ----------
    text : str
        Anything. Line breaks and control characters become spaces.

    Returns
    -------
    TeX
        ASCII with balanced braces and no macro that takes what follows; good in running text, tables,
        captions and BibTeX fields. Latin letters keep their accents, Greek letters and common signs are set
        as formulas, any other character is written as its code, such as (U+4E2D).
    """
    words = re.sub(r"[\s\x00-\x1f\x7f-\x9f]", " ", unicodedata.normalize("NFC", text)).split(" ")
    return TeX(" ".join(_word(word) for word in words))


def _word(word: str) -> str:
    """One word; long ones may break after a separator, or after some twenty letters."""
    pieces = [word]
    if len(word) > 20:
        pieces = [part for chunk in re.findall(r".*?[/._,:;=]|.+", word) for part in _chunks(chunk)]
    # A space after \allowbreak would be swallowed or printed; the empty group ends its name.
    return r"\allowbreak{}".join("".join(_characters(piece)) for piece in pieces)


def _chunks(text: str, size: int = 24) -> list[str]:
    return [text[i : i + size] for i in range(0, len(text), size)]


def _characters(text: str) -> list[str]:
    out: list[str] = []
    for character in text:
        # Two hyphens would make a dash.
        out.append("{}-" if character == "-" and out and out[-1].endswith("-") else _character(character))
    return out


def _character(character: str) -> str:
    if character in _ASCII:
        return _ASCII[character]
    if character.isascii():
        return character
    if character in _FORMULAS:
        return rf"\ensuremath{{{_FORMULAS[character]}}}"
    if character in _LETTERS:
        return _LETTERS[character]
    apart = unicodedata.normalize("NFD", character)
    base, mark = apart[0], apart[1:]
    if mark in _ACCENTS and base.isascii() and base.isalpha():
        stem = rf"\{base}" if base in "ij" else base  # without their dots
        return rf"\{_ACCENTS[mark]}{{{stem}}}"
    return f"(U+{ord(character):04X})"


def mathtext(text: str) -> TeX:
    """Write a label: words are escaped, ``$...$`` formulas pass if they are in the safe language.

    The language: letters, digits and signs, known symbols, accents, fonts and fractions, groups and scripts.
    A text with any other formula is escaped as a whole, dollars and all.
    """
    if text.count("$") % 2:
        return escape(text)
    parts = MATH.split(text)
    try:
        return TeX("".join(f"${_formula(p[1:-1])}$" if i % 2 else escape(p) for i, p in enumerate(parts)))
    except ValueError:
        return escape(text)


_SYMBOLS = frozenset(rf"\{word}" for word in _GREEK) | frozenset(
    re.findall(
        r"\\[A-Za-z]+|\\[^A-Za-z]",
        r"""\varepsilon\vartheta\varphi\varrho\ell\hbar\infty\partial\nabla\prime\dagger\ast\star\circ\to
        \rightarrow\leftarrow\leftrightarrow\geq\ge\leq\le\neq\ne\approx\sim\simeq\equiv\gg\ll\pm\mp\times\cdot
        \div\in\perp\parallel\sum\int\Re\Im\ldots\cdots\langle\rangle\,\;\:\!\%""",
    )
)
_ARGUMENTS = {
    r"\frac": 2,
    **dict.fromkeys(
        re.findall(
            r"\\\w+",
            r"\mathrm\mathit\mathbf\mathsf\mathtt\mathcal\bar\overline\hat\tilde\vec\dot\ddot\sqrt",
        ),
        1,
    ),
}
_SCRIPTS = {"^": "^", "_": "_", "'": "^"}
_TOKEN = re.compile(r"\\[A-Za-z]+|\\[^A-Za-z]|[A-Za-z0-9+\-*/=<>()\[\],.!:;|]|[{}^_']|\s+")
_DEEPEST = 12


def _formula(text: str) -> str:
    """A formula written again from its tokens, so that only what was understood comes out.

    Raises
    ------
    ValueError
        If it is not in the language.
    """
    tokens = [match.group() for match in _TOKEN.finditer(text)]
    if "".join(tokens) != text:
        raise ValueError(text)
    tokens = [token for token in tokens if not token.isspace()]
    out, rest = _row(tokens, 0)
    if rest:
        raise ValueError(text)
    return out


def _row(tokens: list[str], depth: int) -> tuple[str, list[str]]:
    """Nuclei with their scripts up to the end or a closing brace; returns the TeX and what is left."""
    out = ""
    while tokens and tokens[0] != "}":
        nucleus = "{}"
        if tokens[0] not in _SCRIPTS:
            nucleus, tokens = _nucleus(tokens, depth)
        scripts: dict[str, str] = {}
        while tokens and tokens[0] in _SCRIPTS:
            kind = _SCRIPTS[tokens[0]]
            if kind in scripts:
                raise ValueError("two scripts in one place")
            if tokens[0] == "'":
                scripts[kind], tokens = r"\prime", tokens[1:]
            else:
                scripts[kind], tokens = _argument(tokens[1:], depth)
        # A command's name must not run into a letter that follows it.
        gap = " " if re.search(r"\\[A-Za-z]+$", out) and nucleus[0].isalpha() else ""
        out += gap + nucleus + "".join(f"{kind}{{{body}}}" for kind, body in scripts.items())
    return out, tokens


def _nucleus(tokens: list[str], depth: int) -> tuple[str, list[str]]:
    """One thing that may carry scripts: a sign, a symbol, a group or a command with its arguments."""
    if not tokens or depth > _DEEPEST:
        raise ValueError("a formula that ends early or goes too deep")
    token = tokens[0]
    if token == "{":
        body, rest = _argument(tokens, depth)
        return f"{{{body}}}", rest
    if token in _ARGUMENTS:
        out, rest = token, tokens[1:]
        for _ in range(_ARGUMENTS[token]):
            body, rest = _argument(rest, depth)
            out += f"{{{body}}}"
        return out, rest
    if token in _SYMBOLS or (len(token) == 1 and token not in "}^_'"):
        return token, tokens[1:]
    raise ValueError(f"{token} is not in the language")


def _argument(tokens: list[str], depth: int) -> tuple[str, list[str]]:
    """What a script or a command takes, without braces."""
    if not tokens or tokens[0] != "{":
        return _nucleus(tokens, depth + 1)
    body, rest = _row(tokens[1:], depth + 1)
    if not rest:
        raise ValueError("an open brace")
    return body, rest[1:]


def measured(value: float, up: float, down: float) -> TeX:
    """Write a value with upward and downward uncertainty, rounded as `superbin.results.rounding.measured`; alone where none is stated."""
    shown = rounding.measured(value, up, down)
    return _with_errors(shown.value, _sides(*shown.errors) if up or down else "", shown.exponent)


def parts(value: float, *pairs: tuple[float, float]) -> tuple[TeX, ...]:
    """Write a value and pairs of uncertainties, upwards and downwards, in cells of their own with one last digit; a dash where both are zero."""
    shown = rounding.measured(value, *(error for pair in pairs for error in pair))
    power = rf"\times10^{{{shown.exponent}}}" if shown.exponent else ""
    sides = zip(shown.errors[::2], shown.errors[1::2], strict=True)
    cells = (
        TeX(f"${_sides(up, down)}{power}$") if any(pair) else TeX("--")
        for pair, (up, down) in zip(pairs, sides, strict=True)
    )
    return TeX(f"${shown.value}{power}$"), *cells


def _sides(up: str, down: str) -> str:
    return rf"\pm{up}" if up == down else f"^{{+{up}}}_{{-{down}}}"


def _with_errors(value: str, sides: str, exponent: int) -> TeX:
    return TeX(rf"$({value}{sides})\times10^{{{exponent}}}$" if exponent else f"${value}{sides}$")


def three(value: float | None) -> TeX:
    """Write a number to three digits; a dash where there is none."""
    return TeX("--" if value is None else f"${scientific(value)}$")


def percent_of(fraction: float) -> TeX:
    """Write a fraction in percent without the sign, to three digits."""
    return TeX("$100$" if fraction >= 0.9995 else f"${scientific(100 * fraction)}$")


def percent(fraction: float) -> TeX:
    """Write a fraction of one in percent, to two digits."""
    value = 100 * fraction
    text = (
        f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.95 else f"${scientific(value, 2)}$"
    )
    return TeX(text + r"\,\%")


def pvalue(value: float) -> TeX:
    """Write a p-value to three digits."""
    return TeX(f"${scientific(value)}$")


def estimate(value: float, error: float) -> TeX:
    """Write an estimate with its standard error, both to the error's second digit."""
    exponent = 0 if value >= 1e-3 or value <= 0 else math.floor(math.log10(value))
    value, error = value / 10.0**exponent, error / 10.0**exponent
    decimals = max(0, 1 - math.floor(math.log10(error))) if error > 0 else 3
    body = rf"{_fixed(value, decimals)}\pm{_fixed(error, decimals)}"
    return TeX(rf"$({body})\times10^{{{exponent}}}$" if exponent else f"${body}$")


def whole(value: float) -> TeX:
    """Write a whole number with thin spaces between the thousands."""
    return TeX(f"${value:,.0f}$".replace(",", r"\,"))


def z(value: float | None) -> TeX:
    """Write a significance to two decimals; a dash where it has no finite value."""
    return TeX("--" if value is None else f"${value:.2f}$")


def _fixed(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}"
