"""Measure labels as wide as common fonts write them, so that a card fits what it holds wherever it is shown.

Widths are those of DejaVu Sans and Verdana, rounded up; Helvetica and Arial are narrower.
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import NamedTuple

# Characters by width, as shares of the size of the font.
_WIDTHS = {
    0.3: "'ijlIJ",
    0.36: " ,./:;\\|f-·",
    0.42: "()[]t!r",
    0.53: '"*_`sz?∂',
    0.62: "cLFkvxyPTYoae",
    0.64: "EhnuSbdgpq$0123456789{}σ√π",
    0.7: "KAVXZBRC",
    0.79: "UNHDG&OQ",
    0.86: "w#+<=>^~M−×",
}
_WIDTH = {character: width for width, characters in _WIDTHS.items() for character in characters}
_OTHER, _WIDE = 1.0, 1.1
_BOLD = 1.13
_LINE = 1.25  # the height of a line

_ROW, _CELL, _TAG = re.compile("<tr>"), re.compile("<td([^>]*)>(.*?)</td>", re.DOTALL), re.compile("<[^>]*>")
_PADDING = re.compile('cellpadding="([0-9]+)"')


class Size(NamedTuple):
    """What something takes, in points."""

    width: float
    height: float


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of one line of text.

    >>> text_width("value", 10) < text_width("value", 10, bold=True) < text_width("a value", 10, bold=True)
    True
    """
    shares = [_width(character) for character in text]
    return sum(shares) * size * (_BOLD if bold else 1.0)


def label_size(label: str, size: float) -> Size:
    """Return the size of a label of DOT: text, or a table of rows with a cell, or with two in columns.

    >>> label_size("<x>", 10) == label_size("x", 10)
    True
    """
    if "<td" not in label:
        lines = html.unescape(_TAG.sub("", label.removeprefix("<").removesuffix(">").replace("<br/>", "\n")))
        return _lines(lines, size, "<b>" in label)
    padding = _PADDING.search(label)
    pad = 2 * float(padding[1]) if padding else 0.0
    whole, columns, height = 0.0, [0.0, 0.0], 0.0
    for row in _ROW.split(label)[1:]:
        cells = [
            _lines(html.unescape(_TAG.sub("", content.replace("<br/>", "\n"))), size, "<b>" in content)
            for _, content in _CELL.findall(row)
        ]
        height += max([cell.height for cell in cells], default=0.0) + pad
        if len(cells) == 2:
            columns = [max(known, cell.width + pad) for known, cell in zip(columns, cells, strict=True)]
        else:
            whole = max(whole, sum([cell.width + pad for cell in cells]))
    return Size(max(whole, sum(columns)), height)


def _lines(text: str, size: float, bold: bool) -> Size:
    lines = text.split("\n")
    return Size(max([text_width(line, size, bold) for line in lines]), len(lines) * _LINE * size)


def _width(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    return _WIDTH.get(character) or (_WIDE if unicodedata.east_asian_width(character) in "WF" else _OTHER)
