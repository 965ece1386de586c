"""Make one SVG of two themes: its colours follow the page it is on, light or dark."""

from __future__ import annotations

import re
from collections.abc import Callable

import graphviz

from .layout import laid_out

_COLOUR = re.compile("#[0-9a-f]{6}")
_SHAPE = re.compile("<(?:path|polygon|polyline|ellipse|text)[^>]*>")
_PAINT = re.compile('(fill|stroke)="(#[0-9a-f]{6})"')

# Notebooks say by these what their own theme is; else the reader's browser does.
_LIGHT_PAGES = '[data-jp-theme-light="true"] svg.chainrule, .vscode-light svg.chainrule'
_DARK_PAGES = '[data-jp-theme-light="false"] svg.chainrule, .vscode-dark svg.chainrule'

Pair = tuple[str, str]  # a colour in the light and in the dark theme


def follow_reader(drawn: Callable[[str], graphviz.Digraph]) -> str:
    """Return the SVG of what `drawn` makes in the theme "light", with the colours of "dark" where the reader has those.

    Both are laid out once: themes differ in colours only.
    """
    light, dark = drawn("light").source, drawn("dark").source
    pairs = list(zip(_COLOUR.findall(light), _COLOUR.findall(dark), strict=True))
    taken = {colour for pair in pairs for colour in pair}
    free = (code for number in range(1 << 24) if (code := f"#{number:06x}") not in taken)
    codes = {pair: next(free) for pair in dict.fromkeys(pairs) if pair[0] != pair[1]}
    following = iter([codes.get(pair, pair[0]) for pair in pairs])
    svg = laid_out(graphviz.Source(_COLOUR.sub(lambda _: next(following), light)), "svg").decode()
    named = {code: pair for pair, code in codes.items()}
    svg = _SHAPE.sub(lambda shape: _painted(shape[0], named), svg)
    rules = f"svg.chainrule {{{_variables(codes, 0)}}}\n"
    rules += f"@media (prefers-color-scheme: dark) {{ svg.chainrule {{{_variables(codes, 1)}}} }}\n"
    rules += f"{_LIGHT_PAGES} {{{_variables(codes, 0)}}}\n{_DARK_PAGES} {{{_variables(codes, 1)}}}"
    return re.sub("^<svg ([^>]*)>", rf'<svg class="chainrule" \1><style>{rules}</style>', svg, count=1)


def _painted(shape: str, named: dict[str, Pair]) -> str:
    """Paint a shape by variables; whoever knows none of these takes the light theme."""
    styles = [f"{what}:var({_name(named[code])})" for what, code in _PAINT.findall(shape) if code in named]
    if not styles:
        return shape
    plain = _PAINT.sub(lambda paint: f'{paint[1]}="{named[paint[2]][0] if paint[2] in named else paint[2]}"', shape)
    end = " />" if plain.endswith(" />") else ">"
    return f'{plain.removesuffix(end)} style="{";".join(styles)}"{end}'


def _name(pair: Pair) -> str:
    return f"--{pair[0][1:]}-{pair[1][1:]}"


def _variables(codes: dict[Pair, str], theme: int) -> str:
    return "".join([f"{_name(pair)}:{pair[theme]};" for pair in codes])
