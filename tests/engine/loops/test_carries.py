"""Carries of loops: truth values stay what they are, keys come in any order; lengths, conditions, and no items."""

import math

import chainrule as cr
import numpy as np
import pytest
from chainrule import Var
from helpers import BACKENDS

MODES = {"eager": lambda f: f} | {b: lambda f, b=b: cr.compile(f, backend=b) for b in BACKENDS}
XS = [1.0, -2.0, 3.0]

modes = pytest.mark.parametrize("mode", MODES.values(), ids=MODES)


@modes
def test_truth_values_stay_truth_values(mode):
    def all_so_far(t):
        return cr.scan(lambda c, x: (c & (x > t), c), True, XS)

    def parity(t):
        return cr.scan(lambda c, x: (c ^ (x > t), c | (x > 2.0)), (t > 5.0), XS)

    def first(t):
        return cr.while_loop(
            lambda c: c["go"], lambda c: {"x": c["x"] * 2.0, "go": c["go"] & (c["x"] < 10.0)}, {"x": t, "go": True}
        )

    assert mode(all_so_far)(0.0) == (False, [True, True, False])
    assert mode(parity)(0.0) == (False, [False, True, True])
    assert mode(first)(1.0) == {"x": 32.0, "go": False}
    assert mode(lambda t: cr.where(all_so_far(t)[0] | (t < -1.0), 1.0, 2.0))(0.0) == 2.0
    assert (
        mode(
            cr.grad(
                lambda t: cr.scan(
                    lambda c, x: ((c[0] & (x > 0.0), c[1] + cr.where(c[0], x * t, 0.0)), None), (True, 0.0), XS
                )[0][1]
            )
        )(1.0)
        == -1.0
    )


@modes
def test_what_becomes_a_number_is_one(mode):
    """Python's own False is 0 in a sum."""
    assert mode(lambda t: cr.scan(lambda c, x: (c + x * t, None), False, XS))(2.0) == (4.0, None)
    assert mode(lambda t: cr.while_loop(lambda c: c[1] < 9.0, lambda c: (c[1], c[1] * t), (True, 1.0)))(2.0) == (
        8.0,
        16.0,
    )


@modes
def test_keys_of_carries_and_results_come_in_any_order(mode):
    turned = iter(range(100))

    def step(c, x):
        new, y = {"b": c["b"] + x, "a": c["a"] * 2.0}, {"p": x, "q": -x}
        return new, y if next(turned) % 2 else dict(reversed(y.items()))

    carry, ys = mode(lambda t: cr.scan(step, {"a": t, "b": 0.0}, XS))(1.0)
    assert carry == {"a": 8.0, "b": 2.0} and ys == {"p": XS, "q": [-x for x in XS]}
    found = mode(
        lambda t: cr.while_loop(
            lambda c: c["a"] < 9, lambda c: {"b": c["b"] + 1.0, "a": c["a"] * t}, {"a": 1.0, "b": 0.0}
        )
    )(2.0)
    assert found == {"a": 16.0, "b": 4.0}


@modes
def test_conditions_of_traced_numbers(mode):
    def table(x):
        a, b = x > 0.0, x > 1.0
        return [cr.where(c, 1.0, 0.0) for c in (a ^ b, a ^ True, True ^ b, a & (b ^ True), (a ^ b) ^ (a | b) ^ a)]

    for x in (-1.0, 0.5, 2.0):
        a, b = x > 0, x > 1
        assert mode(table)(x) == [float(c) for c in (a ^ b, not a, not b, a and not b, (a ^ b) ^ (a | b) ^ a)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_inverse_of_a_condition(backend):
    f = cr.compile(lambda x: cr.where(~(x > 0.0) & ~((x > -1.0) ^ (x > -2.0)), 1.0, 2.0), batch="x", backend=backend)
    assert list(f([-3.0, -1.5, -0.5, 0.5])) == [1.0, 2.0, 1.0, 2.0]
    for wrong in (lambda x: ~x, lambda x: x ^ (x > 0.0)):
        with pytest.raises(TypeError, match="operand"):
            cr.trace(wrong, 1.0)


@pytest.mark.parametrize("x", [-1.0, 1.0])
def test_what_the_inverse_makes_of_truth_values_is_no_condition(x):
    """Python's ~ makes -1 of False and -2 of True: both would hold."""
    condition = -2 if Var(x) > 0.0 else -1
    for use in (
        lambda: cr.where(condition, 1.0, 2.0),
        lambda: cr.where(condition, Var(1.0), 2.0),
        lambda: cr.while_loop(lambda c: condition, lambda c: c + 1.0, 0.0),
    ):
        with pytest.raises(TypeError, match=r"expected a condition but got .*, which is what ~ makes of a truth value"):
            use()
    assert cr.where(-1.0, 1.0, 2.0) == cr.where(3, 1.0, 2.0) == cr.where(np.bool_(True), 1.0, 2.0) == 1.0


@modes
def test_lengths_are_whole_numbers_of_any_kind(mode):
    for length in (3, np.int64(3), np.uint8(3)):
        assert mode(lambda t, n=length: cr.scan(lambda c, x: (c * t, None), 1.0, None, length=n))(2.0) == (8.0, None)
        assert mode(lambda t, n=length: cr.scan(lambda c, x: (c * t, None), 1.0, XS, length=n))(2.0) == (8.0, None)
        assert math.isnan(
            mode(lambda t, n=length: cr.while_loop(lambda c: c < 99.0, lambda c: c * t, 1.0, limit=n))(2.0)
        )
    for length in (True, 3.5, -1, "3"):
        for xs in (None, XS):
            with pytest.raises(
                ValueError, match="scan expected a whole number of iterations, 0 or above, but got length"
            ):
                mode(lambda t, n=length, xs=xs: cr.scan(lambda c, x: (c * t, None), 1.0, xs, length=n))(2.0)


@modes
def test_a_length_without_items_is_an_int(mode):
    with pytest.raises(ValueError, match="a whole number of iterations, 0 or above, but got length"):
        mode(lambda t: cr.scan(lambda c, x: (c * t, None), 1.0, None, length=3.0))(2.0)


@modes
def test_no_items_give_what_there_would_be(mode):
    def pair(x):
        return x * 2.0, {"y": x * x, "s": "t"}

    assert mode(lambda t: cr.map(pair, [], reduce="sum"))(1.0) == (0.0, {"y": 0.0, "s": "t"})
    mean = mode(lambda t: cr.map(pair, np.zeros(0), reduce="mean"))(1.0)
    assert math.isnan(mean[0]) and math.isnan(mean[1]["y"])
    summed = mode(lambda t: cr.map(lambda row: (row * t, row @ row), np.zeros((0, 3)), reduce="sum"))(1.0)
    assert summed[0].tolist() == [0.0, 0.0, 0.0] and summed[1] == 0.0
    stacked = mode(lambda t: cr.map(lambda row: (row * t, row @ row), np.zeros((0, 3))))(1.0)
    assert [part.shape for part in stacked] == [(0, 3), (0,)]
    assert mode(lambda t: cr.map(lambda x: x * t, []))(1.0) == []
    assert mode(lambda t: cr.scan(lambda c, x: (c * t, None), t, np.zeros(0)))(2.0) == (2.0, None)
    assert mode(lambda t: cr.scan(lambda c, x: (c * t, (c, "s")), t, None, length=0))(2.0) == (2.0, ([], "s"))


def test_no_rows_of_unknown_length_are_named():
    with pytest.raises(ValueError, match="map expected at least one item to tell what lambda returns, but xs is empty"):
        cr.map(lambda row: row[0], [], reduce="sum")
