"""Formulas of parameters: a small expression tree, evaluated with exact first and second derivatives.

Nothing is ever executed: a reader parses text into these nodes and refuses the rest.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.errors import InputError

__all__ = [
    "FUNCTIONS",
    "Binary",
    "Call",
    "Choice",
    "Constant",
    "Expression",
    "Jet",
    "Operator",
    "Variable",
    "evaluate",
    "monomial",
    "replaced",
    "variables",
]


@dataclass(frozen=True, slots=True, eq=False)
class Jet:
    """A value with its gradient and Hessian in the variables of a formula."""

    value: float
    gradient: FloatArray
    hessian: FloatArray

    def chain(self, value: float, first: float, second: float) -> "Jet":
        """A function of this, given its value and derivatives here."""
        outer = np.outer(self.gradient, self.gradient)
        return Jet(value, first * self.gradient, first * self.hessian + second * outer)

    def __add__(self, other: "Jet") -> "Jet":
        return Jet(self.value + other.value, self.gradient + other.gradient, self.hessian + other.hessian)

    def __neg__(self) -> "Jet":
        return Jet(-self.value, -self.gradient, -self.hessian)

    def __mul__(self, other: "Jet") -> "Jet":
        cross = np.outer(self.gradient, other.gradient)
        return Jet(
            self.value * other.value,
            self.value * other.gradient + other.value * self.gradient,
            self.value * other.hessian + other.value * self.hessian + cross + cross.T,
        )


@dataclass(frozen=True, slots=True)
class Constant:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Variable:
    """A parameter, by name."""

    name: str


Operator: TypeAlias = Literal["+", "-", "*", "/", "^", "<", ">", "<=", ">=", "==", "!=", "&&", "||"]
"""Arithmetic, and what is 1 where it holds and 0 elsewhere."""


@dataclass(frozen=True, slots=True)
class Binary:
    """Two expressions joined by an `Operator`; ``^`` is the power."""

    operator: Operator
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    """A function of `FUNCTIONS` of one expression."""

    function: str
    argument: "Expression"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of two expressions, by whether a third is not zero; derivatives are those of the one taken."""

    condition: "Expression"
    yes: "Expression"
    no: "Expression"


Expression: TypeAlias = Constant | Variable | Binary | Call | Choice

Rule: TypeAlias = Callable[[float], tuple[float, float, float]]


def _tan(x: float) -> tuple[float, float, float]:
    t = math.tan(x)
    return t, 1 + t * t, 2 * t * (1 + t * t)


def _tanh(x: float) -> tuple[float, float, float]:
    t = math.tanh(x)
    return t, 1 - t * t, -2 * t * (1 - t * t)


def _sqrt(x: float) -> tuple[float, float, float]:
    root = math.sqrt(x)
    return root, 0.5 / root, -0.25 / (root * x)


FUNCTIONS: Mapping[str, Rule] = {
    "exp": lambda x: (math.exp(x), math.exp(x), math.exp(x)),
    "log": lambda x: (math.log(x), 1 / x, -1 / x**2),
    "log10": lambda x: (math.log10(x), 1 / (x * math.log(10)), -1 / (x**2 * math.log(10))),
    "sqrt": _sqrt,
    "abs": lambda x: (abs(x), math.copysign(1.0, x), 0.0),
    "sin": lambda x: (math.sin(x), math.cos(x), -math.sin(x)),
    "cos": lambda x: (math.cos(x), -math.sin(x), -math.cos(x)),
    "tan": _tan,
    "tanh": _tanh,
    "asin": lambda x: (math.asin(x), (1 - x * x) ** -0.5, x * (1 - x * x) ** -1.5),
    "acos": lambda x: (math.acos(x), -((1 - x * x) ** -0.5), -x * (1 - x * x) ** -1.5),
    "atan": lambda x: (math.atan(x), 1 / (1 + x * x), -2 * x / (1 + x * x) ** 2),
    "sinh": lambda x: (math.sinh(x), math.cosh(x), math.sinh(x)),
    "cosh": lambda x: (math.cosh(x), math.sinh(x), math.cosh(x)),
}
"""Value, first and second derivative of the functions of one argument that a formula may call."""


def variables(expression: Expression) -> tuple[str, ...]:
    """Names of the parameters in an expression, each once, in order of appearance."""
    match expression:
        case Variable(name):
            return (name,)
        case Binary(_, left, right):
            return tuple(dict.fromkeys((*variables(left), *variables(right))))
        case Call(_, argument):
            return variables(argument)
        case Choice(condition, yes, no):
            return tuple(dict.fromkeys((*variables(condition), *variables(yes), *variables(no))))
        case _:
            return ()


def replaced(expression: Expression, parts: Mapping[str, Expression]) -> Expression:
    """Return an expression with some of its variables replaced by expressions."""
    match expression:
        case Variable(name):
            return parts.get(name, expression)
        case Binary(operator, left, right):
            return Binary(operator, replaced(left, parts), replaced(right, parts))
        case Call(function, argument):
            return Call(function, replaced(argument, parts))
        case Choice(condition, yes, no):
            return Choice(replaced(condition, parts), replaced(yes, parts), replaced(no, parts))
        case _:
            return expression


def monomial(expression: Expression) -> tuple[float, dict[str, float]] | None:
    """Return coefficient and exponents of an expression that is a product of powers of its variables, None for any other.

    Examples
    --------
    >>> monomial(Binary("/", Binary("*", Constant(2.0), Variable("a")), Variable("b")))
    (2.0, {'a': 1.0, 'b': -1.0})
    """
    match expression:
        case Constant(value):
            return value, {}
        case Variable(name):
            return 1.0, {name: 1.0}
        case Binary("*" | "/" as operator, left, right):
            return _quotient(monomial(left), monomial(right), 1.0 if operator == "*" else -1.0)
        case Binary("^", left, Constant(power)):
            return _quotient((1.0, {}), monomial(left), power)
        case _:
            return None


def _quotient(
    left: tuple[float, dict[str, float]] | None, right: tuple[float, dict[str, float]] | None, power: float
) -> tuple[float, dict[str, float]] | None:
    """The left side times a power of the right one."""
    if left is None or right is None:
        return None
    if right[0] <= 0 and power != 1:
        return None
    powers = dict(left[1])
    for name, own in right[1].items():
        powers[name] = powers.get(name, 0.0) + power * own
    return left[0] * right[0] ** power, powers


def evaluate(expression: Expression, values: Mapping[str, float]) -> Jet:
    """Return value, gradient and Hessian; the derivatives are in the order of `values`.

    Where the expression has no finite value all are NaN.

    Raises
    ------
    InputError
        If a parameter has no value or a function is unknown.

    Examples
    --------
    >>> jet = evaluate(Binary("*", Variable("a"), Variable("b")), {"a": 2.0, "b": 3.0})
    >>> jet.value, jet.gradient.tolist(), jet.hessian.tolist()
    (6.0, [3.0, 2.0], [[0.0, 1.0], [1.0, 0.0]])
    """
    n = len(values)
    try:
        return _jet(expression, values, {name: i for i, name in enumerate(values)}, n)
    except (ArithmeticError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        return Jet(math.nan, np.full(n, math.nan), np.full((n, n), math.nan))


def _jet(expression: Expression, values: Mapping[str, float], index: Mapping[str, int], n: int) -> Jet:
    match expression:
        case Constant(value):
            return Jet(value, np.zeros(n), np.zeros((n, n)))
        case Variable(name):
            if name not in values:
                raise InputError(f"the formula names {name!r}, which is not a parameter")
            gradient = np.zeros(n)
            gradient[index[name]] = 1.0
            return Jet(values[name], gradient, np.zeros((n, n)))
        case Call(function, argument):
            if function not in FUNCTIONS:
                raise InputError(f"the formula calls {function!r}; known are {', '.join(FUNCTIONS)}")
            inner = _jet(argument, values, index, n)
            return inner.chain(*FUNCTIONS[function](inner.value))
        case Binary(operator, left, right):
            return _join(operator, _jet(left, values, index, n), _jet(right, values, index, n))
        case Choice(condition, yes, no):
            taken = yes if _jet(condition, values, index, n).value != 0 else no
            return _jet(taken, values, index, n)


def _join(operator: str, left: Jet, right: Jet) -> Jet:
    match operator:
        case "+":
            return left + right
        case "-":
            return left + -right
        case "*":
            return left * right
        case "/":
            x = right.value
            return left * right.chain(1 / x, -1 / x**2, 2 / x**3)
        case "^":
            return _power(left, right)
        case _ if operator in _COMPARED:
            n = left.gradient.size
            return Jet(float(_COMPARED[operator](left.value, right.value)), np.zeros(n), np.zeros((n, n)))
        case _:
            raise InputError(
                f"the formula has the operator {operator!r}; known are + - * / ^ {' '.join(_COMPARED)}"
            )


_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "&&": lambda a, b: a != 0 and b != 0,
    "||": lambda a, b: a != 0 or b != 0,
}


def _power(left: Jet, right: Jet) -> Jet:
    p, x = right.value, left.value
    if right.gradient.any():
        log = left.chain(math.log(x), 1 / x, -1 / x**2) * right
        value = math.exp(log.value)
        return log.chain(value, value, value)
    if not left.gradient.any():
        return left.chain(math.pow(x, p), 0.0, 0.0)
    # Not x ** p, which is complex for negative x.
    first = p * math.pow(x, p - 1) if p != 0 else 0.0
    second = p * (p - 1) * math.pow(x, p - 2) if p not in {0, 1} else 0.0
    return left.chain(math.pow(x, p), first, second)
