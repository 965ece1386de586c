"""What a compiled function closes over is an input: read at each call, and differentiated through."""

import pickle

import chainrule as cr
import numpy as np
import pytest
from chainrule import Var, grad, nn
from chainrule.errors import TraceError
from helpers import BACKENDS, in_threads

XS = np.linspace(-1.0, 1.0, 7)
REDUCE = {None: lambda values: values, "sum": np.sum, "mean": np.mean}


def values(found):
    return np.array([getattr(x, "value", x) for x in np.ravel(np.array(found, dtype=object))], float)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("reduce", REDUCE)
@pytest.mark.parametrize("backend", BACKENDS)
def test_batches(backend, reduce, threads):
    w, c = Var(3.0), Var(2.0, requires_grad=False)
    options = {"batch": "x", "reduce": reduce, "backend": backend, "threads": threads}
    compiled = cr.compile(lambda x: [cr.sin(w * w * x) * c, x * 1.0], **options)
    over = REDUCE[reduce]
    for w.value, c.value in ((3.0, 2.0), (1.5, 4.0)):
        moving, still = compiled(XS)
        inner = w.value**2 * XS
        np.testing.assert_allclose(values(moving), np.ravel(over(c.value * np.sin(inner))), 1e-12, 1e-15)
        np.testing.assert_allclose(np.array(still, float), over(XS), 1e-12, 1e-15)
        w.zero_grad()
        cr.sum(list(np.ravel(moving))).backward()
        slope = np.sum(over(c.value * np.cos(inner) * 2 * w.value * XS))
        assert w.grad == pytest.approx(slope, rel=1e-12)
        with cr.no_grad():
            plain = compiled(XS)[0]
        assert type(plain) is float if reduce else plain.dtype == float
        np.testing.assert_allclose(plain, values(moving) if reduce is None else values(moving)[0], 1e-12, 1e-15)


def test_higher_derivatives_of_what_was_recorded():
    w = Var(2.0)
    compiled = cr.compile(lambda x: w * w * w * x, batch="x", reduce="sum")
    y = compiled(XS + 2.0)  # 14 w**3
    assert cr.trace(lambda t: y * t, 1.0)(2.0).value == 224.0
    slope = grad(lambda t: y * t * t)(3.0)  # 6 y
    slope.backward()
    assert w.grad == 6 * 14 * 3 * 4.0
    assert y.op.partials(y, w)[0].value == 168.0
    second = y.op.partials(y, w)[0]
    w.zero_grad()
    second.backward()
    assert w.grad == pytest.approx(14 * 6 * 2.0, rel=1e-15)


LOOPS = {
    "map": lambda w: lambda x: cr.sum(cr.map(lambda t: t * w * x, [1.0, 2.0, 3.0])),
    "map of computed": lambda w: lambda x: cr.map(lambda t: t * (w * 2.0) * x, [1.0, 2.0, 3.0], reduce="sum") * 0.5,
    "map over": lambda w: lambda x: cr.map(lambda t: t * x, [w, w * 2.0, w * 3.0], reduce="sum"),
    "scan": lambda w: lambda x: cr.scan(lambda total, t: (total + t * w * x, None), 0.0, [1.0, 2.0, 3.0])[0],
    "scan from": lambda w: lambda x: cr.scan(lambda total, t: (total + t * w * x, None), w * 0.0, [1.0, 2.0, 3.0])[0],
    "function": lambda w: lambda x: cr.function(lambda t: t * w * 6.0)(x),
    "while_loop": lambda w: (
        lambda x: cr.while_loop(lambda s: s < 5.9 * x * w, lambda s: s + w * x, w * x * 0.0, limit=20)
    ),
    "while_loop without limit": lambda w: (
        lambda x: cr.while_loop(lambda s: s < 5.9 * x * w, lambda s: s + w * x, 0.0 * x)
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", LOOPS)
def test_loops_close_over(name, backend):
    w = Var(2.0)
    f = LOOPS[name](w)
    compiled = cr.compile(f, backend=backend)
    slope = cr.compile(
        (lambda x: cr.jvp(f, (x,), (1.0,))[1]) if name == "while_loop without limit" else grad(f), backend=backend
    )
    for w.value in (2.0, 3.0):
        for call, expected, by_w in ((compiled, 9.0 * w.value, 9.0), (slope, 6.0 * w.value, 6.0)):
            result = call(1.5)
            w.zero_grad()
            result.backward()
            assert (result.value, w.grad) == (pytest.approx(expected), pytest.approx(by_w))


@pytest.mark.parametrize("backend", BACKENDS)
def test_constants_and_stopped_numbers_are_read_too(backend):
    k, w = Var(2.0, requires_grad=False), Var(2.0)

    def without_record(x):
        with cr.no_grad():
            square = w * w
        return square * x

    functions = {
        "constant": (lambda x: k * k * x, lambda k: k * k),
        "its derivatives": (lambda x: grad(lambda t: t * t * k)(3.0) * x, lambda k: 6 * k),
        "derivative at it": (lambda x: grad(lambda t: k * t * t)(k) * x, lambda k: 2 * k * k),
        "stop_gradient": (lambda x: cr.stop_gradient(w) * x, lambda k: k),
        "detach": (lambda x: w.detach() * x, lambda k: k),
        "no_grad": (without_record, lambda k: k * k),
    }
    for name, (f, expected) in functions.items():
        compiled = cr.compile(f, backend=backend)
        for k.value in (2.0, 3.0):
            w.value = k.value
            assert compiled(5.0) == pytest.approx(5.0 * expected(k.value)), name
            assert type(compiled(5.0)) is float, name


@pytest.mark.parametrize("backend", BACKENDS)
def test_conditions_on_what_is_closed_over(backend):
    w = Var(-2.0)

    def f(x, w=w):
        return cr.where(w > 0, x, -x * w) + abs(w) * x + cr.maximum(w, 0.5)

    compiled = cr.compile(lambda x: f(x, w) + grad(lambda t: cr.relu(t) * t)(w) * x, backend=backend)
    for w.value in (-2.0, 3.0):
        assert compiled(2.0).value == pytest.approx(f(2.0, w.value) + 4.0 * max(w.value, 0.0))


def _branch(x):
    return x if W > 0 else 2 * x


def _truth(x):
    return x if W else 2 * x


def _value(x):
    return W.value * x


def _order(x):
    return cr.array([W * x, x])[np.argsort(cr.array([W, 1.0]))][0]


def _rounded(x):
    return round(W, 1) * x


def _other_thread(x):
    return in_threads(lambda: x * W)[0]


def _backward(x):
    a = Var(2.0)
    (a * a).backward()
    return a.grad * x


W = Var(3.0)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (_branch, "condition"),
        (_truth, "condition"),
        (_value, r"\.value of a Var was read at .*test_compile_closures.py"),
        (_order, r"\.value was read at .*test_compile_closures.py"),
        (_rounded, r"\.value of a Var was read at .*test_compile_closures.py"),
        (_other_thread, r"traced number met Var\(3.*test_compile_closures.py.* in a thread that does not trace"),
        (_backward, r"backward was called at .*test_compile_closures.py"),
    ],
)
def test_what_would_be_frozen_is_refused(f, message):
    with pytest.raises(TraceError, match=message):
        cr.compile(f)(1.0)


@pytest.mark.parametrize("call", [cr.compile, cr.checkpoint])
def test_strict_names_what_was_recorded_as_one_operation(call):
    w = Var(2.0)
    with cr.strict(), pytest.raises(cr.NonFiniteError, match=r"log made -inf|made -inf of argument 0="):
        call(lambda x: cr.log(w * x))(0.0)


def test_numbers_of_the_functions_own_can_be_read():
    def f(x):
        a = Var(2.0)
        return a.value * x if a > 1.0 else x

    assert cr.compile(f)(3.0) == 6.0


def test_a_model_is_trained_through_its_compiled_loss():
    model, plain = nn.MLP(1, [4, 1], seed=0), nn.MLP(1, [4, 1], seed=0)

    def loss_of(model):
        return lambda x: (model([x]) - x * x) ** 2

    compiled = cr.compile(loss_of(model), batch="x", reduce="mean")
    predict = cr.compile(lambda x: model([x]))
    steps = [nn.SGD(net.parameters(), 0.1) for net in (model, plain)]
    for _ in range(5):
        losses = compiled(XS), cr.mean([loss_of(plain)(x) for x in XS])
        assert losses[0].value == pytest.approx(losses[1].value, rel=1e-12)
        for loss, step in zip(losses, steps, strict=True):
            step.zero_grad()
            loss.backward()
            step.step()
        assert [p.value for p in model.parameters()] == pytest.approx([p.value for p in plain.parameters()], rel=1e-12)
        assert predict(0.5).value == pytest.approx(plain([0.5]).value, rel=1e-12)


class Line:
    """Hold a slope, to be pickled."""

    def __init__(self):
        self.slope = Var(2.0)

    def __call__(self, x):
        return self.slope * x


def test_a_pickled_function_has_vars_of_its_own():
    line = Line()
    compiled = cr.compile(line)
    compiled(1.0)
    other = pickle.loads(pickle.dumps(compiled))
    line.slope.value = 5.0
    assert (compiled(3.0).value, other(3.0).value) == (15.0, 6.0)
    other.f.slope.value = 7.0
    assert other(3.0).value == 21.0


def test_programs_hold_what_they_close_over(tmp_path):
    w = Var(3.0, label="w")
    program = cr.trace(lambda x: w * 2.0 * x, 1.0)
    assert program.closed == (w,)
    assert str(program).splitlines()[0] == "lambda(x, w):"
    w.value = 4.0
    y = program(5.0)
    y.backward()
    assert (y.value, w.grad) == (40.0, 10.0)
    assert cr.compile(program, batch=0)(np.ones(2))[1].value == 8.0
    program.save(tmp_path / "program.json")
    loaded = type(program).load(tmp_path / "program.json")
    assert loaded(5.0, (6.0,)) == 60.0
    w.zero_grad()
    assert grad(lambda a: cr.trace(lambda x: a * w * x, 1.0)(a))(2.0).value == 16.0


def test_inside_of_a_derivative_each_call_closes_over_its_own():
    held = [None]
    compiled = cr.compile(lambda x: held[0] * x)

    def f(a):
        held[0] = a
        return compiled(3.0) * a

    for a in (2.0, 5.0):
        assert grad(f)(a) == 6.0 * a
        assert cr.compile(grad(f))(a) == 6.0 * a
