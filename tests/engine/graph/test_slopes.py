"""What compiled graphs compute in C is what the interpreted ones compute, to the bit."""

import itertools
import math
import struct

from chainrule import Var
from chainrule.floats import ieee
from hypothesis import example, given
from hypothesis import strategies as st

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 1 / 3, -1 / 3, 0.7, 2.0, 3.0, -2.0, 1e-300, 1e300, 5e-324, 2.0**24, 2.0**24 + 2]
SPECIAL += [-(2.0**24), 2.0**-23, 1 - 2.0**-53, 1 + 2.0**-52, math.inf, -math.inf, math.nan]
EXPONENTS = st.floats() | st.floats(-3.0, 3.0) | st.integers(-30, 30).map(lambda k: k / 8)


def check(x, y):
    expected = ieee.power_slope(x, y)
    if not math.isfinite(expected):
        return  # the row's own rule answers
    v = Var(x)
    (v**y).backward()
    assert struct.pack("d", v.grad + 0.0) == struct.pack("d", expected + 0.0)


def test_slopes_of_special_powers():
    for x, y in itertools.product(SPECIAL, SPECIAL):
        check(x, y)


@given(st.floats() | st.floats(-3.0, 3.0), EXPONENTS)
@example(8.0, 1 / 3)
def test_slopes_of_powers(x, y):
    check(x, y)
