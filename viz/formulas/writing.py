"""Write the expression behind a `Var` as a formula, in plain text or LaTeX.

Values that are used more than once, and those with a name of their own, get a line each. Nothing recurses, and no
line grows without bound: a part that has become long is named, so that a million nodes take a few seconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container
from typing import Any

from chainrule import Var
from chainrule.errors import describe

from .notation import ATOM, Names, Piece, Style, is_name, latex_name, number, write

# Beyond these lengths a part gets a name and a line of its own.
_LONGEST = {"text": 100, "latex": 200}


def formula(root: Var, style: Style = "text") -> str:
    """Return the expression that computed `root`.

    Args:
        root: the Var whose expression to write.
        style: "text", in Python's spelling, or "latex", without dollar signs around it.

    Leaves stand under their labels, unlabelled ones as their number, or as ``x1``, ``x2`` ... where they want a
    gradient. A computed value with a label of its own, or used more than once, or too long to go on with, is named
    in a line before it is used. Labels that are no names, such as ``a + b``, stand in backticks on leaves and are
    passed over on computed values. A label that comes again gets a number.

    >>> x, y = Var(2.0, label="x"), Var(3.0, label="y")
    >>> print(formula((x**2 + 3) ** 2 + y))
    (x**2 + 3)**2 + y
    >>> a = x * y
    >>> print(formula(a * a.exp()))
    u = x*y
    u*exp(u)
    >>> print(formula((x + 1).sqrt() / y, "latex"))
    \\frac{\\sqrt{x + 1}}{y}
    """
    if not isinstance(root, Var):
        raise TypeError(f"formula expected a Var but got {describe('root', root)}")
    check_style(style)
    script = Script(root, left_to_right(root), style)
    last = script.pieces[id(root)].text
    lines = script.lines
    if root.label is not None and root.op is not None and is_name(root.label):
        *lines, (_, last) = lines
        lines.append((script.names[id(root)], last))
    elif not lines:
        return last
    else:
        lines.append(("", last))
    if style == "text":
        return "\n".join([f"{name} = {text}" if name else text for name, text in lines])
    if len(lines) == 1:
        return f"{lines[0][0]} = {lines[0][1]}"
    body = " \\\\\n".join([f"{name} &= {text}" if name else f"&\\phantom{{=}} {text}" for name, text in lines])
    return f"\\begin{{aligned}}\n{body}\n\\end{{aligned}}"


def left_to_right(root: Var) -> list[Var]:
    """List all Vars below `root`, arguments before results, in the order of the formula.

    >>> x, y = Var(2.0, label="x"), Var(3.0, label="y")
    >>> [var.label for var in left_to_right(x * y)]
    ['x', 'y', None]
    """
    order: list[Var] = []
    seen: set[int] = set()
    stack: list[Var | None] = [root]
    while stack:
        var = stack.pop()
        if var is None:
            # Everything below the Var under this mark is in the list.
            var = stack.pop()
            assert var is not None
            order.append(var)
        elif id(var) not in seen:
            seen.add(id(var))
            stack += (var, None)
            stack += [arg for arg in reversed(var.args) if type(arg) is Var and id(arg) not in seen]
    return order


def check_style(style: Any) -> None:
    """Refuse anything that is not a style."""
    if style not in ("text", "latex"):
        raise ValueError(f"formula expected style to be 'text' or 'latex' but got {describe('style', style)}")


def is_symbol(arg: Any) -> bool:
    """Return whether an argument is written as more than its number.

    >>> is_symbol(Var(1.0)), is_symbol(Var(1.0, requires_grad=False)), is_symbol(1.0)
    (True, False, False)
    """
    return type(arg) is Var and (arg.op is not None or arg.requires_grad or has_text(arg.label))


def has_text(label: str | None) -> bool:
    """Return whether a label has visible text."""
    return label is not None and label.strip() != ""


class Script:
    """A graph written line by line.

    Args:
        root: the value that is asked for.
        nodes: the Vars below it, arguments before results, as `left_to_right` lists them.
        style: "text" or "latex".
        named: ids of computed Vars that get a name in any case.
        result: the name of `root` where it has none of its own.

    `names` and `pieces` are by id of Var: a name for each leaf and each computed value with a line of its own, and
    for every Var what to write where it is used. `lines` holds name and expression of each named computed value.
    """

    def __init__(
        self,
        root: Var,
        nodes: list[Var],
        style: Style = "text",
        named: Container[int] = (),
        result: str | None = None,
    ) -> None:
        self._style = style
        self._supply = Names()
        self.names: dict[int, str] = {}
        self.pieces: dict[int, Piece] = {}
        self.lines: list[tuple[str, str]] = []
        # Labels first, so that no generated name takes one.
        for node in nodes:
            label = node.label
            if label is not None and (is_name(label) if node.op is not None else has_text(label)):
                self._name(node, self._supply.claim(label))
        if result is not None and root.op is not None and id(root) not in self.names:
            self._name(root, self._supply.claim(result))
        uses = Counter([id(arg) for node in nodes for arg in node.args if type(arg) is Var])
        for node in nodes:
            key = id(node)
            if node.op is None:
                if key not in self.names and node.requires_grad:
                    self._name(node, self._supply.numbered("x"))
                self.pieces[key] = self._reference(key) if key in self.names else number(node.value, style)
                continue
            piece = write(node.op, [self.piece(arg) for arg in node.args], style)
            wanted = uses[key] > 1 or key in named or (len(piece.text) > _LONGEST[style] and node is not root)
            if wanted and key not in self.names:
                self._name(node, self._supply.letter())
            if key in self.names:
                self.lines.append((self.names[key], piece.text))
                piece = self._reference(key)
            self.pieces[key] = piece

    def piece(self, arg: Any) -> Piece:
        """Return the text for an argument, a Var or a float."""
        return self.pieces[id(arg)] if type(arg) is Var else number(arg, self._style)

    def _name(self, node: Var, name: str) -> None:
        self.names[id(node)] = latex_name(name) if self._style == "latex" else name

    def _reference(self, key: int) -> Piece:
        return Piece(self.names[key], ATOM)
