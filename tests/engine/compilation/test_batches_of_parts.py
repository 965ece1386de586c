"""compile(batch="data.x"): batches in parts of arguments, the same as with an argument for each."""

import collections
import copy
import dataclasses
import importlib.util
import pickle

import chainrule as cr
import numpy as np
import pytest

BACKENDS = ["python", "numpy", *(["llvm"] if importlib.util.find_spec("llvmlite") else [])]
every_backend = pytest.mark.parametrize("backend", BACKENDS)
Table = collections.namedtuple("Table", "x y unit")


@dataclasses.dataclass
class Data:
    x: object
    inner: dict


def loss(w, data, power=2.0):
    return (cr.dot(w, data["x"]) * data["scale"] - data["y"]) ** power


def arguments(n=5):
    rng = np.random.default_rng(n)
    return rng.normal(size=3), {"x": rng.normal(size=(n, 3)), "scale": 0.5, "y": rng.normal(size=n)}


def errors(w, data):
    return data["x"] @ w * data["scale"] - data["y"]


@every_backend
def test_parts_of_a_dict(backend):
    w, data = arguments()
    f = cr.compile(cr.value_and_grad(loss), batch=("data.x", "data.y"), reduce="sum", backend=backend)
    for _ in range(2):
        value, slope = f(w, data)
        assert value == pytest.approx(np.sum(errors(w, data) ** 2), rel=1e-13)
        np.testing.assert_allclose(slope, 2.0 * errors(w, data) * data["scale"] @ data["x"], rtol=1e-12)
    assert f(data=data, w=w)[0] == value
    assert f(w, {**data, "x": data["x"].tolist()})[0] == pytest.approx(value, rel=1e-14)
    assert f(w, {**data, "x": np.asfortranarray(data["x"]), "y": 0.0})[0] == pytest.approx(
        np.sum(errors(w, {**data, "y": 0.0}) ** 2), rel=1e-13
    )
    each = cr.compile(loss, batch=("data.x", "data.y"), backend=backend)
    np.testing.assert_allclose(each(w, data, 3.0), errors(w, data) ** 3, rtol=1e-12)
    out = np.empty(5)
    assert each(w, data, out=out) is out and out.sum() == pytest.approx(value, rel=1e-13)
    assert set(data) == {"x", "scale", "y"} and data["x"].shape == (5, 3)


@every_backend
def test_derivatives_have_the_structure_of_the_whole(backend):
    w, data = arguments()
    f = cr.compile(cr.grad(loss, argnums=1), batch=("data.x", "data.y"), backend=backend)
    slopes = f(w, data)
    assert list(slopes) == ["x", "scale", "y"]
    np.testing.assert_allclose(slopes["y"], -2.0 * errors(w, data), rtol=1e-12)
    np.testing.assert_allclose(slopes["scale"], 2.0 * errors(w, data) * (data["x"] @ w), rtol=1e-12)
    scale = cr.Var(0.5)
    cr.sum(cr.compile(loss, batch=("data.x", "data.y"), backend=backend)(w, {**data, "scale": scale})).backward()
    assert scale.grad == pytest.approx(slopes["scale"].sum(), rel=1e-12)


@every_backend
def test_parts_of_records_lists_and_deeper_ones(backend):
    x, y = np.arange(3.0), np.array([2.0, 0.5, -1.0])
    table = cr.compile(lambda t: t.x * t.y if t.unit == "m" else 0.0, batch=("t.x",), backend=backend)
    assert table(Table(x, 3.0, "m")).tolist() == (3.0 * x).tolist()
    data = cr.compile(lambda d: d.x * d.inner["deep"][1], batch=("d.inner.deep.1", "d.x"), backend=backend)
    assert data(Data(x, {"deep": (None, y)})).tolist() == (x * y).tolist()
    numbered = cr.compile(lambda d: d[0] + d[1] * d[2], batch="d.1", backend=backend)
    assert numbered([1.0, x, 2.0]).tolist() == numbered({0: 1.0, 1: x, 2: 2.0}).tolist() == (1.0 + 2.0 * x).tolist()
    both = cr.compile(lambda d, z: d["p"]["a"] * d["p"]["b"] + z, batch=("d.p", "z"), backend=backend)
    assert both({"p": {"a": x, "b": y}}, y).tolist() == (x * y + y).tolist()


def test_with_static_arguments_methods_and_copies():
    x = np.arange(1.0, 4.0)
    f = cr.compile(lambda d, n, s: d["x"] ** n * d["k"] * s, batch=("d.x", "s"), static="n", backend="numpy")
    for n in (2, 3):
        assert f({"x": x, "k": 2.0}, n, x).tolist() == pytest.approx((2.0 * x ** (n + 1)).tolist())

    class Model:
        k = 3.0

        @cr.compile(batch="d.x", backend="numpy")
        def times(self, d):
            return d["x"] * self.k

    assert Model().times({"x": x}).tolist() == (3.0 * x).tolist()
    g = cr.compile(loss, batch=("data.x", "data.y"), reduce="mean", backend="numpy")
    w, data = arguments()
    for again in (copy.deepcopy(g), pickle.loads(pickle.dumps(g))):
        assert again(w, data) == g(w, data) == pytest.approx(np.mean(errors(w, data) ** 2), rel=1e-13)
    assert "data_x" in str(g.program) and len(g.trace(w, data).arguments.parts) == 4


def test_errors_name_the_part():
    with pytest.raises(ValueError, match=r"compile expected batch to name arguments of loss, .* but got batch='date'"):
        cr.compile(loss, batch="date.x")
    for batch in (("data", "data.x"), ("data.x", "data.x"), ("data.x.y", "data.x")):
        with pytest.raises(ValueError, match="compile expected each part in batch once but got"):
            cr.compile(loss, batch=batch)
    w, data = arguments()
    f = cr.compile(loss, batch="data.z", backend="numpy")
    with pytest.raises(
        TypeError, match=r"compile expected a structure with a part 'z' for batch='data\.z' but got data\.z="
    ):
        f(w, data)
    with pytest.raises(TypeError, match=r"loss expected the batch 'data\.z' but got 1 positional arguments"):
        f(w)
    g = cr.compile(loss, batch=("data.x", "data.y"), backend="numpy")
    with pytest.raises(
        ValueError, match="expected batches of one size but got data_x with 5 samples and data_y with 4"
    ):
        g(w, {**data, "y": data["y"][:4]})
    with cr.strict(), pytest.raises(cr.NonFiniteError, match="in sample 2 of the batch"):
        cr.compile(lambda d: 1.0 / d["x"], batch="d.x", backend="numpy")({"x": np.array([1.0, 2.0, 0.0])})
