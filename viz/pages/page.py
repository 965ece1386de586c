"""Write step-through pages: one self-contained HTML file each, with buttons, a slider and keys."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from chainrule.errors import describe


def page_target(reader: str, path: Any, suffixes: Sequence[str] = (".html",)) -> Path:
    """Return where the function `reader` should write; raise if that is not a path of such a file.

    >>> page_target("explain", "out/steps.html").name
    'steps.html'
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{reader} expected a str or path but got {describe('path', path)}")
    target = Path(path)
    if target.suffix.lower() not in suffixes:
        allowed = " or ".join(suffixes)
        raise ValueError(f"{reader} expected a path ending in {allowed} but got {describe('path', str(path))}")
    if target.is_dir():
        raise IsADirectoryError(f"{reader} expected the path of a file but got a folder, {describe('path', str(path))}")
    return target


def to_page(*, title: str, heading: str, thing: str, body: str, style: str, data: Any, script: str) -> str:
    """Return a page as HTML.

    Args:
        title, heading, body: HTML; what comes from users is escaped already.
        thing: what the controls go through, such as "step".
        style: CSS beyond that of all pages.
        data: what the script finds as JSON in the element ``data``; texts may hold anything.
        script: JavaScript that calls ``player`` of page.js.
    """
    return document(
        title=title,
        style=part("page.css") + style,
        body=_STEPS.format(heading=heading, controls=controls(thing), body=body),
        data=data,
        script=part("page.js") + script,
    )


def controls(thing: str) -> str:
    """Return the buttons and the slider that ``player`` of page.js listens to, as HTML."""
    return _CONTROLS.format(thing=thing, Thing=thing.capitalize())


def document(*, title: str, style: str, body: str, data: Any, script: str) -> str:
    """Return a page of HTML that asks for nothing: style, data and script are in it."""
    return _PAGE.format(
        title=title,
        style=style,
        body=body,
        # Spelled out, so that no label can end the script element that holds it.
        data=json.dumps(data).replace("<", r"\u003c"),
        script=script,
    )


def json_number(value: float) -> float | str:
    """Return a number for JSON, which has no infinities and no nan: they become text."""
    return value if math.isfinite(value) else str(value)


def part(name: str) -> str:
    """Return the text of a file of assets/."""
    return (resources.files("chainrule.viz") / "assets" / name).read_text(encoding="utf-8")


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
<noscript><p>This page computes with JavaScript, which is switched off.</p></noscript>
</main>
<script id="data" type="application/json">{data}</script>
<script>
"use strict";
{script}</script>
</body>
</html>
"""

_STEPS = """<header>
<h1>{heading}</h1>
<p class="keys">Step with <kbd>←</kbd> <kbd>→</kbd>, jump with <kbd>Home</kbd> <kbd>End</kbd>, \
play with <kbd>Space</kbd>.</p>
</header>
{controls}
{body}"""

_CONTROLS = """<nav aria-label="{Thing}s">
<button id="first" aria-label="First {thing}" title="First {thing} (Home)">|◀</button>
<button id="back" aria-label="One {thing} back" title="One {thing} back (←)">◀</button>
<button id="play" aria-label="Play" title="Play (Space)" aria-pressed="false">▶ Play</button>
<button id="next" aria-label="One {thing} on" title="One {thing} on (→)">▶</button>
<button id="last" aria-label="Last {thing}" title="Last {thing} (End)">▶|</button>
<input id="slider" type="range" min="0" value="0" aria-label="{Thing}">
<span id="count"></span>
</nav>"""
