"""Read an expression such as ``(x**2 + 3)**2 + y`` without running it as Python: only numbers, names, operators, calls.

What is not on the list is refused with its column, so that nothing that is typed can do more than arithmetic.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import chainrule
from chainrule import PRIMITIVES, Var
from chainrule.misspelt import FUNCTIONS, advice

_MOST_CHARACTERS = 10_000
_DEEPEST = 50  # parentheses
_LONGEST_CHAIN = 400  # a + b + c + ... is nested too

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
CONSTANTS = {"pi": 3.141592653589793, "e": 2.718281828459045, "inf": float("inf"), "nan": float("nan")}
# Functions without a row of their own: those that give several numbers, and those that give one.
LISTS = ("softmax", "log_softmax")
_COMPOSITES = ("hardtanh", "prod", "selu")


class ExpressionError(ValueError):
    """Report what is wrong with an expression, and point at it."""

    def __init__(self, message: str, text: str, column: int) -> None:
        # A window of the line, so that the caret stands under its place in long ones too.
        start = max(0, column - 60)
        shown = text[start : start + 100].replace("\n", " ").replace("\t", " ")
        super().__init__(f"{message} (column {column + 1})\n  {shown}\n  {' ' * (column - start)}^")


def evaluate(text: str, names: Mapping[str, Var]) -> Var:
    """Compute an expression of Vars and return the result; a mistake in it raises `ExpressionError`.

    >>> x = Var(2.0, label="x")
    >>> evaluate("(x**2 + 3)**2", {"x": x}).value
    49.0
    """
    tree = _parse(text)
    result = _Reader(text, names).read(tree, 0)
    if isinstance(result, list):
        raise ExpressionError("expected a number but got a list", text, _column(tree, text))
    return result if isinstance(result, Var) else Var(result, requires_grad=False)


def variables(text: str) -> list[str]:
    """List the names in an expression that are not functions, in order; constants are included.

    >>> variables("sin(x) * pi + y")
    ['x', 'pi', 'y']
    """
    found = [node for node in ast.walk(_parse(text)) if isinstance(node, (ast.Name, ast.keyword))]
    found.sort(key=lambda node: node.col_offset)
    # The name of an argument counts too, so that `evaluate` may say what is wrong with it.
    names = dict.fromkeys([node.id if isinstance(node, ast.Name) else node.arg for node in found])
    known = set(functions())
    return [name for name in names if name is not None and name not in known]


def functions() -> list[str]:
    """List the names that can be called."""
    return sorted([*PRIMITIVES, *_COMPOSITES])


class _Reader:
    """Walk a syntax tree and compute; its depth is limited, so recursion is safe."""

    def __init__(self, text: str, names: Mapping[str, Var]) -> None:
        self._text = text
        self._names = names

    def read(self, node: ast.AST, depth: int) -> Any:
        """Return a number, a Var or a list of them."""
        if depth > _LONGEST_CHAIN:
            raise self._error(f"expected at most {_LONGEST_CHAIN} operations inside one another", node)
        if isinstance(node, ast.Constant) and isinstance(node.value, (int, float)) and not isinstance(node.value, bool):
            try:
                return float(node.value)
            except OverflowError:
                return float("inf")
        if isinstance(node, ast.Name):
            return self._name(node)
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            left, right = self._number(node.left, depth), self._number(node.right, depth)
            # As rows they follow IEEE also where both are plain numbers.
            if not isinstance(left, Var) and not isinstance(right, Var):
                left = Var(left, requires_grad=False)
            return _OPERATORS[type(node.op)](left, right)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.UAdd, ast.USub)):
            operand = self._number(node.operand, depth)
            return operand if isinstance(node.op, ast.UAdd) else -operand
        if isinstance(node, (ast.List, ast.Tuple)):
            return [self._number(item, depth) for item in node.elts]
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        raise self._error(f"expected numbers, names, + - * / // % ** and calls but got {_kind(node)}", _sign(node))

    def _number(self, node: ast.AST, depth: int) -> Any:
        found = self.read(node, depth + 1)
        if isinstance(found, list):
            raise self._error("expected a number but got a list", node)
        return found

    def _name(self, node: ast.Name) -> Any:
        if node.id in self._names:
            return self._names[node.id]
        if node.id in CONSTANTS:
            return CONSTANTS[node.id]
        if node.id in functions():
            raise self._error(f"{node.id} is a function; call it, as in {node.id}(x)", node)
        raise self._error(f"{node.id} has no value; add {node.id}=... after the expression", node)

    def _call(self, node: ast.Call, depth: int) -> Any:
        if not isinstance(node.func, ast.Name):
            raise self._error(f"expected the name of a function but got {_kind(node.func)}", node.func)
        name = node.func.id
        if name not in functions():
            others = {other: own for other, own in FUNCTIONS.items() if own in functions()}
            if name in LISTS:
                raise self._error(f"{name} does not give one number, so that it cannot be used here", node.func)
            raise self._error(f"{name} is not a function of chainrule{advice(name, others, functions())}", node.func)
        if node.keywords:
            raise self._error(f"{name} takes no arguments by name", node.keywords[0].value)
        args = [self.read(arg, depth + 1) for arg in node.args]
        try:
            return getattr(chainrule, name)(*args)
        except (TypeError, ValueError) as error:
            raise self._error(str(error), node) from None

    def _error(self, message: str, node: ast.AST) -> ExpressionError:
        return ExpressionError(message, self._text, _column(node, self._text))


def _parse(text: str) -> ast.expr:
    if not text.strip():
        raise ExpressionError("expected an expression but got nothing", text, 0)
    if len(text) > _MOST_CHARACTERS:
        raise ExpressionError(f"expected at most {_MOST_CHARACTERS:,} characters but got {len(text):,}", text, 0)
    if "\n" in text.strip() or "\0" in text:
        raise ExpressionError("expected one line", text, min([k for k in map(text.find, "\n\0") if k >= 0]))
    depth = 0
    for column, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if depth > _DEEPEST:
            raise ExpressionError(f"expected at most {_DEEPEST} nested parentheses", text, column)
    stripped = text.lstrip()
    indent = len(text) - len(stripped)
    try:
        with warnings.catch_warnings():
            # Python warns of "2(x)" and the like; what follows refuses them.
            warnings.simplefilter("ignore")
            tree = ast.parse(stripped, mode="eval").body
    except SyntaxError as error:
        # Where something is missing at the end, Python names a place in the line after.
        column = indent + error.offset - 1 if error.offset and error.lineno == 1 else len(text.rstrip())
        meant = _meant(stripped)
        told = f"; write {meant}" if meant else ""
        raise ExpressionError(f"this is no expression: {error.msg}{told}", text, min(column, len(text))) from None
    except (MemoryError, RecursionError, ValueError):
        raise ExpressionError("this expression is nested too deeply to be read", text, 0) from None
    return tree


def _meant(text: str) -> str:
    """Return what to write for what is written so on paper: 2x, sin x, |x|; "" for anything else.

    >>> _meant("2x + 1"), _meant("sin x"), _meant("|x|"), _meant("1 +")
    ('2*x', 'sin(x)', 'abs(x)', '')
    """
    if found := re.search(r"\|([^|]+)\|", text):
        return f"abs({found[1].strip()})"
    if found := re.search(r"\b(\d+(?:\.\d*)?)\s*([^\W\d_]\w*)", text):
        return f"{found[1]}*{found[2]}"
    if found := re.search(r"\b([^\W\d]\w*)\s+(\w+)", text):
        first, second = found.groups()
        return f"{first}({second})" if FUNCTIONS.get(first, first) in functions() else f"{first}*{second}"
    return ""


def _column(node: ast.AST, text: str) -> int:
    """Return the column of a node in the text; `ast` counts bytes, from the first non-space."""
    stripped = text.lstrip()
    return len(text) - len(stripped) + len(stripped.encode()[: getattr(node, "col_offset", 0)].decode(errors="ignore"))


def _sign(node: ast.AST) -> ast.AST:
    """Return the column to point at: the end of the part before a dot, bracket or operator, else the node."""
    before = node.left if isinstance(node, (ast.BinOp, ast.Compare)) else getattr(node, "value", None)
    if not isinstance(before, ast.expr) or before.end_col_offset is None:
        return node
    return ast.Pass(lineno=1, col_offset=before.end_col_offset)


def _kind(node: ast.AST) -> str:
    if isinstance(node, ast.BinOp):
        sign = _REFUSED_SIGNS.get(type(node.op), "another sign")
        return f"{sign}; a power is written **" if sign == "^" else sign
    kinds = {
        ast.Attribute: "a dot",
        ast.Subscript: "square brackets",
        ast.Compare: "a comparison; less(a, b), less_equal, equal and not_equal give 1 or 0",
        ast.Lambda: "lambda",
        ast.Constant: "text or a constant",
        ast.JoinedStr: "text",
        ast.IfExp: "if and else; write where(condition, a, b)",
        ast.Starred: "a star",
        ast.BoolOp: "and, or",
        ast.ListComp: "a loop",
        ast.GeneratorExp: "a loop",
        ast.UnaryOp: "not or ~",
    }
    return kinds.get(type(node), type(node).__name__.lower())


_REFUSED_SIGNS: dict[type[ast.operator], str] = {
    ast.BitXor: "^", ast.BitAnd: "&", ast.BitOr: "|", ast.LShift: "<<", ast.RShift: ">>", ast.MatMult: "@",
}  # fmt: skip
