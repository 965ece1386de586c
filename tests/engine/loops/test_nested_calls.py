"""Functions that call functions: each inner program is one object, however many ways lead to it."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import Program, trace
from chainrule.programs import Loop
from chainrule.rewriting import prepared


@cr.function
def determinant(rows):
    """Expand by the first row; each size is one function."""
    if len(rows) == 1:
        return rows[0][0]
    first, rest = rows[0], rows[1:]
    signed = [(-1.0) ** k * x for k, x in enumerate(first)]
    return cr.dot(signed, [determinant([row[:k] + row[k + 1 :] for row in rest]) for k in range(len(first))])


def by_minors(rows):
    """The same with each minor once: they are kept by their columns."""
    known = {(): 1.0}

    @cr.function
    def expand(row, minors):
        return cr.dot([(-1.0) ** k * x for k, x in enumerate(row)], minors)

    def minor(columns):
        if columns not in known:
            row = rows[len(rows) - len(columns)]
            others = [minor(columns[:k] + columns[k + 1 :]) for k in range(len(columns))]
            known[columns] = expand([row[k] for k in columns], others)
        return known[columns]

    return minor(tuple(range(len(rows))))


def programs_in(program, found=None):
    """List each inner program once, by identity."""
    found = {} if found is None else found
    for op, _ in program.steps:
        for inner in op.programs() if isinstance(op, Loop) else ():
            if id(inner) not in found:
                found[id(inner)] = inner
                programs_in(inner, found)
    return found


def matrix(size):
    return np.random.default_rng(size).normal(size=(size, size))


@pytest.mark.parametrize("f", [determinant, by_minors])
@pytest.mark.parametrize("backend", ["python", "numpy", "llvm"])
def test_determinants_have_their_cofactors_as_gradient(f, backend):
    a = matrix(5)
    value, gradient = cr.compile(cr.value_and_grad(f), backend=backend)(a.tolist())
    assert value == pytest.approx(np.linalg.det(a), rel=1e-12)
    np.testing.assert_allclose(gradient, np.linalg.det(a) * np.linalg.inv(a).T, 1e-10)


def test_second_derivatives_of_calls_within_calls():
    a = matrix(4)
    direction = matrix(7)[:4, :4].tolist()
    found = cr.compile(lambda a: cr.hvp(determinant, (a,), direction))(a.tolist())
    step = 1e-5
    ahead, behind = (
        np.linalg.det(b) * np.linalg.inv(b).T for b in (a + step * np.array(direction), a - step * np.array(direction))
    )
    np.testing.assert_allclose(found, (ahead - behind) / (2 * step), 1e-6, 1e-6)


def test_programs_grow_with_the_functions_not_with_the_ways_to_them():
    sizes = []
    for size in (5, 6, 7, 8):
        program = trace(cr.value_and_grad(determinant), matrix(size).tolist())
        sizes.append(len(programs_in(program)))
        assert len(programs_in(prepared(program, [False]))) <= 3 * size
        assert sum(1 for _ in program.rows_and_loops()) < 40 * size**2
    assert sizes[-1] <= 3 * 8 and sizes[3] - sizes[2] == sizes[2] - sizes[1]


def test_equal_minors_are_one_step():
    program = trace(by_minors, matrix(8).tolist())
    calls = [op for op, _ in program.steps if isinstance(op, Loop)]
    assert len(calls) == 2**8 - 1 and len(set(calls)) == 8


def test_equal_programs_are_compared_and_saved_in_time(tmp_path):
    one, other = (trace(cr.grad(determinant), matrix(9).tolist()) for _ in range(2))
    assert one == other and hash(one) == hash(other)
    one.save(tmp_path / "f.json")
    again = Program.load(tmp_path / "f.json")
    assert again == one and str(again) == str(one)


def test_programs_of_other_names_stay_apart():
    def loop_named(name):
        def f(x):
            return cr.tanh(x) * x

        f.__name__ = name
        return trace(lambda x: cr.function(f)(x) + 1.0, 1.0)

    one, other = loop_named("one"), loop_named("other")
    assert "call one" in str(one) and "call other" in str(other) and one == other
