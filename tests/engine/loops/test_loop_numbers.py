"""Eager loops compute in floats, whatever numbers are passed in, and give what compiled ones give."""

import math

import chainrule as cr
import numpy as np
import pytest
from helpers import flat

KINDS = [np.uint8, np.int8, np.int32, np.uint64, np.float16, np.float32, np.bool_, object, int]


def items_of(kind):
    numbers = [1, 0, 1] if kind is np.bool_ else [100, 7, 90]
    return numbers if kind is int else np.array(numbers, kind)


def cube(x):
    return x * x * x - x


# Each from three items of some kind to floats; a loop that computed in the items' kind would overflow or round.
LOOPS = {
    "map": lambda xs: cr.map(cube, xs),
    "map rows": lambda xs: cr.map(lambda row: row[0] * row[1] * row[1], [xs, xs]),
    "map of a dict": lambda xs: cr.map(lambda item: item["a"] * item["a"] * item["b"][0], {"a": xs, "b": (xs,)}),
    "map shared": lambda xs: cr.map(lambda x, y: x * y[0] * y[1] * y[2], [1, 2], xs),
    "map sum": lambda xs: cr.map(cube, xs, reduce="sum"),
    "scan": lambda xs: cr.scan(lambda c, x: (c * x + x, c * c), xs[0], xs),
    "scan shared": lambda xs: cr.scan(lambda c, x, y: (c * y[1] + x, c), 3, [1, 2], xs),
    "scan backwards": lambda xs: cr.scan(lambda c, x: (c * c * x, None), xs[1], xs, reverse=True)[0],
    "while_loop": lambda xs: cr.while_loop(lambda c: c[0] < 1e6, lambda c: (c[0] * 3 + c[1] + 1, c[1]), (xs[0], xs[1])),
    "while_loop of a dict": lambda xs: cr.while_loop(
        lambda c: c["a"] < 1e6, lambda c: {"a": c["a"] * 3 + 1, "b": [c["b"][0] * 2]}, {"a": xs[0], "b": [xs[1]]}
    ),
    "fori_loop": lambda xs: cr.fori_loop(0, 3, lambda i, c: c * c * 4 + i, xs[0]),
    "cond": lambda xs: cr.cond(xs[0], cube, cr.sin, xs[0]),
    "switch": lambda xs: cr.switch(xs[2], [cr.sin, cr.cos, cube], xs[0]),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LOOPS)
def test_small_and_whole_numbers(name, kind):
    xs = items_of(kind)
    expected = cr.compile(LOOPS[name], backend="python")([float(x) for x in xs])
    assert flat(LOOPS[name](xs)) == flat(expected) == flat(cr.compile(LOOPS[name], backend="python")(xs))


def test_what_a_function_gets():
    seen = []

    def see(*xs):
        seen.extend(flat(xs))
        return xs[0]

    small = np.array([1, 2], np.uint8)
    cr.map(see, small, small)
    cr.scan(lambda c, x, y: (see(c, x, y), None), np.int8(1), small, (True, 2))
    cr.while_loop(lambda c: see(c) < 3, lambda c: see(c + 1), np.int8(1))
    cr.fori_loop(0, 2, see, 1)
    cr.switch(np.int8(0), [see, see], small)
    cr.cond(True, see, see, np.int8(1))
    assert seen and {type(x) for x in seen} == {float}


def test_whole_numbers_overflow_to_infinity():
    def grown(x):
        return cr.while_loop(lambda c: c[1] < 20, lambda c: (c[0] * c[0], c[1] + 1), (x, 0))[0]

    assert grown(10) == math.inf == cr.compile(grown, backend="python")(10)
