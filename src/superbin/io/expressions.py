"""Expressions in the branches of a tree, such as ``met > 200 and abs(eta) < 2.4``: parsed, never executed as Python.

Allowed are numbers, names, ``+ - * / % **``, comparisons (chained ones too), ``and or not``, ``& | ~`` between conditions, and
the functions of `FUNCTIONS`; anything else is refused. A dot in a name belongs to the name (``jet.pt``).
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from superbin.errors import InputError

__all__ = ["FUNCTIONS", "Expression"]

FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": np.abs, "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "log10": np.log10, "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "sinh": np.sinh, "cosh": np.cosh, "tanh": np.tanh, "arctan2": np.arctan2, "hypot": np.hypot,
    "min": np.minimum, "max": np.maximum, "floor": np.floor,
}  # fmt: skip
"""Functions that an expression may call; ``min``, ``max``, ``hypot`` and ``arctan2`` take two arguments, the others one."""
_TWO = {"min", "max", "hypot", "arctan2"}

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: np.divide, ast.Mod: np.mod,
    ast.Pow: np.float_power,
}  # fmt: skip
_LOGICAL: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.And: np.logical_and, ast.Or: np.logical_or, ast.BitAnd: np.logical_and, ast.BitOr: np.logical_or,
}  # fmt: skip
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip
_LONGEST = 4000


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression.

    Attributes
    ----------
    text : str
    names : frozenset of str
        The branches it reads.

    Examples
    --------
    >>> Expression.parse("pt > 30 and abs(eta) < 2.4").evaluate({"pt": np.array([20, 50]), "eta": np.array([0, -1])})
    array([False,  True])
    """

    text: str
    names: frozenset[str]
    _tree: ast.expr

    @classmethod
    def parse(cls, text: str) -> "Expression":
        """Parse a text.

        Raises
        ------
        InputError
            If it holds anything that is not allowed.
        """
        if len(text) > _LONGEST:
            raise InputError(f"an expression of {len(text)} characters; at most {_LONGEST} are read")
        plain = text.replace("&&", " and ").replace("||", " or ")
        try:
            tree = ast.parse(plain.strip(), mode="eval").body
            names: set[str] = set()
            _check(tree, text, names)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{text[:80]!r} is no expression; write such as 'met > 200 and njet >= 4'"
            ) from None
        return cls(text, frozenset(names), tree)

    def evaluate(self, branches: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """Its value for every event; `branches` must hold all its names.

        A division by zero or a logarithm of a negative number gives infinity or NaN, as in NumPy.
        """
        with np.errstate(all="ignore"):
            return np.asarray(_value(self._tree, branches))


def _check(node: ast.expr, text: str, names: set[str]) -> None:
    """Refuse what is not allowed, and gather names."""
    match node:
        case ast.Constant(value=bool() | int() | float()):
            return
        case ast.Name() | ast.Attribute():
            names.add(_name(node, text))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not() | ast.Invert(), operand=operand):
            _check(operand, text, names)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY or type(op) in _LOGICAL:
            # Python binds & closer than >: "a > 1 & b > 2" would mean a > (1 & b) > 2.
            if type(op) in _LOGICAL and not (_is_condition(left) and _is_condition(right)):
                raise InputError(
                    f"{text[:80]!r} joins numbers by & or |; put every comparison in parentheses, or write 'and', 'or'"
                )
            _check(left, text, names)
            _check(right, text, names)
        case ast.BoolOp(values=values):
            for value in values:
                _check(value, text, names)
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARE for op in ops):
            for value in (left, *others):
                _check(value, text, names)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS and len(args) == (
            2 if name in _TWO else 1
        ):
            for value in args:
                _check(value, text, names)
        case _:
            shown = ast.unparse(node)[:60]
            raise InputError(
                f"{shown!r} in {text[:80]!r} is not allowed; an expression has numbers, branches, + - * / % **, comparisons, "
                f"and, or, not, and the functions {', '.join(FUNCTIONS)}"
            )


def _is_condition(node: ast.expr) -> bool:
    match node:
        case (
            ast.Compare()
            | ast.BoolOp()
            | ast.Name()
            | ast.Attribute()
            | ast.UnaryOp(op=ast.Not() | ast.Invert())
        ):
            return True
        case ast.BinOp(op=ast.BitAnd() | ast.BitOr()):
            return True
        case _:
            return False


def _name(node: ast.expr, text: str) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=attribute) if not attribute.startswith("__"):
            return f"{_name(value, text)}.{attribute}"
        case _:
            raise InputError(f"{ast.unparse(node)[:60]!r} in {text[:80]!r} is not the name of a branch")


def _value(node: ast.expr, branches: Mapping[str, NDArray[Any]]) -> Any:
    match node:
        case ast.Constant(value=value):
            return np.float64(value)
        case ast.UnaryOp(op=op, operand=operand):
            inner = _value(operand, branches)
            if isinstance(op, ast.Not | ast.Invert):
                return np.logical_not(inner)
            # Unsigned counters have no negative.
            return np.float64(0.0) - inner if isinstance(op, ast.USub) else inner
        case ast.BinOp(left=left, op=op, right=right):
            act = _BINARY.get(type(op)) or _LOGICAL[type(op)]
            return act(_value(left, branches), _value(right, branches))
        case ast.BoolOp(op=op, values=values):
            result = _value(values[0], branches)
            for value in values[1:]:
                result = _LOGICAL[type(op)](result, _value(value, branches))
            return result
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _compared(_value(left, branches), ops, [_value(other, branches) for other in others])
        case ast.Call(func=ast.Name(id=name), args=args):
            return FUNCTIONS[name](*(_value(value, branches) for value in args))
        case _:
            array = branches[_name(node, "")]
            # Differences of unsigned counters wrap around, and sums of short integers and floats overflow.
            return (
                array.astype(np.float64) if array.dtype.kind in "iuf" and array.dtype != np.float64 else array
            )


def _compared(first: Any, ops: list[ast.cmpop], others: list[Any]) -> Any:
    result = None
    for op, other in zip(ops, others, strict=True):
        this = _COMPARE[type(op)](first, other)
        result = this if result is None else np.logical_and(result, this)
        first = other
    return result
