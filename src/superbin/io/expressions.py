"""Expressions in the branches of a tree, such as ``met > 200 and abs(eta) < 2.4``: parsed, never executed as Python.

Allowed are numbers, names, ``+ - * / % **``, comparisons (chained ones too), ``and or not``, ``& | ~`` between conditions, and
the functions of `FUNCTIONS`; anything else is refused. A dot in a name belongs to the name (``jet.pt``).
"""

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
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
                f"{text[:80]!r} is not an expression; write such as 'met > 200 and njet >= 4'"
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
    if isinstance(node, ast.Name | ast.Attribute):
        names.add(_name(node, text))
        return
    # Python binds & closer than >: "a > 1 & b > 2" would mean a > (1 & b) > 2.
    joins = isinstance(node, ast.BinOp) and type(node.op) in _LOGICAL
    if joins and not (_is_condition(node.left) and _is_condition(node.right)):  # type: ignore[attr-defined]
        raise InputError(
            f"{text[:80]!r} joins numbers by & or |; put every comparison in parentheses, or write 'and', 'or'"
        )
    for part in _parts(node, text):
        _check(part, text, names)


def _parts(node: ast.expr, text: str) -> list[ast.expr]:
    """What an allowed node is made of."""
    match node:
        case ast.Constant(value=bool() | int() | float()):
            return []
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not() | ast.Invert(), operand=operand):
            return [operand]
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY or type(op) in _LOGICAL:
            return [left, right]
        case ast.BoolOp(values=values):
            return values
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in _COMPARE for op in ops):
            return [left, *others]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS and len(args) == (
            2 if name in _TWO else 1
        ):
            return args
    raise InputError(
        f"{ast.unparse(node)[:60]!r} in {text[:80]!r} is not allowed; an expression has numbers, branches, + - * / % **, "
        f"comparisons, and, or, not, and the functions {', '.join(FUNCTIONS)}"
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
    result: Any
    match node:
        case ast.Constant(value=int() | float() as number):
            result = np.float64(number)
        case ast.UnaryOp(op=ast.Not() | ast.Invert(), operand=operand):
            result = np.logical_not(_value(operand, branches))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            # Unsigned counters have no negative.
            result = np.float64(0.0) - _value(operand, branches)
        case ast.UnaryOp(operand=operand):
            result = _value(operand, branches)
        case ast.BinOp(left=left, op=op, right=right):
            act = _BINARY.get(type(op)) or _LOGICAL[type(op)]
            result = act(_value(left, branches), _value(right, branches))
        case ast.BoolOp(op=op, values=values):
            result = reduce(_LOGICAL[type(op)], [_value(v, branches) for v in values])
        case ast.Compare(left=left, ops=ops, comparators=others):
            result = _compared(_value(left, branches), ops, [_value(other, branches) for other in others])
        case ast.Call(func=ast.Name(id=name), args=args):
            result = FUNCTIONS[name](*(_value(arg, branches) for arg in args))
        case _:
            array = branches[_name(node, "")]
            # Differences of unsigned counters wrap around, and products of short integers overflow.
            result = array if array.dtype.kind == "b" else array.astype(np.float64, copy=False)
    return result


def _compared(first: Any, ops: list[ast.cmpop], others: list[Any]) -> Any:
    result = None
    for op, other in zip(ops, others, strict=True):
        this = _COMPARE[type(op)](first, other)
        result = this if result is None else np.logical_and(result, this)
        first = other
    return result
