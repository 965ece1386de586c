"""The reverse of a while loop: a scan of as many iterations as there were."""

import chainrule as cr
import numpy as np
import pytest
from chainrule import trace
from chainrule.programs import COUNTED
from helpers import loops_of

BACKENDS = ["python", "numpy", "llvm"]


def power(x, limit=1_000_000):
    """Square until 100 is reached: how often depends on x."""
    return cr.while_loop(lambda c: c < 100.0, lambda c: 1.1 * c * c + cr.sin(c), x, limit=limit)


def grown(v, w):
    """The same of an array, in which every iteration also uses numbers that all share."""
    end = cr.while_loop(
        lambda own: cr.sum([x * x for x in own[1]]) < 1e3,
        lambda own: (
            own[0] + own[1][0],
            [cr.tanh(cr.dot(row, own[1])) + 1.5 * x for row, x in zip(w, own[1], strict=True)],
        ),
        (0.0, list(v)),
        limit=50,
    )
    return end[0] + cr.sum(end[1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_are_those_of_what_ran(backend):
    points = [1.5, 2.0, 9.0, 99.0, 100.0, 1e3]
    for f in (cr.grad(power), cr.grad(cr.grad(power)), lambda x: cr.jvp(cr.grad(power), (x,), (1.0,))):
        run = cr.compile(f, backend=backend)
        for x in points:
            assert run(x) == pytest.approx(f(x), rel=1e-12)
    run = cr.compile(lambda x: cr.taylor(cr.grad(power), x, 2), backend=backend)
    assert run(1.5) == pytest.approx(cr.taylor(cr.grad(power), 1.5, 2), rel=1e-11)


@pytest.mark.parametrize("backend", BACKENDS)
def test_each_sample_of_a_batch_has_its_own_number_of_iterations(backend):
    xs = np.array([1.5, 2.0, 9.0, 99.0, 100.0, 1e3, 1.2, 3.0, 5.0] * 5)
    for f in (cr.grad(power), cr.grad(cr.grad(power))):
        expected = [f(x) for x in xs]
        np.testing.assert_allclose(cr.compile(f, batch=("x",), backend=backend)(xs), expected, 1e-12)
        summed = cr.compile(f, batch=("x",), reduce="sum", backend=backend)(xs)
        assert summed == pytest.approx(sum(expected), rel=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_all_iterations_share_gets_the_sum_of_their_gradients(backend):
    random = np.random.default_rng(3)
    w = random.normal(size=(3, 3))
    samples = random.normal(size=(21, 3)) * np.linspace(0.01, 20.0, 21)[:, None]
    f = cr.grad(grown, argnums=(0, 1))
    by_v, by_w = cr.compile(f, batch=("v",), backend=backend)(samples, w)
    for k, v in enumerate(samples.tolist()):
        expected = f(v, w)
        for found in ((by_v[k], by_w[k]), cr.compile(f, backend=backend)(v, w)):
            np.testing.assert_allclose(np.array(found[0]), expected[0], 1e-10, 1e-12)
            np.testing.assert_allclose(np.array(found[1]), expected[1], 1e-10, 1e-10)
    step, v = 1e-6, samples[0]
    for k, unit in enumerate(np.eye(3)):
        slope = (grown((v + step * unit).tolist(), w) - grown((v - step * unit).tolist(), w)) / (2 * step)
        assert by_v[0][k] == pytest.approx(slope, rel=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_carries_that_are_whole_arrays_are_kept_whole(backend):
    def f(v, w):
        return cr.sum(
            cr.while_loop(lambda c: cr.sum(c * c) < 1e4, lambda c: 3.0 * np.tanh(w * c) + 1.2 * c, v, limit=90)
        )

    random = np.random.default_rng(5)
    v, w = 0.1 * random.normal(size=300), random.normal(size=300)
    run = cr.compile(cr.grad(f, argnums=(0, 1)), backend=backend)
    expected = cr.grad(f, argnums=(0, 1))(v, w)
    for found, own in zip(run(v, w), expected, strict=True):
        np.testing.assert_allclose(np.array(found, float), np.array(own, float), 1e-10)
    samples = np.array([v, 20.0 * v, 1e3 * v])
    by_v, _ = cr.compile(cr.grad(f, argnums=(0, 1)), batch=("v",), backend=backend)(samples, w)
    for found, sample in zip(by_v, samples, strict=True):
        np.testing.assert_allclose(found, np.array(cr.grad(f)(sample, w), float), 1e-10)


def test_the_program_does_not_look_at_all_that_there_could_be():
    program = trace(cr.grad(power), 2.0)
    assert [op.kind for op in loops_of(program)] == ["while", COUNTED]
    ran = []
    first = cr.while_loop(lambda c: c < 100.0, lambda c: ran.append(c) or 1.1 * c * c + cr.sin(c), 2.0)
    rows = program.values([2.0])
    count = next(x for x, shape in zip(rows, program.value_shapes, strict=True) if x == len(ran) and shape == ())
    assert first >= 100.0 and count == len(ran) == 3


def test_programs_that_end_early_are_saved_and_compared(tmp_path):
    program = trace(cr.grad(power), 2.0)
    program.save(tmp_path / "f.json")
    again = cr.Program.load(tmp_path / "f.json")
    assert again == program and again(2.0) == program(2.0) == pytest.approx(cr.grad(power)(2.0), rel=1e-13)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_of_the_users_run_for_samples_that_go_on_only(backend):
    def is_asked(x):
        if not 0.0 < x < 100.0:
            raise ValueError(f"asked for {x}")

    @cr.primitive(partials=lambda y, x: (-0.5 * slope(x) / x,))
    def slope(x):
        is_asked(x)
        return 0.5 / x**0.5

    @cr.primitive(partials=lambda y, x: (slope(x),))
    def root(x):
        is_asked(x)
        return x**0.5

    def f(x):
        return cr.while_loop(lambda c: c < 100.0, lambda c: c * c + root(c), x, limit=20)

    xs = np.array([1.5, 200.0, 9.0, 99.0, 100.0, 1e3, 1.2, 3.0, 5.0])
    expected = [(f(x + 1e-6) - f(x - 1e-6)) / 2e-6 for x in xs]
    found = cr.compile(cr.grad(f), batch=("x",), backend=backend)(xs)
    expected[4] = found[4]  # where it ends at once on one side
    np.testing.assert_allclose(found, expected, 1e-5)


def test_without_a_limit_forward_mode_goes_and_reverse_says_what_is_missing():
    def f(x):
        return cr.while_loop(lambda c: c < 100.0, lambda c: c * c, x)

    assert cr.compile(lambda x: cr.jvp(f, (x,), (1.0,)))(3.0)[1] == pytest.approx(8 * 3.0**7)
    with pytest.raises(ValueError, match="expected limit="):
        cr.compile(cr.grad(f))(3.0)
