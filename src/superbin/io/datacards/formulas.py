"""Formulas of rate parameters: a subset of ROOT's TFormula syntax -> an expression tree.

Arithmetic, powers (``^``, right-associative), comparisons, ``&&``, ``||``, ``!``, the conditional ``? :``, and the functions of one argument
of `superbin.statistical_model.expressions`, besides `pow`, `min` and `max`, bare or as ``TMath::Name``. Arguments are ``@0``, ``@1``, ..., ``x[0]``,
..., or their names. The text is read by a parser of its own and never executed; what it does not know it refuses, naming the position.

A quotient of two whole numbers is refused: ROOT compiles it as C++, where 1/2 is zero.
"""

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from superbin.errors import InputError
from superbin.statistical_model.expressions import (
    FUNCTIONS,
    Binary,
    Call,
    Choice,
    Constant,
    Expression,
    Operator,
    Variable,
)

__all__ = ["parse_formula"]

DEEPEST = 60
"""Nesting of parentheses, signs and powers."""

LONGEST = 4000
"""Characters."""

MOST = 300
"""Operators, which all may nest."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<argument>@\d+|x\[\d+\])"
    r"|(?P<name>[A-Za-z_][\w.]*(?:::\w+)*)|(?P<operator>\*\*|<=|>=|==|!=|&&|\|\||[-+*/^()<>!?:,]))",
    re.ASCII,
)

_BINARY: Sequence[tuple[Operator, ...]] = (
    ("||",),
    ("&&",),
    ("==", "!="),
    ("<=", ">=", "<", ">"),
    ("+", "-"),
    ("*", "/"),
)
"""From the loosest to the tightest."""

_ALIASES = {"fabs": "abs", "ln": "log"}
_CONSTANTS = {"pi": 3.141592653589793, "Pi": 3.141592653589793}

Kind: TypeAlias = Literal["number", "argument", "name", "operator", "end"]


def parse_formula(text: str, arguments: Sequence[str]) -> Expression:
    """Read a formula.

    Parameters
    ----------
    text : str
        The formula; quotes around it are ignored.
    arguments : sequence of str
        Names of the parameters ``@0``, ``@1``, ...

    Returns
    -------
    Expression
        Its variables are the arguments.

    Raises
    ------
    InputError
        If it is not of the subset, or names what is no argument; the caller adds the place.

    Examples
    --------
    >>> from superbin.statistical_model.expressions import evaluate
    >>> evaluate(parse_formula("2*@0^2", ["a"]), {"a": 3.0}).value
    18.0
    """
    stripped = text.strip().strip("\"'")
    if len(stripped) > LONGEST:
        raise InputError(f"the formula has {len(stripped)} characters; at most {LONGEST} are read")
    return _Parser(stripped, arguments).whole()


class _Parser:
    """Recursive descent with one token of look-ahead."""

    def __init__(self, text: str, arguments: Sequence[str]) -> None:
        self.text, self.arguments = text, arguments
        self.end = 0
        self.depth = 0
        self.operators = 0
        self.kind: Kind = "end"
        self.token = ""
        self.start = 0
        self.advance()

    def error(self, message: str) -> InputError:
        shown = self.text if len(self.text) <= 60 else self.text[:60] + "..."
        return InputError(f"formula {shown!r}, character {self.start + 1}: {message}")

    def advance(self) -> None:
        """Read the next token."""
        match = _TOKEN.match(self.text, self.end)
        if match is None:
            rest = self.text[self.end :].strip()
            self.start = len(self.text) - len(self.text[self.end :].lstrip())
            if rest:
                raise self.error(
                    f"{rest[:1]!r} is not of the syntax that is read; use + - * / ^ and functions"
                )
            self.kind, self.token, self.end = "end", "", len(self.text)
            return
        kinds: tuple[Kind, ...] = ("number", "argument", "name", "operator")
        self.kind = next(kind for kind in kinds if match[kind] is not None)
        self.token, self.start, self.end = match[self.kind], match.start(self.kind), match.end()
        if self.token == "**":
            self.token = "^"

    def take(self, *tokens: str) -> str | None:
        """Return the token and go on if it is one of these operators."""
        if self.kind == "operator" and self.token in tokens:
            token = self.token
            self.advance()
            return token
        return None

    def expect(self, token: str) -> None:
        if self.take(token) is None:
            raise self.error(f"{token!r} is expected here, not {self.token or 'the end'!r}")

    def whole(self) -> Expression:
        if not self.token:
            raise self.error("the formula is empty")
        expression = self.conditional()
        if self.token:
            raise self.error(f"{self.token!r} comes after the end of the expression")
        return expression

    def conditional(self) -> Expression:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"it is nested deeper than {DEEPEST} levels")
        condition = self.binary(0)
        if self.take("?") is not None:
            yes = self.conditional()
            self.expect(":")
            condition = Choice(condition, yes, self.conditional())
        self.depth -= 1
        return condition

    def binary(self, level: int) -> Expression:
        if level == len(_BINARY):
            return self.signed()
        left = self.binary(level + 1)
        while True:
            operator = next((o for o in _BINARY[level] if self.kind == "operator" and self.token == o), None)
            if operator is None:
                return left
            at = self.start
            self.operators += 1
            if self.operators > MOST:
                raise self.error(f"it has more than {MOST} operators; split it into several rateParam lines")
            self.advance()
            right = self.binary(level + 1)
            if operator == "/" and _is_whole(left) and _is_whole(right):
                self.start = at
                raise self.error(
                    "a quotient of whole numbers is rounded down in ROOT; write 1./2. if the fraction is meant"
                )
            left = Binary(operator, left, right)

    def signed(self) -> Expression:
        sign = self.take("-", "+", "!")
        if sign is None:
            return self.power()
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"it is nested deeper than {DEEPEST} levels")
        operand = self.signed()
        self.depth -= 1
        if sign == "-":
            zero = _Whole(0.0) if _is_whole(operand) else Constant(0.0)
            return Binary("-", zero, operand)
        return operand if sign == "+" else Binary("==", operand, Constant(0.0))

    def power(self) -> Expression:
        base = self.primary()
        if self.take("^") is None:
            return base
        # The exponent takes its own sign and powers: 2^-x^2 is 2^(-(x^2)).
        exponent = self.signed()
        return Binary("^", base, exponent)

    def primary(self) -> Expression:
        kind, token = self.kind, self.token
        if kind == "number":
            self.advance()
            value = float(token)
            return _Whole(value) if token.isdigit() else Constant(value)
        if kind == "argument":
            number = int(re.sub(r"\D", "", token))
            if number >= len(self.arguments):
                raise self.error(f"{token} has no argument; {len(self.arguments)} are given")
            self.advance()
            return Variable(self.arguments[number])
        if kind == "name":
            return self.named()
        if self.take("(") is not None:
            inner = self.conditional()
            self.expect(")")
            return inner
        raise self.error(f"a number, an argument or a function is expected here, not {token or 'the end'!r}")

    def named(self) -> Expression:
        name = self.token
        if name in self.arguments:
            self.advance()
            return Variable(name)
        start = self.start
        self.advance()
        plain = name.removeprefix("TMath::").removeprefix("std::")
        if self.take("(") is None:
            if plain in _CONSTANTS:
                return Constant(_CONSTANTS[plain])
            self.start = start
            raise self.error(f"{name!r} is none of its arguments {', '.join(self.arguments)}")
        inside = [] if self.kind == "operator" and self.token == ")" else [self.conditional()]
        while inside and self.take(",") is not None:
            inside.append(self.conditional())
        self.expect(")")
        self.start = start
        return self.function(name, plain, inside)

    def function(self, name: str, plain: str, inside: list[Expression]) -> Expression:
        lower = plain[:1].lower() + plain[1:] if name.startswith("TMath::") else plain
        lower = _ALIASES.get(lower, lower)
        if plain in _CONSTANTS and not inside:
            return Constant(_CONSTANTS[plain])
        if lower in FUNCTIONS and len(inside) == 1:
            return Call(lower, inside[0])
        if lower in {"pow", "power"} and len(inside) == 2:
            return Binary("^", inside[0], inside[1])
        if lower in {"min", "max"} and len(inside) == 2:
            return Choice(Binary("<" if lower == "min" else ">", inside[0], inside[1]), inside[0], inside[1])
        known = ", ".join([*FUNCTIONS, "pow", "min", "max"])
        raise self.error(f"the function {name!r} of {len(inside)} arguments is not known; known are {known}")


class _Whole(Constant):
    """A number written without point or exponent."""


def _is_whole(expression: Expression) -> bool:
    if isinstance(expression, Binary):
        return expression.operator in "+-*/" and _is_whole(expression.left) and _is_whole(expression.right)
    return isinstance(expression, _Whole)
