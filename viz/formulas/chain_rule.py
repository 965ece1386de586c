"""Write out the chain rule for one variable: a sum over paths of products of partials, down to the number."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from chainrule import Var
from chainrule.data import whole_number
from chainrule.errors import describe
from chainrule.graph import walk

from .notation import ATOM, MODULO, SIGN, SUM, Piece, number, total
from .rules import partial_pieces
from .writing import Script, is_symbol, left_to_right

_DIGITS = 6
_MOST_FACTORS = 40  # on the way; a longer product is no pleasure to read
_UNCOUNTED = 10**300


@dataclass(frozen=True, slots=True)
class Link:
    """How a computed value depends on one argument: the sum of the partials of all its occurrences.

    It is alive where one of them is not 0, for they may cancel; `symbol` is the ``d`` to write it with, which is ``∂``
    where other arguments depend on the same variable, and are held fixed.
    """

    argument: Var
    partial: float
    formula: Piece
    alive: bool
    symbol: str


def chain(root: Var, x: Var | str, max_paths: int = 8) -> str:
    """Write out the derivative of `root` by `x`, as `backward` finds it.

    First come the values on the way, then the derivative: as a sum over the paths from `x` to `root` of products of
    partial derivatives, with their formulas, and with numbers (six digits; the last one with all). Beyond `max_paths`
    paths their number is told, and the derivative is found node by node instead. A partial that is exactly 0 adds
    nothing. Where a value depends on the variable by several of its arguments, its partials have a ``∂``. Neither
    `root` nor any gradient is changed.

    Args:
        root: the Var to differentiate.
        x: a Var below it, or the label of one; a label that is missing or stands on several Vars raises `ValueError`.
        max_paths: how many paths to write out at most.

    >>> x, y = Var(2.0, label="x"), Var(3.0, label="y")
    >>> z = (x**2 + 3) ** 2 + y
    >>> z.label = "z"
    >>> print(chain(z, x))
    u = x**2   = 4
    v = u + 3  = 7
    w = v**2   = 49
    z = w + y  = 52
    <BLANKLINE>
    dz/dx = dz/dw * dw/dv * dv/du * du/dx
          = 1 * (2*v) * 1 * (2*x)
          = 1 * 14 * 1 * 4
          = 56
    """
    if not isinstance(root, Var):
        raise TypeError(f"chain expected a Var but got {describe('root', root)}")
    limit = whole_number("chain", "max_paths", max_paths, 0)
    nodes = left_to_right(root)
    return _Derivation(root, _find(nodes, x), nodes).text(limit)


class _Derivation:
    """Everything that the text of one derivative is made of."""

    def __init__(self, root: Var, target: Var, nodes: list[Var]) -> None:
        self.root, self.target = root, target
        reached = {id(target)}
        self.on_way = []
        for node in nodes:
            if id(node) not in reached and any(id(arg) in reached for arg in node.args):
                reached.add(id(node))
                self.on_way.append(node)
        named = {id(node) for node in self.on_way} | {id(target)}
        self.script = Script(root, nodes, named=named, result="L")
        self.top = self._name(root)
        self.bottom = self._name(target)
        self.title = f"d{self.top}/d{self.bottom}"
        self.links = {id(node): self._links(node, reached) for node in self.on_way}
        self.gradients = self._sweep()
        # Paths to each node that meet no partial of 0, and all of them.
        self.live, self.all = self._count_paths(live=True), self._count_paths(live=False)

    def text(self, limit: int) -> str:
        """Write the derivative in the form that the number of paths allows."""
        if self.root is self.target:
            return f"{self.title} = 1"
        if not self.target.requires_grad:
            return f"{self.title} = 0: {self.bottom} is a constant, which takes no gradient."
        if not self.on_way or self.on_way[-1] is not self.root:
            return f"{self.title} = 0: {self.top} does not depend on {self.bottom}."
        blocks = ["\n".join(self._values())]
        way = f"from {self.bottom} to {self.top}"
        if self.live == 0:
            blocks.append(f"{self.title} = 0: on every path {way} a partial is exactly 0.")
        elif self.live > limit or len(self.on_way) > _MOST_FACTORS:
            paths = "1 path leads" if self.live == 1 else f"{_count(self.live)} paths lead"
            reason = f"more than max_paths={limit}" if self.live > limit else f"over {len(self.on_way):,} values"
            blocks.append(f"{paths} {way}, {reason}. Node by node, each from those that use it:")
            blocks.append("\n".join(self._node_by_node()))
        else:
            blocks.append("\n".join(self._sum_over_paths()))
            dead = self.all - self.live
            if dead:
                paths = "1 more path adds" if dead == 1 else f"{_count(dead)} more paths add"
                blocks.append(f"{paths} nothing: a partial on the way is exactly 0.")
        return "\n\n".join(blocks)

    # ---- the parts of the text ----

    def _values(self) -> Iterator[str]:
        """Write each value on the way, preceded by those it needs that have a line of their own."""
        values = {self.script.names[id(node)]: node.value for node in self.on_way}
        wide = max(
            [len(f"{name} = {text}") for name, text in self.script.lines if name in values and len(text) < 60] or [0]
        )
        for name, text in self.script.lines:
            if name in values:
                yield f"{f'{name} = {text}'.ljust(wide)}  = {_number(values[name])}"
            else:
                yield f"{name} = {text}"

    def _sum_over_paths(self) -> list[str]:
        symbols: list[str] = []
        formulas: list[str] = []
        numbers: list[str] = []
        products: list[Piece] = []
        for path in self._paths():
            ends = pairwise([self._name(node) for node in (self.root, *[link.argument for link in path])])
            symbols.append(
                " * ".join(
                    [
                        f"{link.symbol}{above}/{link.symbol}{below}"
                        for link, (above, below) in zip(path, ends, strict=True)
                    ]
                )
            )
            formulas.append(_product([link.formula for link in path], first=not formulas))
            numbers.append(_product([number(link.partial, digits=_DIGITS) for link in path], first=not numbers))
            products.append(number(math.prod([link.partial for link in path]), digits=_DIGITS))
        stages = [symbols, formulas, numbers]
        if len(products) > 1:
            stages.append([total(products, "text").text])
        gradient = self.gradients[id(self.target)]
        stages = [stage for stage in stages if stage != [_number(gradient)]] + [[_number(gradient, 17)]]
        # What a stage repeats, it leaves out: of a single link dz/dx = dz/dx, and formulas that are numbers.
        told = [stage for stage, before in zip(stages, [[self.title], *stages], strict=False) if stage != before]
        lines = [f"{'+' if k else '='} {term}" for stage in told for k, term in enumerate(stage)]
        margin = " " * len(self.title)
        return [f"{self.title} {lines[0]}", *[f"{margin} {line}" for line in lines[1:]]]

    def _node_by_node(self) -> Iterator[str]:
        users: dict[int, list[tuple[Var, Link]]] = {}
        for node in reversed(self.on_way):
            for link in self.links[id(node)]:
                users.setdefault(id(link.argument), []).append((node, link))
        yield f"d{self.top}/d{self.top} = 1"
        for node in [*reversed(self.on_way[:-1]), self.target]:
            terms: list[str] = []
            products: list[str] = []
            for user, link in users.get(id(node), ()):
                gradient = self.gradients[id(user)]
                if link.alive and gradient != 0.0:
                    outer = f"d{self.top}/d{self._name(user)}"
                    terms.append(outer if link.formula.text == "1" else _product([Piece(outer, SIGN), link.formula]))
                    products.append(
                        _product([number(g, digits=_DIGITS) for g in (gradient, link.partial)], first=not products)
                    )
            digits = 17 if node is self.target else _DIGITS
            stages = [" + ".join(terms), " + ".join(products), _number(self.gradients[id(node)], digits)]
            yield " = ".join([f"d{self.top}/d{self._name(node)}", *[stage for stage in stages if stage]])

    # ---- the numbers ----

    def _links(self, node: Var, reached: set[int]) -> list[Link]:
        """Return a link to each argument on the way; an argument that occurs several times has one link."""
        assert node.op is not None
        pieces = self.script.pieces
        found = partial_pieces(
            node.op,
            node.value,
            pieces[id(node)],
            [arg.value if type(arg) is Var else arg for arg in node.args],
            [pieces[id(arg)] if is_symbol(arg) else None for arg in node.args],
            node.partials,
        )
        places: dict[int, list[int]] = {}
        for place, arg in enumerate(node.args):
            if id(arg) in reached and type(arg) is Var:
                places.setdefault(id(arg), []).append(place)
        symbol = "d" if len(places) == 1 else "∂"
        links = []
        for at in places.values():
            formulas = [found[place] for place in at if node.partials[place] != 0.0]
            partial = 0.0
            for place in at:
                partial += node.partials[place]
            written = total(formulas or [Piece("0", ATOM)], "text")
            links.append(Link(node.args[at[0]], partial, written, bool(formulas), symbol))
        return links

    def _sweep(self) -> dict[int, float]:
        """Sweep as `backward` does, in its order, but keep the results here."""
        gradients = {id(self.root): 1.0}
        for node in reversed(walk(self.root)):
            gradient = gradients.get(id(node), 0.0)
            if gradient == 0.0:
                continue
            for arg, partial in zip(node.args, node.partials, strict=True):
                if type(arg) is Var and arg.requires_grad and partial != 0.0:
                    gradients[id(arg)] = gradients.get(id(arg), 0.0) + gradient * partial
        return {id(node): gradients.get(id(node), 0.0) for node in (*self.on_way, self.target)}

    def _count_paths(self, *, live: bool) -> int:
        counts = {id(self.target): 1}
        for node in self.on_way:
            links = [link for link in self.links[id(node)] if link.alive or not live]
            # Bounded, since numbers of a million digits take long to add.
            counts[id(node)] = min(sum([counts[id(link.argument)] for link in links]), _UNCOUNTED)
        return counts.get(id(self.root), 0)

    def _paths(self) -> Iterator[list[Link]]:
        """Yield each path without a partial of 0, from the root down."""
        # Only nodes from which the target can be reached alive: every branch taken ends there.
        alive = {id(self.target)}
        for node in self.on_way:
            if any(link.alive and id(link.argument) in alive for link in self.links[id(node)]):
                alive.add(id(node))
        path: list[Link] = []
        stack: list[Link | None] = self._steps(self.root, alive)
        while stack:
            link = stack.pop()
            if link is None:
                path.pop()
                continue
            path.append(link)
            if link.argument is self.target:
                yield list(path)
                path.pop()
                continue
            stack.append(None)
            stack += self._steps(link.argument, alive)

    def _steps(self, node: Var, alive: set[int]) -> list[Link | None]:
        return [link for link in reversed(self.links[id(node)]) if link.alive and id(link.argument) in alive]

    def _name(self, node: Var) -> str:
        """Return the name of a node on the way, of an end of it, or of a Var outside the graph."""
        key = id(node)
        if key in self.script.names:
            return self.script.names[key]
        return self.script.pieces[key].text if key in self.script.pieces else node.label or "x"


def _product(pieces: list[Piece], first: bool = True) -> str:
    """Write factors with spaces between them; a product among them keeps its parentheses, to read as one factor."""
    if len(pieces) == 1:
        return (
            pieces[0].at_least(MODULO, "text", signed=first) if pieces[0].level > SUM or not first else pieces[0].text
        )
    return " * ".join([piece.at_least(SIGN, "text", signed=first and k == 0) for k, piece in enumerate(pieces)])


def _count(paths: int) -> str:
    if paths < _UNCOUNTED:
        return f"{paths:,}" if paths < 10**15 else f"about {float(paths):.2e}"
    return f"more than {float(_UNCOUNTED):.0e}"


def _number(value: float, digits: int = _DIGITS) -> str:
    return number(value, digits=digits).text


def _find(nodes: list[Var], x: Any) -> Var:
    if isinstance(x, Var):
        return x
    if not isinstance(x, str):
        raise TypeError(f"chain expected a Var or a label but got {describe('x', x)}")
    found = [node for node in nodes if node.label == x]
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"chain expected one Var labelled {x!r} but found {len(found)}; give the Var itself")
    labels = sorted({node.label for node in nodes if node.label})
    near = difflib.get_close_matches(x, labels, 1)
    advice = f"did you mean {near[0]!r}?" if near else f"labels are {', '.join(map(repr, labels[:10])) or 'missing'}"
    raise ValueError(f"chain expected the label of a Var below root but got {describe('x', x)}; {advice}")
