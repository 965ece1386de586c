"""Results keep the sign of zero: on every backend, with and without a batch, of numbers and of arrays."""

import math

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS

ROWS = {
    "neg": (lambda x: -x, 0.0),
    "pos": (lambda x: +x, -0.0),
    "mul": (lambda x: x * -3.0, 0.0),
    "copysign": (lambda x: cr.copysign(x, -1.0), 0.0),
    "trunc": (cr.trunc, -0.5),
    "ceil": (cr.ceil, -0.5),
    "round": (cr.round, -0.25),
    "sqrt": (cr.sqrt, -0.0),
    "cbrt": (cr.cbrt, -0.0),
    "inverse": (lambda x: 1.0 / x, -math.inf),
}
rows = pytest.mark.parametrize(("f", "x"), ROWS.values(), ids=ROWS)
backends = pytest.mark.parametrize("backend", BACKENDS)


def check(found):
    np.testing.assert_array_equal(found, np.zeros(np.shape(found)))
    assert np.signbit(found).all()


@rows
@backends
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_minus_zero_stays(f, x, backend, dtype):
    check(f(x))
    compiled = lambda f, **options: cr.compile(f, backend=backend, dtype=dtype, **options)  # noqa: E731
    check(compiled(lambda x: f(x))(x))
    check(compiled(lambda x: f(x), batch="x")(np.full(5, x)))
    check(compiled(lambda x: [f(x), (f(x),)])(x)[0])
    for n in (3, 300):
        check(compiled(lambda x: f(x))(np.full(n, x)))


@backends
def test_what_adds_up_a_batch_begins_with_zero(backend):
    for reduce in ("sum", "mean"):
        found = cr.compile(lambda x: -x, backend=backend, batch="x", reduce=reduce)([0.0, 0.0])
        assert found == 0.0
        assert math.copysign(1.0, found) == 1.0
