"""compile(): arguments that decide the code, methods, and a decorator with options."""

import dataclasses
import enum
import gc
import math
import weakref

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS


def power_sum(x, n, activation=cr.sin, *, scale=2):
    return scale * sum([activation(x) ** k for k in range(n)], 0.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_static_arguments_decide_the_code(backend):
    calls = []

    def counted(x, n, activation=cr.sin, *, scale=2):
        calls.append(n)
        return power_sum(x, n, activation, scale=scale)

    f = cr.compile(counted, static=("n", "activation", "scale"), batch="x", backend=backend)
    x = np.array([0.5, 1.5])
    for _ in range(2):
        for args, named in [((2,), {}), ((3,), {}), ((3, cr.cos), {}), ((), {"n": 3, "scale": 5})]:
            expected = [power_sum(v, *args, **named) for v in x.tolist()]
            assert f(x, *args, **named) == pytest.approx(expected, rel=1e-14)
    assert calls == [2, 3, 3, 3]
    assert f.program.names == ("x",)
    assert len(f.trace(x, 4)) > len(f.trace(x, 2))


@pytest.mark.parametrize("static", ["n", 1, np.int64(1), ("n",), [1]])
def test_static_arguments_are_named_or_placed(static):
    f = cr.compile(lambda x, n, y: x**n * y, static=static, batch=(0, np.int64(2)), reduce="sum")
    assert f([1.0, 2.0], 2, [1.0, 10.0]) == 41.0


def test_values_that_are_equal_but_of_other_types_stay_apart():
    f = cr.compile(lambda x, n: x if type(n) is int else -x, static="n")
    assert [f(2.0, n) for n in (1, 1.0, True, 1)] == [2.0, -2.0, -2.0, 2.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_derivatives_have_static_arguments(backend):
    f = cr.compile(cr.value_and_grad(lambda x, n: x**n), static="n", backend=backend)
    assert f(2.0, 3) == (8.0, 12.0) and f(2.0, 2) == (4.0, 4.0)
    assert cr.grad(lambda x: cr.compile(lambda x, n: x**n, static="n")(x, 3))(2.0) == 12.0


def test_what_cannot_be_static_is_named():
    f = cr.compile(lambda x, n: x, static="n")
    with pytest.raises(TypeError, match=r"a static argument that can be hashed .* n=\[1\] \(list\); pass a tuple"):
        f(1.0, [1])
    with pytest.raises(TypeError, match=r"n=Var\(1.0, grad=0.0\) \(Var\); leave it out of static"):
        f(1.0, cr.Var(1.0))
    for static in ("m", 2, -1, True):
        with pytest.raises(ValueError, match=r"compile expected static to name arguments of lambda, \['x', 'n'\]"):
            cr.compile(lambda x, n: x, static=static)
    with pytest.raises(ValueError, match="in batch or in static, not in both"):
        cr.compile(lambda x, n: x, batch="x", static="x")
    with pytest.raises(cr.TraceError, match=r"name the argument in compile\(..., static=\)"):
        cr.compile(lambda x, n: [x] * n)(1.0, 2)
    with pytest.raises(TypeError, match=r"positional or static but got scale=2.0 \(float\); name it in"):
        cr.compile(power_sum, static="n")(1.0, 2, scale=2.0)


@dataclasses.dataclass
class Model:
    """Has no hash, since it can be compared."""

    scale: float

    @cr.compile
    def plain(self, x):
        return self.scale * x

    @cr.compile(batch="x", reduce="mean")
    def mean(self, x, shift=0.0):
        return self.scale * x + shift

    @cr.compile(static="n")
    def power(self, x, n):
        return self.scale * x**n

    @staticmethod
    @cr.compile
    def free(x):
        return x * x


def test_methods_are_compiled_for_each_object():
    two, five = Model(2.0), Model(5.0)
    assert (two.plain(3.0), five.plain(3.0), two.plain(3.0)) == (6.0, 15.0, 6.0)
    assert two.mean([1.0, 3.0]) == 4.0 and two.mean([1.0, 3.0], shift=1.0) == 5.0
    assert (two.power(3.0, 2), five.power(3.0, n=3), two.free(3.0)) == (18.0, 135.0, 9.0)
    assert Model(7.0).plain(2.0) == 14.0
    assert str(two.plain.program).startswith("plain(x):")
    assert isinstance(Model.plain, type(cr.compile(math.sqrt)))
    assert cr.grad(two.plain)(3.0) == 2.0


def test_methods_keep_no_object_alive():
    model = Model(2.0)
    model.plain(1.0)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None and not Model.plain._methods._known


def test_objects_without_weak_references_are_named():
    class Slotted:
        __slots__ = ()

        @cr.compile
        def f(self, x):
            return x

    with pytest.raises(TypeError, match="add '__weakref__' to its __slots__"):
        Slotted().f(1.0)


def test_a_decorator_with_options():
    @cr.compile(batch="x", backend="python")
    def double(x):
        """Double it."""
        return 2.0 * x

    assert double.__name__ == "double" and double.__doc__ == "Double it." and double.backend == "python"
    assert list(double([1.0, 2.0])) == [2.0, 4.0]


@pytest.mark.parametrize("batch", [0, np.int64(0), np.uint8(0), "x", ["x"], (np.int32(0),)])
def test_positions_are_whole_numbers_of_any_kind(batch):
    assert cr.compile(lambda x: x * 2.0, batch=batch)([1.0, 2.0]).tolist() == [2.0, 4.0]
    assert cr.grad(lambda x, y: x * y, argnums=np.int64(1))(2.0, 3.0) == 2.0


def test_truth_values_are_no_positions():
    with pytest.raises(ValueError, match="compile expected batch to name arguments"):
        cr.compile(lambda x: x, batch=(False,))
    with pytest.raises(ValueError, match="grad expected argnums to be a position"):
        cr.grad(lambda x, y: x, argnums=True)(1.0, 2.0)


@dataclasses.dataclass(frozen=True)
class Setting:
    n: object


@pytest.mark.parametrize(
    "wrap", [lambda n: n, lambda n: (n,), lambda n: ((n, 2), "a"), lambda n: frozenset([n]), Setting]
)
def test_equal_values_inside_of_others_stay_apart(wrap):
    calls = []

    def f(x, n):
        calls.append(n)
        return x

    compiled = cr.compile(f, static="n", backend="python")
    for _ in range(2):
        for n in (1, 1.0, True, 0.0, -0.0, np.float64(0.0), 0.0 + 0j, math.nan):
            assert compiled(3.0, wrap(n)) == 3.0
    assert [repr(n) for n in calls] == [repr(wrap(n)) for n in (1, 1.0, True, 0.0, -0.0, np.float64(0.0), 0j, math.nan)]


class Word(enum.StrEnum):
    A = "a"


def test_a_string_and_a_member_that_equals_it_stay_apart():
    f = cr.compile(lambda x, how: x if isinstance(how, Word) else -x, backend="python")
    assert [f(1.0, how) for how in ("a", Word.A, "a")] == [-1.0, 1.0, -1.0]


def test_keyword_only_arguments_are_static_or_left_out():
    def f(x, n=1, *, k=2.0, **others):
        return x * n * k

    assert cr.compile(f, backend="python")(3.0) == 6.0
    assert cr.compile(f, static="n", backend="python")(3.0, n=2) == 12.0
    assert cr.compile(f, static="k", backend="python")(3.0, k=4.0) == 12.0
    for static in ((), "n"):
        with pytest.raises(
            TypeError, match=r"but got k=4.0 \(float\); name it in compile\(..., static=\"k\"\), or let f"
        ):
            cr.compile(f, static=static, backend="python")(3.0, 2, k=4.0)
        with pytest.raises(TypeError, match=r"but got z=4.0 \(float\); give it a parameter of its own"):
            cr.compile(f, static=static, backend="python")(3.0, 2, z=4.0)
