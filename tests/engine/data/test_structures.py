"""Named tuples, dataclasses, None and strings are kept in structure by transforms, compile and loops."""

import dataclasses
import enum
import math
from typing import Any, NamedTuple

import chainrule as cr
import numpy as np
import pytest
from helpers import BACKENDS


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Open:
    w: Any
    b: Any
    how: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    w: Any
    b: Any
    how: Any = None

    def __post_init__(self):
        if isinstance(self.w, float) and self.w < 0.0:
            raise ValueError("negative")


@dataclasses.dataclass
class Rectangle:
    width: float
    height: float
    area: float = dataclasses.field(init=False)

    def __post_init__(self):
        self.area = self.width * self.height


class Mode(enum.Enum):
    TWICE = "twice"


CONSTANTS = (None, "twice", "", Mode.TWICE)


def unchecked(kind, w, b, how):
    """Make what the class itself refuses, as a gradient may be."""
    made = kind(1.0, b, how)
    object.__setattr__(made, "w", w)
    return made


def loss(p):
    return p.w**2 * p.b[0] * (2.0 if p.how in ("twice", Mode.TWICE) else 1.0)


@pytest.mark.parametrize("how", CONSTANTS)
@pytest.mark.parametrize("kind", [Open, Frozen])
def test_transforms_keep_records_and_constants(kind, how):
    p, direction = kind(3.0, [-1.0, 5.0], how), kind(1.0, [0.0, 0.0], how)
    factor = loss(kind(1.0, [1.0], how))
    gradient = unchecked(kind, -6.0 * factor, [9.0 * factor, 0.0], how)
    assert cr.grad(loss)(p) == gradient
    assert cr.value_and_grad(loss)(p) == (-9.0 * factor, gradient)
    assert cr.hessian(loss)(p).w == unchecked(kind, -2.0 * factor, [6.0 * factor, 0.0], how)
    assert cr.jvp(loss, p, direction) == (-9.0 * factor, -6.0 * factor)
    assert cr.vjp(loss, p)[1](1.0) == (gradient,)
    assert cr.hvp(loss, p, direction) == unchecked(kind, -2.0 * factor, [6.0 * factor, 0.0], how)
    assert cr.checkpoint(loss)(p) == cr.function(loss)(p) == loss(p)
    assert cr.grad(cr.checkpoint(loss))(p) == cr.grad(cr.function(loss))(p) == gradient
    assert cr.trace(loss, p)(p) == loss(p)


@pytest.mark.parametrize("how", CONSTANTS)
def test_results_keep_records_and_constants(how):
    def f(x):
        return Point(Open(x * x, [x], how), {"how": how, "x": (x,)})

    assert f(3.0) == cr.jvp(f, 3.0, 1.0)[0] == cr.compile(f)(3.0)
    slopes = Point(Open(6.0, [1.0], how), {"how": how, "x": (1.0,)})
    assert cr.jacobian(f)(3.0) == cr.jvp(f, 3.0, 1.0)[1] == slopes
    assert cr.taylor(f, 3.0, 1).y == {"how": how, "x": ([3.0, 1.0],)}
    assert cr.vjp(f, 3.0)[1](slopes) == (38.0,)
    by_point = cr.jacobian(lambda p: p)(Point(1.0, how))
    assert by_point == Point(Point(1.0, how), how)


@dataclasses.dataclass(frozen=True)
class Kept:
    a: float
    b: float = dataclasses.field(default=2.0, init=False)


@pytest.mark.parametrize("run", [lambda f: f, lambda f: cr.compile(f, backend="python")], ids=["eager", "compiled"])
def test_fields_that_init_does_not_take_are_data(run):
    """Their values are those that they have, and what comes back is a derivative, not computed anew."""
    rectangle = Rectangle(2.0, 3.0)
    rectangle.area = 10.0
    gradient = run(cr.grad(lambda r: r.area**2 * r.width))(rectangle)
    assert (gradient.width, gradient.height, gradient.area) == (100.0, 0.0, 40.0)
    gradient = run(cr.grad(lambda k: k.a * k.b))(Kept(3.0))
    assert (gradient.a, gradient.b) == (2.0, 3.0)
    (value, slope) = run(lambda r: cr.jvp(lambda r: r.area * r.width, (r,), (r,)))(rectangle)
    assert (value, slope) == (20.0, 40.0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kind", [Open, Frozen])
def test_compiled_functions_keep_them(kind, backend):
    both = cr.compile(cr.value_and_grad(loss), backend=backend)
    for how in (*CONSTANTS, *CONSTANTS):
        p = kind(3.0, [-1.0, 5.0], how)
        assert both(p) == cr.value_and_grad(loss)(p)
    assert len(both._plans) == len(CONSTANTS)
    p = kind(3.0, np.array([-1.0, 5.0]), "twice")
    assert both(p)[1].b.tolist() == [18.0, 0.0]
    by_name = cr.compile(lambda x, how: cr.sin(x) if how == "sin" else [how], backend=backend)
    assert by_name(1.0, "sin") == pytest.approx(math.sin(1.0)) and by_name(1.0, None) == [None]


@pytest.mark.parametrize("backend", BACKENDS)
def test_batches_of_records(backend):
    def f(p, q):
        return Point(p.x * q.w, {"s": "kept", "none": None, "y": p.y["k"] + 1.0})

    p = Point(np.array([1.0, 2.0]), {"k": np.array([3.0, 4.0]), "name": "p"})
    found = cr.compile(f, batch="p", backend=backend)(p, Frozen(10.0, [], "q"))
    assert found.x.tolist() == [10.0, 20.0]
    assert {key: np.ravel(item).tolist() for key, item in found.y.items() if key == "y"} == {"y": [4.0, 5.0]}
    assert found.y["s"] == "kept" and found.y["none"] is None
    samples = [Point(1.0, {"k": 3.0}), Point(2.0, {"k": 4.0})]
    assert cr.compile(f, batch="p", backend=backend)(samples, Open(10.0, None)).x.tolist() == [10.0, 20.0]
    x = cr.Var(2.0)
    f_x = cr.compile(f, backend=backend)(Point(x, {"k": 1.0}), Open(10.0, None))
    f_x.x.backward()
    assert x.grad == 10.0 and f_x.y["s"] == "kept"


def run_eagerly(f):
    return f


@pytest.mark.parametrize("mode", [run_eagerly, *[lambda f, b=b: cr.compile(f, backend=b) for b in BACKENDS]])
def test_loops_keep_them(mode):
    xs = Point(np.array([1.0, 2.0]), {"name": "xs", "none": None})

    def mapped(t):
        return cr.map(lambda p: Open(p.x * t, [p.x], p.y["name"]), xs)

    def scanned(t):
        return cr.scan(lambda c, p: (Point(c.x + p.x * t, c.y), (c, "r")), Point(0.0, "c"), xs)

    def repeated(t):
        return cr.while_loop(lambda c: c.w < 10.0, lambda c: Frozen(c.w * t, None, c.how), Frozen(1.0, None, "h"))

    found = mode(mapped)(2.0)
    assert found.w.tolist() == [2.0, 4.0] and found.how == "xs"
    carry, (before, name) = mode(scanned)(2.0)
    assert carry == Point(6.0, "c") and name == "r"
    assert list(before.x) == [0.0, 2.0] and before.y == "c"
    assert mode(repeated)(2.0) == Frozen(16.0, None, "h")
    assert mode(lambda t: cr.jvp(repeated, t, 1.0))(2.0)[1] == Frozen(32.0, None, "h")
    summed = mode(lambda t: cr.map(lambda p: {"s": "t", "x": p.x * t}, xs, reduce="mean"))(2.0)
    assert summed == {"s": "t", "x": 3.0}


def test_programs_with_constants_are_listed_and_saved(tmp_path):
    program = cr.trace(lambda p: {"s": "t", "y": p["x"] * 2.0, "none": None}, {"x": 1.0, "how": "h"})
    assert "return {'s': 't', 'y': v1, 'none': None}" in str(program)
    program.save(tmp_path / "p.json")
    assert cr.Program.load(tmp_path / "p.json") == program
    record = cr.trace(lambda p: Point(p.w * 2.0, "t"), Open(1.0, [2.0]))
    assert str(record).startswith("lambda(p: Open(w=number, b=[number], how=None)):\n    v1 = p.w × 2.0\n")
    assert str(record).endswith("return Point(x=v1, y='t')")
    with pytest.raises(TypeError, match=r"save expected numbers, arrays, .* but got Open\(w=number"):
        record.save(tmp_path / "q.json")


@pytest.mark.parametrize("value", ["text", None, Mode.TWICE])
def test_what_is_only_a_constant_cannot_be_differentiated_by(value):
    for transform in (cr.grad, cr.value_and_grad, cr.jacobian, cr.hessian):
        with pytest.raises(TypeError, match="expected a float or Var but got argument 0="):
            transform(lambda x, y: y)(value, 1.0)


def test_bools_are_numbers():
    """As Python's are: True is 1, and what is computed of it by a gradient stays right."""
    assert cr.grad(lambda p: p["w"] * p["flag"])({"w": 3.0, "flag": True}) == {"w": 1.0, "flag": 3.0}
    assert cr.compile(lambda x, flag: cr.where(flag, x, 0.0))(2.0, True) == 2.0


def test_keys_of_dicts_come_in_any_order():
    def f(p):
        return {"u": p["a"] ** 2, "v": p["b"] * 3.0}

    point, turned = {"a": 2.0, "b": 5.0}, {"b": 1.0, "a": 10.0}
    assert cr.jvp(f, point, turned)[1] == {"u": 40.0, "v": 3.0}
    assert cr.vjp(f, point)[1]({"v": 1.0, "u": 10.0}) == ({"a": 40.0, "b": 3.0},)
    assert cr.hvp(lambda p: p["a"] ** 2 * p["b"], point, turned) == {"a": 104.0, "b": 40.0}
    samples = [{"a": 1.0, "b": (2.0, {"c": 3.0, "d": 4.0})}, {"b": (5.0, {"d": 6.0, "c": 7.0}), "a": 8.0}]

    def g(p):
        return p["a"] + 10 * p["b"][0] + 100 * p["b"][1]["c"] + 1000 * p["b"][1]["d"]

    assert cr.map(g, samples) == list(map(g, samples)) == cr.compile(g, batch="p")(samples).tolist()
    assert cr.trace(g, samples[0])(samples[0]) == g(samples[0])
