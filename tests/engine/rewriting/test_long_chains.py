"""Sums written term by term: what becomes a dot or a sum, and what stays."""

import math

import chainrule as cr
import numpy as np
import pytest
from chainrule import grad, trace
from chainrule.rewriting.long_chains import LEAST, chains_joined


def names(f, *examples):
    return [op.name for op, _ in chains_joined(trace(f, *examples)).steps]


def test_a_comprehension_of_products_is_a_dot():
    assert names(lambda w, x: sum(a * b for a, b in zip(w, x, strict=True)), [1.0] * 9, [1.0] * 9) == ["dot"]


def test_a_comprehension_of_anything_is_a_sum():
    assert names(lambda x: sum(cr.exp(a) for a in x), [1.0] * 5) == ["exp"] * 5 + ["sum"]
    assert names(lambda x: sum(x), [1.0] * 5) == ["sum"]


def test_what_is_added_to_a_dot_stays_apart():
    def neuron(w, x, b):
        return cr.tanh(sum(a * c for a, c in zip(w, x, strict=True)) + b)

    assert names(neuron, [1.0] * 5, [1.0] * 5, 1.0) == ["dot", "add", "tanh"]


def test_what_others_take_stays():
    def f(x):
        products = [a * a for a in x]
        total, totals = 0.0, []
        for product in products:
            total = total + product
            totals.append(total)
        return totals, products

    program = trace(f, [1.0] * 6)
    assert chains_joined(program) is program or "dot" not in [op.name for op, _ in chains_joined(program).steps]
    values = [0.5, -1.0, 2.0, 3.0, 0.25, 7.0]
    assert chains_joined(program)(values) == program(values)


def test_few_terms_and_sums_that_start_elsewhere_stay():
    few = trace(lambda x: sum(x), [1.0] * (LEAST - 1))
    other = trace(lambda x, b: sum(x, b), [1.0] * 9, 1.0)
    assert chains_joined(few) is few
    assert chains_joined(other) is other


def test_values_and_derivatives_are_those_of_the_sum():
    def f(w, x):
        total = sum(a * b for a, b in zip(w, x, strict=True))
        return total * total + sum(cr.sin(a) for a in x) + total

    w, x = [0.3, -2.0, 0.0, 5.0, 1e-3], [1.0, math.pi, -4.0, 0.5, 2.0]
    for g in (f, grad(f, (0, 1))):
        program = trace(g, w, x)
        found, expected = [np.ravel(p(w, x)) for p in (chains_joined(program), program)]
        np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("numbers", [[-0.0] * 6, [math.inf, 1.0, -2.0, 0.0, 3.0, 4.0], [math.nan] * 6, [1e308] * 6])
def test_special_numbers_come_out_as_from_the_sum(numbers):
    program = trace(lambda x: (sum(x), sum(a * 2.0 for a in x)), [1.0] * 6)
    assert str(chains_joined(program)(numbers)) == str(program(numbers))
