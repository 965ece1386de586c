"""What depends on nothing but what it closes over, in compiled functions: calls, conditions, indices, bounds."""

import math

import chainrule as cr
import numpy as np
import pytest
from chainrule import Var, grad, nn

BACKENDS = ["python", "numpy", "llvm"]


def values(found):
    return np.array([getattr(x, "value", x) for x in np.ravel(np.array(found, dtype=object))], float)


# ---- calls that have no traced argument: all that they depend on, they close over ----

WRAPPERS = {
    "checkpoint": cr.checkpoint,
    "function": cr.function,
    "compile": lambda f: cr.compile(f, backend="python"),
    "checkpoint of checkpoint": lambda f: cr.checkpoint(cr.checkpoint(f)),
}

# Each is w**2, called on nothing or on a constant.
CALLED = {
    "nothing": lambda call, w: lambda: call(lambda: w * w)(),
    "a constant": lambda call, w: lambda: call(lambda x: w * w * x)(2.0) * 0.5,
    "a Var made inside": lambda call, w: lambda: call(lambda x: w * w * x)(Var(2.0)) * 0.5,
    "itself": lambda call, w: lambda: call(lambda x: x * w)(w),
    "in map": lambda call, w: lambda: cr.map(lambda t: call(lambda: w * w)() * t, [0.25, 0.75], reduce="sum"),
    "in scan": lambda call, w: (
        lambda: cr.scan(lambda c, t: (c + call(lambda: w * w)() * t, None), 0.0, [0.25, 0.75])[0]
    ),
    "in while_loop": lambda call, w: (
        lambda: (
            cr.while_loop(lambda c: c[0] < 2, lambda c: (c[0] + 1, c[1] + call(lambda: w * w)()), (0, 0.0), 3)[1] / 2
        )
    ),
    "in a derivative": lambda call, w: lambda: grad(lambda t: call(lambda: w * w)() * t)(2.0),
    "of a derivative": lambda call, w: lambda: call(lambda: grad(lambda t: w * w * t)(2.0))(),
}


@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.parametrize("called", CALLED)
def test_calls_without_traced_arguments(name, called):
    made = CALLED[called]
    w = Var(3.0)
    compiled = cr.compile(lambda z: made(WRAPPERS[name], w)() * z)
    for w.value in (3.0, -0.5):
        found = compiled(2.0)
        w.zero_grad()
        found.backward()
        assert (found.value, w.grad) == (2.0 * w.value**2, 4.0 * w.value)

    def inner(w):
        return cr.compile(lambda z: made(WRAPPERS[name], w)() * z)(2.0)

    assert (grad(inner)(3.0), cr.hessian(inner)(3.0), cr.taylor(inner, 3.0, 2)) == (12.0, 4.0, [18.0, 12.0, 2.0])
    assert cr.compile(grad(inner))(3.0) == 12.0


def test_a_model_in_a_checkpoint_is_read_at_each_call():
    model = nn.MLP(2, [3, 1], seed=1)
    point = [0.3, -0.7]
    compiled = cr.compile(lambda z: cr.checkpoint(lambda: model(point))() * z)
    for scale in (1.0, -2.0):
        for parameter in model.parameters():
            parameter.value *= scale
        model.zero_grad()
        compiled(2.0).backward()
        found = [p.grad for p in model.parameters()]
        model.zero_grad()
        (model(point) * 2.0).backward()
        assert found == pytest.approx([p.grad for p in model.parameters()], rel=1e-14)
        assert any(found)


# What decides is closed over: functions of what decides and of a number.
DECIDED = {
    "switch": (
        lambda w, z: cr.switch(w, [lambda: z, lambda: z * z, lambda: z * w]),
        lambda w, z: [z, z * z, z * w][int(w)],
    ),
    "switch with arguments": (
        lambda w, z: cr.switch(w, [abs, cr.square, lambda x: x * 3], z),
        lambda w, z: [z, z * z, 3 * z][int(w)],
    ),
    "cond": (lambda w, z: cr.cond(w, lambda: z * z, lambda: z), lambda w, z: z * z if w else z),
    "cond of computed": (
        lambda w, z: cr.cond(w - 1, lambda x: x * w, lambda x: x, z),
        lambda w, z: z * w if w - 1 else z,
    ),
    "upper bound": (
        lambda w, z: cr.fori_loop(0, w, lambda i, c: c * z + i, z, limit=4),
        lambda w, z: [z, z * z, z**3 + 1][int(w)],
    ),
    "lower bound": (
        lambda w, z: cr.fori_loop(w, 2.0, lambda i, c: c * z + w, z, limit=4),
        lambda w, z: [z**3, z * z + 1, z][int(w)],
    ),
    "carry": (lambda w, z: cr.while_loop(lambda c: c < 1.5, lambda c: c + 1, w, limit=3) * z, lambda w, z: 2.0 * z),
    "carry as condition": (lambda w, z: cr.while_loop(lambda c: c, lambda c: c - 1, w, limit=3) + z, lambda w, z: z),
    "condition": (
        lambda w, z: cr.while_loop(lambda c: c[0] < w, lambda c: (c[0] + 1, c[1] * z), (0.0, 1.0), limit=3)[1],
        lambda w, z: z ** int(w),
    ),
    "the greatest": (
        lambda w, z: cr.softmax([w, 1.0])[0] * z + cr.log_softmax([1.0, w])[1] * z,
        lambda w, z: z / (1 + math.exp(1 - w)) - z * math.log1p(math.exp(1 - w)),
    ),
    "the greatest of many": (
        lambda w, z: cr.softmax([w, *[1.0] * 63])[0] * z,
        lambda w, z: z / (1 + 63 * math.exp(1 - w)),
    ),
    "inside map": (
        lambda w, z: cr.map(lambda t: cr.switch(w, [lambda: t, lambda: t * t, lambda: t * w]), [z, 1.0], reduce="sum"),
        lambda w, z: [z, z * z, z * w][int(w)] + [1.0, 1.0, w][int(w)],
    ),
    "inside a checkpoint": (
        lambda w, z: cr.checkpoint(lambda: cr.cond(w, lambda: w * w, lambda: w))() * z,
        lambda w, z: w * w * z,
    ),
    "inside a derivative": (
        lambda w, z: grad(lambda t: cr.switch(w, [lambda: t, lambda: t * t, lambda: t * w]))(3.0) * z,
        lambda w, z: [1.0, 6.0, w][int(w)] * z,
    ),
    "a derivative's own number": (
        lambda w, z: grad(lambda t: cr.while_loop(lambda c: c < w, lambda c: c * 4, t, limit=3))(0.5) * z,
        lambda w, z: [1.0, 4.0, 4.0][int(w)] * z,
    ),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", DECIDED)
def test_what_decides_can_be_closed_over(name, backend):
    f, expected = DECIDED[name]
    w = Var(0.0)
    compiled = cr.compile(lambda z: f(w, z), backend=backend)
    for w.value in (0.0, 1.0, 2.0):
        assert values(compiled(3.0)) == pytest.approx(expected(w.value, 3.0), rel=1e-14)
        # The program sees what runs without it, derivatives too.
        eager = grad(lambda w: f(w, 3.0))(w.value)
        assert grad(lambda w: cr.compile(lambda z: f(w, z), backend=backend)(3.0))(w.value) == pytest.approx(
            eager, rel=1e-14
        )
        assert cr.compile(grad(lambda w: f(w, 3.0)), backend=backend)(w.value) == pytest.approx(eager, rel=1e-14)
        found = compiled(3.0)
        w.zero_grad()
        if type(found) is Var:
            found.backward()
        assert w.grad == pytest.approx(eager, rel=1e-14)
