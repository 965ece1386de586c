"""Write powers whose exponent is an odd half as roots, which take a tenth of the time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..operations.table import equal, sqrt, where

inf = math.inf


def _root(x: Any) -> Any:
    return where(equal(x, -inf), inf, sqrt(x + 0.0))  # of -0.0, too, it is 0.0


def _inverse_root(x: Any) -> Any:
    return where(equal(x, -inf), 0.0, 1.0 / sqrt(x + 0.0))


def _inverse_of_cubed_root(x: Any) -> Any:
    size = x + 0.0
    return where(equal(x, -inf), 0.0, 1.0 / sqrt(size) / size)  # this way round no step overflows before the last


HALF_POWERS: dict[float, Callable[[Any], Any]] = {0.5: _root, -0.5: _inverse_root, -1.5: _inverse_of_cubed_root}
