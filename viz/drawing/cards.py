"""Write the contents of a picture's boxes: HTML-like labels for Graphviz, full tooltips, and the caption below."""

from __future__ import annotations

import html
import re
from collections.abc import Collection, Iterable

import graphviz
from chainrule import Primitive

from ..theme import Scale, Theme
from .folding import Box, Span
from .highlight import Paths
from .picture import Node, Picture
from .units import Units

_LONGEST_LABEL = 40
_LISTED = 4  # of the parameters of a unit, and the operations of a folded part

# Graphviz shares the width that a long label needs evenly among columns: with more columns than two the
# numbers stay near their names.
_COLUMNS = 9

_LIKE_TIMES = ("×", "·", "*")
_LONGEST_PRODUCT = 8  # factors; of a longer path only the result is written
_LINE = 90  # characters of the caption, which would otherwise be wider than many a graph

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def card(box: Box, show: Collection[str], quiet: str, digits: int = 6) -> str | None:
    """Write the label of a value: its name, then its number, or rows of value and gradient; None if empty."""
    node = box.node
    rows = []
    constant = node.role == "constant"
    spanned = 1 if constant else _COLUMNS
    name = _name(box)
    if name and "label" in show:
        rows.append(_cell(f"<b>{markup(name)}</b>", spanned))
    if box.times > 1:
        rows.append(_cell(f"× {box.times:,}", spanned))
    if constant and not node.is_array:
        rows.append(_cell(_span(box.values, digits)))
    elif not constant:
        if "value" in show:
            rows.append(_cell(_tint("value", quiet)) + _cell(_span(box.values, digits), spanned - 1))
        if "grad" in show:
            grad = _tint("—", quiet) if box.grads is None else _span(box.grads, digits)
            rows.append(_cell(_tint("grad", quiet)) + _cell(grad, spanned - 1))
    return _table(rows) if rows else None


def fallback(box: Box) -> str:
    """Name an input of which nothing else is shown."""
    return f"{box.times:,} inputs" if box.times > 1 else "input"


def again_label(box: Box, digits: int = 6) -> str:
    """Name a value that is drawn again: by its label, else its number, or in a program its operation."""
    name = _name(box)
    if name:
        return f"<<b>{markup(name)}</b>>"
    known = box.values is not None and box.values.low == box.values.low
    return f"<{_span(box.values, digits) if known or not box.ops else markup(symbol_of(box))}>"


def unit_card(box: Box, units: Units, quiet: str) -> str:
    """Write the label of a folded part of a model: its kind, its parameters and its size."""
    assert box.path is not None
    names = units.within(box.path)
    rows = [_cell(f"<b>{markup(units.title(box.path))}</b>")]
    rows.append(_cell(_counted(len(names), "parameter")))
    if box.path in units.parameters:
        rows.append(_cell(_tint(markup(_listed(names), longest=80), quiet)))
    rows.append(_cell(_operations(box)))
    if box.grads is not None:
        rows.append(_cell(f"{_tint('grad', quiet)} {_span(box.grads)}"))
    return _table(rows)


def rest_card(box: Box, quiet: str) -> str:
    """Write the label of everything too far away to be shown."""
    rows = [_cell(f"<b>… {_counted(box.ops.total(), 'operation')}</b>")]
    if box.ops:
        common = [_times(_symbol(op), op, count) for op, count in box.ops.most_common(_LISTED)]
        rows.append(_cell(_tint(markup(", ".join(common) + (", …" if len(box.ops) > _LISTED else "")), quiet)))
    for count, word in ((box.inputs, "input"), (box.constants, "constant")):
        if count:
            rows.append(_cell(_counted(count, word)))
    return _table(rows)


def symbol_of(box: Box) -> str:
    """Write the operation of a box, with its count."""
    (op,) = box.ops
    in_a_row = box.ops.total() // box.times
    symbol = _symbol(op) if in_a_row == 1 else f"{in_a_row:,} {_symbol(op)} in a row"
    return symbol if box.times == 1 else _times(symbol, op, box.times)


def sentence(box: Box, has_numbers: bool) -> str:
    """Write in full what the card shows rounded and cut; `has_numbers` is False for a program."""
    node, name = box.node, _name(box)
    start = f"{name}: " if name else ""
    if box.kind == "rest":
        return f"{_operations(box)}, {_counted(box.inputs, 'input')} and {_counted(box.constants, 'constant')}, folded"
    if not has_numbers and node.role != "constant":
        return start + ("not computed" if box.times == 1 else f"{box.times:,} alike")
    if box.times > 1 or box.kind == "unit":
        many = f"{box.times:,} alike, " if box.kind == "value" else f"{_operations(box)}, "
        values = f"values {_span(box.values)}, " if box.kind == "value" else ""
        return f"{start}{many}{values}" + ("no gradient yet" if box.grads is None else f"gradients {_span(box.grads)}")
    if node.role == "constant":
        return f"{start}constant" if node.is_array else f"{start}constant {node.value!r}"
    return f"{start}value {node.value!r}, " + ("no gradient yet" if node.grad is None else f"gradient {node.grad!r}")


def caption(lines: Iterable[str], scale: Scale | None, theme: Theme) -> str | None:
    """Write the caption below the picture: lines of text, and what the colours mean; None if it would be empty."""
    rows = [f'<td align="left">{markup(part, longest=_LINE + 1)}</td>' for line in lines for part in _wrapped(line)]
    if scale is not None:
        cells = [f"<td>{_tint('gradient', theme.quiet)}</td>"]
        for number, colour in scale.steps():
            cells.append(f'<td bgcolor="{colour}" border="1" color="{theme.line}">  {_number(number, 3)}  </td>')
        if not scale.all_finite:
            cells.append(f'<td bgcolor="{theme.not_finite}" border="1" color="{theme.line}">  inf, nan  </td>')
        rows.append(
            '<td align="left"><table border="0" cellborder="0" cellspacing="0" cellpadding="3">'
            f"<tr>{''.join(cells)}</tr></table></td>"
        )
    return stacked(rows) if rows else None


def stacked(cells: list[str]) -> str:
    """Put cells of a caption below one another."""
    return _table(cells, spacing=1)


def explain_paths(picture: Picture, paths: Paths, name: str) -> list[str]:
    """List each path with the product along it, or the number of paths, and their total."""
    total = _number(paths.derivative)
    numbers = picture.has_numbers
    if paths.count == 0:
        return [f"No path leads from {name} to the result."]
    if not paths.routes:
        many = f"{paths.count:,}" if paths.count < 10**6 else "a million or more"
        return [f"{many} paths from {name}" + (f"; their products add up to {total}" if numbers else "")]
    lines = []
    for route, factors in zip(paths.routes, paths.products, strict=True):
        steps = [_step(picture.nodes[place]) for place in route[1:]]
        if len(steps) > _LONGEST_PRODUCT:
            steps = [*steps[:3], "…", *steps[-3:]]
        line = " → ".join([name, *steps])
        if numbers:
            result = 1.0
            for factor in factors:
                result = 0.0 if factor == 0.0 or result == 0.0 else result * factor
            written = " · ".join([_bracketed(factor) for factor in factors])
            many = f"product of {len(factors):,} partials"
            written = written if len(factors) <= _LONGEST_PRODUCT else many
            line += f":  {written} = {_number(result)}" if len(factors) > 1 else f":  {_number(result)}"
        lines.append(line)
    if numbers and len(lines) > 1:
        lines.append(f"sum over the {len(lines)} paths: {total}")
    return lines


def markup(label: str, longest: int = _LONGEST_LABEL) -> str:
    """Escape a user's label so that it shows literally inside an HTML-like label."""
    if len(label) > longest:
        label = label[: longest - 1] + "…"
    # Graphviz replaces \N, \G and others by names even here, and even written as &#92;N.
    return html.escape(printable(label)).replace("\\", "\\\\").replace("\n", "<br/>")


def tooltip(text: str) -> str:
    """Escape text for a tooltip, in which Graphviz interprets backslashes twice."""
    quoted: str = graphviz.nohtml(html.escape(printable(text)).replace("\\", "\\" * 4))
    return quoted


def printable(text: str) -> str:
    """Spell out characters that XML cannot hold, and unify line breaks."""
    text = "\n".join(text.splitlines()).replace("\t", "    ")
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def partial_label(span: Span, digits: int = 6) -> str:
    """Write the label of an edge: its partial, or the least and greatest of several, clear of the line."""
    written = _span(span, min(digits, 4))
    return f'<<table border="0" cellborder="0" cellspacing="0" cellpadding="3"><tr><td>{written}</td></tr></table>>'


def partial_sentence(span: Span) -> str:
    """Show the partial of an edge on which there is no room for it."""
    return f"partial derivative {_span(span)}"


def _name(box: Box) -> str | None:
    """Return the label of a value, or what all labels of a folded one have in common."""
    if len(box.labels) <= 1:
        label = box.node.label
    else:
        shapes = {re.sub(r"\d+", "…", label or "") for label in box.labels}
        label = shapes.pop() if len(shapes) == 1 else None
    return label if label and not label.isspace() else None


def _step(node: Node) -> str:
    return node.label or ("" if node.op is None else _symbol(node.op))


def _symbol(op: Primitive) -> str:
    return op.symbol.strip() or op.name


def _times(symbol: str, op: Primitive, count: int) -> str:
    """Write how often an operation occurs: by name if its symbol looks like the sign for that: × × 100 is a riddle."""
    return f"{op.name if symbol in _LIKE_TIMES else symbol} × {count:,}"


def _operations(box: Box) -> str:
    return _counted(box.ops.total(), "operation")


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def _listed(names: list[str]) -> str:
    if len(names) <= _LISTED + 1:
        return ", ".join(names)
    return f"{', '.join(names[:_LISTED])}, … {names[-1]}"


def _wrapped(line: str) -> list[str]:
    """Break a long line of the caption at spaces."""
    parts = [""]
    for word in printable(line).replace("\n", " ").split(" "):
        if len(parts[-1]) + len(word) > _LINE and parts[-1]:
            parts.append("    ")
        parts[-1] += word + " "
    return [part.rstrip() for part in parts]


def _table(rows: list[str], spacing: int = 0) -> str:
    lines = "".join([f"<tr>{row}</tr>" for row in rows])
    return f'<<table border="0" cellborder="0" cellspacing="{spacing}" cellpadding="2">{lines}</table>>'


def _cell(content: str, columns: int = 1) -> str:
    span = f' colspan="{columns}"' if columns > 1 else ""
    return f'<td align="left" balign="left"{span}>{content}</td>'


def _tint(text: str, colour: str) -> str:
    return f'<font color="{colour}">{text}</font>'


def _span(span: Span | None, digits: int = 6) -> str:
    if span is None:
        return "—"
    low, high, holds_nan = span
    if low != low:
        return _number(low)
    others = ", nan" if holds_nan else ""
    if low == high:
        return _number(low, digits) + others
    return f"{_number(low, min(digits, 4))} … {_number(high, min(digits, 4))}{others}"


def _bracketed(x: float) -> str:
    return f"({_number(x)})" if x < 0 else _number(x)


def _number(x: float, digits: int = 6) -> str:
    return f"{x:.{digits}g}"
