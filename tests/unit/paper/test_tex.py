"""From values to TeX: escaping, formulas and numbers."""

import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from superbin.paper.tex import (
    TeX,
    escape,
    estimate,
    mathtext,
    measured,
    parts,
    percent,
    pvalue,
    whole,
    z,
)
from superbin.results.wording import merge_status, typeset

# Every macro that escape may write, and how many arguments in braces it takes.
TEXT_MACROS = {
    "textbackslash": 0, "textbraceleft": 0, "textbraceright": 0, "textasciicircum": 0, "textasciitilde": 0,
    "textless": 0, "textgreater": 0, "textbar": 0, "textquotedblright": 0, "textquotedblleft": 0, "textquoteleft": 0,
    "textquoteright": 0, "ldots": 0, "allowbreak": 0, "ensuremath": 1, "ss": 0, "ae": 0, "AE": 0, "oe": 0, "OE": 0, "o": 0,
    "O": 0, "l": 0, "L": 0, "i": 0, "j": 0, "S": 0, "P": 0, "copyright": 0, "pounds": 0, "u": 1, "r": 1, "H": 1, "v": 1, "c": 1,
}  # fmt: skip
FORBIDDEN = "\\{}$&#%_^~"
TRICKS = [
    r"\input{/etc/passwd}", r"\write18{ls}", r"$\csname end\endcsname$", "a & b \\\\ c", "100 %", "#1", "x_1^2", "~", "^^M",
    "$", "$$", "$$$", r"\$", "}{", "{", "}", r"\end{document}", "line\nbreak\r\n\x0b\x0c\x85\u2028tab\t\x00\x7f", "[x]", "*", "--", "---",
    "``quoted''", "<<!`?`>>", "Zürich, Å, ł, ñ, ī, ő, ç, ß, Æ", "η → ∞ ≥ 5 °", "中文 🙂", "e\u0301", "\u0301", r"\bar\nu", "@article{x,", "%\n}",
]  # fmt: skip


def check_text(tex: str) -> None:
    """TeX that does nothing but print: ASCII, balanced, only known macros, no special character on its own."""
    assert tex.isascii()
    assert "\n" not in tex
    rest = re.sub(r"\\ensuremath\{[^{}]*(?:\{\}[^{}]*\{[^{}]*\})?\}", "", tex)
    depth = 0
    position = 0
    while position < len(rest):
        character = rest[position]
        if character == "\\":
            word = re.match(r"\\([A-Za-z]+)(?=[{}])|\\([$&#%_`'^~=.\"])", rest[position:])
            assert word, rest[position:]
            if word.group(1):
                assert word.group(1) in TEXT_MACROS, word.group()
            position += len(word.group())
            continue
        assert character not in "$&#%_^~", rest[position:]
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
        position += 1
    assert depth == 0


class TestEscape:
    @given(st.text())
    def test_any_text_only_prints(self, text: str) -> None:
        """PAPER-4: whatever the characters, the TeX is ASCII and balanced and holds only harmless macros."""
        check_text(escape(text))

    @given(st.lists(st.sampled_from(TRICKS)).map("".join))
    def test_tricks_only_print(self, text: str) -> None:
        """PAPER-4: also where someone tries."""
        check_text(escape(text))

    @given(st.text(alphabet=string.ascii_letters + string.digits + " .,:;!?()+=/@-", max_size=20))
    def test_plain_text_stays(self, text: str) -> None:
        """PAPER-4: ordinary text is itself, but for dashes kept apart and places where it may break."""
        assert escape(text).replace(r"\allowbreak{}", "").replace("{}-", "-") == text

    @pytest.mark.parametrize(
        ("text", "tex"),
        [
            ("50 % & more", r"50 \% \& more"),
            ("m_gluino", r"m\_gluino"),
            ("a\\b", r"a\textbackslash{}b"),
            ("{x}", r"\textbraceleft{}x\textbraceright{}"),
            ("cost $5", r"cost \$5"),
            ("~^", r"\textasciitilde{}\textasciicircum{}"),
            ("a\nb\tc", "a b c"),
            ("é, ñ, ü, í, č, ç, å", r"\'{e}, \~{n}, \"{u}, \'{\i}, \v{c}, \c{c}, \r{a}"),
            ("e\u0301", r"\'{e}"),
            ("≥ 5 °", r"\ensuremath{\geq} 5 \ensuremath{{}^{\circ}}"),
            ("3–4", "3--4"),
            ("a--b", "a-{}-b"),
            ("中", "(U+4E2D)"),
            ("🙂", "(U+1F642)"),
            ("[1] *", "{[}1{]} {*}"),
        ],
    )
    def test_examples(self, text: str, tex: str) -> None:
        """PAPER-4: each special character prints as itself, a missing one as its code."""
        assert escape(text) == tex

    def test_long_words_can_break(self) -> None:
        """PAPER-4: a path or a digest does not run out of the margin."""
        assert r"/\allowbreak{}" in escape("validation/published_table/derive.py")
        assert len(max(escape("x" * 200).split(r"\allowbreak{}"), key=len)) <= 24

    def test_greek_is_complete(self) -> None:
        """PAPER-4: a Greek letter is set as its own symbol, not as its neighbour."""
        assert escape("α") == r"\ensuremath{\alpha}"
        assert escape("χ") == r"\ensuremath{\chi}"
        assert escape("ω") == r"\ensuremath{\omega}"
        assert escape("Γ") == r"\ensuremath{\Gamma}"
        assert escape("Ω") == r"\ensuremath{\Omega}"


class TestMathtext:
    @pytest.mark.parametrize(
        ("label", "tex"),
        [
            (r"$N_\mathrm{jet}$", r"$N_{\mathrm{jet}}$"),
            (r"$H_\mathrm{T}^\mathrm{miss}$ 300-750 GeV", r"$H_{\mathrm{T}}^{\mathrm{miss}}$ 300-750 GeV"),
            (r"$Z\to\nu\bar\nu$", r"$Z\to\nu\bar{\nu}$"),
            (r"$\tilde\chi^0_1$ & co", r"$\tilde{\chi}^{0}_{1}$ \& co"),
            (r"$\sqrt{s} = 13$ TeV", r"$\sqrt{s}=13$ TeV"),
            (r"$\frac{a}{b}\alpha x'$", r"$\frac{a}{b}\alpha x^{\prime}$"),
            ("QCD multijet", "QCD multijet"),
            ("$5 and more", r"\$5 and more"),
        ],
    )
    def test_formulas_pass(self, label: str, tex: str) -> None:
        """PAPER-5: a formula in the language is written again, the words around it are escaped."""
        assert mathtext(label) == tex

    @pytest.mark.parametrize(
        "label",
        [
            r"$\input{x}$", r"$\def\x{1}$", "$a_b_c$", "$a^b^c$", "$x'^2$", "$x^$", "${$", "$}$", "$a{b$", "$\\", "$#$", "$&$", "$~$",
            r"$\mathrm$", r"$\frac{a}$", r"$\begin{x}$", r"$\\$", "$" + "{" * 40 + "}" * 40 + "$", "$é$", "$a%b$", r"$\mathrmx$",
        ],
    )  # fmt: skip
    def test_other_formulas_are_text(self, label: str) -> None:
        """PAPER-5: anything else prints as it was written, dollars and all."""
        assert mathtext(label) == escape(label)

    @given(st.text(alphabet="ab_^{}'$ \\%&#~", max_size=12))
    @example(r"$a_b$ $\%$")
    def test_never_anything_dangerous(self, text: str) -> None:
        """PAPER-5: formulas are balanced, with single scripts; the rest is escaped text."""
        tex = mathtext(text)
        check_text(re.sub(r"(?<!\\)\$(?:[^$\\]|\\.)*(?<!\\)\$", "", tex))
        for formula in re.findall(r"(?<!\\)\$((?:[^$\\]|\\.)*)(?<!\\)\$", tex):
            assert formula.count("{") == formula.count("}")
            assert not re.search(r"(\^|_)\{[^{}]*\}\1", formula)
            assert not re.search(r"[#&~]|(?<!\\)%", formula)

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """PAPER-4, PAPER-5: no label fails."""
        assert mathtext(text).isascii()


class TestNumbers:
    @pytest.mark.parametrize(
        ("nominal", "up", "down", "tex"),
        [
            (12.345, 3.7, 3.067, "$12.3^{+3.7}_{-3.1}$"),
            (0.003, 1.04, 0.003, "$0.00^{+1.04}_{-0.00}$"),
            (982.79, 104.1, 100.2, r"$980\pm100$"),
            (9.61, 0.1441, 0.1441, r"$9.61\pm0.14$"),
            (4.8, 0.0, 0.0, "$4.80$"),
            (2.3e-6, 1e-6, 5e-7, r"$(2.3^{+1.0}_{-0.5})\times10^{-6}$"),
        ],
    )
    def test_measured(self, nominal: float, up: float, down: float, tex: str) -> None:
        """PAPER-3, RES-20: upwards and downwards are kept apart, all with the same last digit."""
        assert measured(nominal, up, down) == tex

    def test_parts(self) -> None:
        """PAPER-3, RES-20: a value and its uncertainties in cells of their own agree in their last digit."""
        assert parts(0.81, (2.01, 0.6), (0.54, 0.0)) == ("$0.8$", "$^{+2.0}_{-0.6}$", "$^{+0.5}_{-0.0}$")
        assert parts(3.0, (0.5, 0.5)) == ("$3.0$", r"$\pm0.5$")

    @pytest.mark.parametrize(("value", "tex"), [(0.0153, r"1.5\,\%"), (0.27, r"27\,\%"), (1.5, r"150\,\%")])
    def test_percent(self, value: float, tex: str) -> None:
        """PAPER-3: a relative uncertainty has two digits."""
        assert percent(value) == tex

    @pytest.mark.parametrize(
        ("value", "tex"),
        [(0.13, "$0.130$"), (0.027115, "$0.0271$"), (1.0, "$1.00$"), (2.346e-7, r"$2.35\times10^{-7}$"), (0.0, "$0.00$")],
    )  # fmt: skip
    def test_pvalue(self, value: float, tex: str) -> None:
        """PAPER-3: three digits, powers of ten where it is small."""
        assert pvalue(value) == tex

    @pytest.mark.parametrize(
        ("value", "error", "tex"),
        [
            (0.027115, 0.00016, r"$0.02712\pm0.00016$"),
            (2.71e-5, 3.2e-7, r"$(2.710\pm0.032)\times10^{-5}$"),
            (0.0, 0.0, r"$0.000\pm0.000$"),
            (0.5, 0.02, r"$0.500\pm0.020$"),
        ],
    )
    def test_estimate(self, value: float, error: float, tex: str) -> None:
        """PAPER-3: as many digits as the error warrants."""
        assert estimate(value, error) == tex

    def test_others(self) -> None:
        """PAPER-3: thousands in thin spaces; no significance is a dash."""
        assert whole(1_000_000) == r"$1\,000\,000$"
        assert z(-0.316) == "$-0.32$"
        assert z(None) == "--"
        assert isinstance(z(1.0), TeX)


def test_what_readers_see_of_notes_and_proofs() -> None:
    """PAPER-14: signs in place of their ASCII; a bound at twice the best or beyond proves nothing worth a word."""
    assert typeset("1.01 +- 0.03, 16-84 %, Z -> nu nu, a-b") == "1.01 ± 0.03, 16–84 %, Z → nu nu, a-b"
    assert typeset("10.1103/PhysRevD.96-032003") == "10.1103/PhysRevD.96-032003"
    shown = [merge_status(text) for text in ("certified", "within 1.3 %", "within 99 %", "within 4500 %")]
    assert shown == ["certified", "within 1.3 %", "within 99 %", "best found"]
