"""Rows that hold infinities beside nan: long ones, short ones and eager code give nan in the same places."""

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS

inf, nan = np.inf, np.nan
FUNCTIONS = {
    "norm": cr.norm,
    "logsumexp": cr.logsumexp,
    "softmax": lambda x: cr.sum(cr.softmax(x)[:8] * np.arange(1.0, 9.0)),
    "log_softmax": lambda x: cr.sum(cr.log_softmax(x)[:8] * np.arange(1.0, 9.0)),
    "max": np.max,
    "min": np.min,
    "prod": np.prod,
}
SPECIAL = [{}, {3: inf}, {3: -inf}, {3: nan}, {3: inf, 5: nan}, {5: inf, 3: nan}, {3: -inf, 5: nan}]
SPECIAL += [{3: inf, 5: -inf}, {3: inf, 5: inf}, {3: -inf, 5: -inf, 7: nan}, {0: nan, 7: inf}]


def row(n, special):
    x = np.linspace(-1.0, 1.0, n)
    x[list(special)] = list(special.values())
    return x


def kinds(value, slopes):
    slopes = np.asarray(slopes, float)[:8]
    return np.isnan(value), np.isinf(value), np.isnan(slopes).tolist(), np.isinf(slopes).tolist()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_stands_in_the_same_places(name, backend):
    f = FUNCTIONS[name]
    compiled, slope = cr.compile(f, backend=backend), cr.compile(cr.grad(f), backend=backend)
    for special in SPECIAL:
        short, long = row(8, special), row(300, special)
        expected = kinds(f(short), cr.grad(f)(short))
        assert kinds(f(long), cr.grad(f)(long)) == expected, special
        for x in (short, long):
            assert kinds(compiled(x), slope(x)) == expected, (special, len(x))
