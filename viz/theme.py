"""The colours of pictures: two themes, and a scale for a gradient's size and sign without red and green.

Blue and orange stay apart under every kind of colour blindness; what else colours tell is also told by a border.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Role = Literal["input", "constant", "step", "root"]  # what a value of a picture is; each has a card of its own

DECADES = 3  # gradients smaller than the largest by more than that are as pale as can be


@dataclass(frozen=True)
class Theme:
    """The colours of a picture, each as ``#rrggbb``."""

    background: str
    ink: str
    quiet: str
    line: str
    negative: str  # the fill of the largest gradient below 0
    zero: str
    positive: str
    not_finite: str
    path: str  # what is highlighted
    cluster: str
    cards: dict[Role, dict[str, str]]
    operation: dict[str, str]


LIGHT = Theme(
    background="#ffffff",
    ink="#1f2933",
    quiet="#5f6b7a",
    line="#8b96a5",
    negative="#6fb1ea",
    zero="#ffffff",
    positive="#f9a94b",
    not_finite="#d9b3e6",
    path="#a3126b",
    cluster="#f4f6f8",
    cards={
        "input": {"color": "#2f7fb8", "fillcolor": "#e1effa"},
        "constant": {
            "color": "#b3bcc7", "fillcolor": "#f6f7f9", "fontcolor": "#5f6b7a", "style": "rounded,filled,dashed",
        },
        "step": {"color": "#8b96a5", "fillcolor": "#ffffff"},
        "root": {"color": "#d17a00", "fillcolor": "#fff0d9", "penwidth": "1.6"},
    },
    operation={"color": "#566373", "fillcolor": "#566373", "fontcolor": "#ffffff"},
)  # fmt: skip

DARK = Theme(
    background="#14181f",
    ink="#eef1f5",
    quiet="#a3afbd",
    line="#76828f",
    negative="#1c629f",
    zero="#1e242d",
    positive="#9c5200",
    not_finite="#6b3f7d",
    path="#ff8fd0",
    cluster="#1a2029",
    cards={
        "input": {"color": "#5aa9e6", "fillcolor": "#1d3347"},
        "constant": {
            "color": "#4d5866", "fillcolor": "#191e26", "fontcolor": "#a3afbd", "style": "rounded,filled,dashed",
        },
        "step": {"color": "#76828f", "fillcolor": "#1e242d"},
        "root": {"color": "#f0a030", "fillcolor": "#3d2d12", "penwidth": "1.6"},
    },
    operation={"color": "#aab5c2", "fillcolor": "#aab5c2", "fontcolor": "#14181f"},
)  # fmt: skip

THEMES = {"light": LIGHT, "dark": DARK}


class Scale:
    """Map gradients to colours: the sign gives the hue, the order of magnitude below the largest the strength.

    >>> scale = Scale(LIGHT, [0.5, -20.0, 0.0])
    >>> scale.fill(-20.0) == LIGHT.negative, scale.fill(0.0) == LIGHT.zero
    (True, True)
    >>> [number for number, _ in scale.steps()]
    [-20.0, -2.0, -0.2, 0.0, 0.2, 2.0, 20.0]
    """

    def __init__(self, theme: Theme, grads: Iterable[float]) -> None:
        self.theme = theme
        known = list(grads)
        self.all_finite = all(map(math.isfinite, known))
        self.signs = [sign for sign in (-1.0, 1.0) if any(grad * sign > 0 for grad in known)]
        self.top = max((abs(grad) for grad in known if math.isfinite(grad)), default=0.0)

    def fill(self, grad: float) -> str:
        """Return the colour of a gradient."""
        if not math.isfinite(grad):
            return self.theme.not_finite
        if grad == 0.0 or self.top == 0.0:
            return self.theme.zero
        # The logarithms apart: the quotient of the numbers may be out of the range of doubles.
        below = math.log10(self.top) - math.log10(abs(grad))
        strength = max(0.12, 1.0 - 0.88 * below / DECADES)
        return mix(self.theme.zero, self.theme.negative if grad < 0 else self.theme.positive, strength)

    def steps(self) -> list[tuple[float, str]]:
        """List gradients that explain the colours, from the least to the greatest."""
        sizes = [] if self.top == 0.0 else [self.top, self.top / 10, self.top / 100]
        found = {sign * size for sign in self.signs for size in sizes} | {0.0}
        return [(number, self.fill(number)) for number in sorted(found)]


def mix(one: str, other: str, share: float) -> str:
    """Mix two colours: a share of 0 gives the first, 1 the second.

    >>> mix("#000000", "#ff8000", 0.5)
    '#804000'
    """
    pairs = zip(bytes.fromhex(one[1:]), bytes.fromhex(other[1:]), strict=True)
    return "#" + "".join([f"{round(a + (b - a) * share):02x}" for a, b in pairs])
