"""The formats of floating-point numbers that programs are compiled for."""

from __future__ import annotations

from array import array
from typing import NamedTuple


class Format(NamedTuple):
    """A format: NumPy's name, the letter of buffers and of `struct`, bytes, and binary digits."""

    name: str
    code: str
    size: int
    digits: int

    @property
    def whole(self) -> int:
        """How far whole numbers are exact."""
        return 1 << self.digits

    def rounded(self, x: float) -> float:
        """Return the nearest number of the format.

        >>> SINGLE.rounded(0.1), SINGLE.rounded(-1e300)
        (0.10000000149011612, -inf)
        """
        return float(array(self.code, (x,))[0])

    def packed(self, doubles: bytes) -> bytes:
        """Return numbers, given as doubles side by side, in this format."""
        if self.code == "d":
            return doubles
        return array(self.code, memoryview(doubles).cast("d")).tobytes()


DOUBLE = Format("float64", "d", 8, 53)
SINGLE = Format("float32", "f", 4, 24)
FORMATS = {own.name: own for own in (DOUBLE, SINGLE)}
