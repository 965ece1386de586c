"""Powers whose exponent is an odd half are roots in machine code: equal to two units, at the ends of the range, too."""

import math

import chainrule as cr
import numpy as np
import pytest
from chainrule.floats import ieee

ENDS = [0.0, -0.0, math.inf, -math.inf, math.nan, -1.0, 5e-324, 1e-310, 1e-206, 1e207, 1.7e308]


@pytest.mark.parametrize("backend", ["llvm", "numpy"])
@pytest.mark.parametrize("exponent", [0.5, -0.5, -1.5])
def test_odd_halves(exponent, backend):
    xs = np.array([*ENDS, *10.0 ** np.random.default_rng(0).uniform(-300.0, 300.0, 500)])
    found = cr.compile(lambda x: x**exponent, batch="x", backend=backend)(xs)
    expected = np.array([ieee.pow(x, exponent) for x in xs])
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
    known = ~np.isnan(expected)
    np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(expected[known]))
    np.testing.assert_array_max_ulp(found[known], expected[known], maxulp=2)


def test_c_takes_roots():
    compiled = cr.compile(lambda x: x**-0.5)
    assert compiled(4.0) == 0.5
    assert "pow(" not in compiled.source("c")
    assert "sqrt(" in compiled.source("c")
