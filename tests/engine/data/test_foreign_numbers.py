"""Numbers of other libraries: what holds plain numbers is read everywhere, the rest is refused by name."""

import array
import decimal
import fractions
import functools
import math

import chainrule as cr
import numpy as np
import pytest
from chainrule import Var, nn
from helpers import BACKENDS


class Half:
    """An array type whose dtype NumPy does not know, such as JAX's bfloat16."""

    shape = ()

    class dtype:
        kind = "V"

    def item(self):
        return 2.5


def torch():
    return pytest.importorskip("torch")


def pandas():
    return pytest.importorskip("pandas")


def jax():
    return pytest.importorskip("jax.numpy")


ONE = {  # each holds 2.5
    "int-like": lambda: np.float32(2.5),
    "array": lambda: np.array(2.5),
    "float16": lambda: np.float16(2.5),
    "longdouble": lambda: np.longdouble(2.5),
    "decimal": lambda: decimal.Decimal("2.5"),
    "fraction": lambda: fractions.Fraction(5, 2),
    "unmasked": lambda: np.ma.array(2.5),
    "half": Half,
    "torch": lambda: torch().tensor(2.5),
    "torch double": lambda: torch().tensor(2.5, dtype=torch().float64),
    "torch bfloat16": lambda: torch().tensor(2.5, dtype=torch().bfloat16),
    "jax": lambda: jax().array(2.5),
    "jax bfloat16": lambda: jax().array(2.5, dtype=jax().bfloat16),
    "pandas": lambda: pandas().Series([2.5]).iloc[0],
}

NO_NUMBER = {
    "torch with gradient": lambda: torch().tensor(2.0, requires_grad=True),
    "torch complex": lambda: torch().tensor(2j),
    "masked": lambda: np.ma.masked,
    "masked 0-d": lambda: np.ma.array(2.0, mask=True),
    "complex": lambda: np.complex128(1.0),
    "time": lambda: np.datetime64("2020-01-01"),
    "span": lambda: np.timedelta64(5, "ns"),
    "text": lambda: np.array("a"),
    "NA": lambda: pandas().NA,
    "NaT": lambda: pandas().NaT,
    "signalling nan": lambda: decimal.Decimal("sNaN"),
    "bytes": lambda: b"a",
    "set": lambda: {1.0},
}

SEVERAL = {  # each holds 1 and 2
    "array": lambda: np.array([1.0, 2.0]),
    "whole": lambda: np.array([1, 2], np.int8),
    "objects": lambda: np.array([1, fractions.Fraction(2)], object),
    "unmasked": lambda: np.ma.array([1.0, 2.0]),
    "mask of none": lambda: np.ma.array([1.0, 2.0], mask=[False, False]),
    "memoryview": lambda: memoryview(array.array("d", [1.0, 2.0])),
    "memoryview of ints": lambda: memoryview(array.array("i", [1, 2])),
    "array.array": lambda: array.array("f", [1.0, 2.0]),
    "torch": lambda: torch().tensor([1.0, 2.0]),
    "torch ints": lambda: torch().tensor([1, 2]),
    "torch bfloat16": lambda: torch().tensor([1.0, 2.0], dtype=torch().bfloat16),
    "jax": lambda: jax().array([1.0, 2.0]),
    "jax bfloat16": lambda: jax().array([1.0, 2.0], dtype=jax().bfloat16),
    "series": lambda: pandas().Series([1.0, 2.0], index=[7, 8]),
    "series of Int64": lambda: pandas().Series([1, 2], dtype="Int64"),
    "index": lambda: pandas().Index([1.0, 2.0]),
}

NO_NUMBERS = {
    "torch with gradient": lambda: torch().tensor([1.0, 2.0], requires_grad=True),
    "torch complex": lambda: torch().tensor([1j, 2j]),
    "torch sparse": lambda: torch().tensor([1.0, 2.0]).to_sparse(),
    "masked": lambda: np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False]),
    "complex": lambda: np.array([1j, 2.0]),
    "times": lambda: np.array(["2020-01-01"], "datetime64[D]"),
    "texts": lambda: np.array(["a", "b"]),
    "nothing": lambda: np.array([None, None]),
    "series of texts": lambda: pandas().Series(["a", "b"]),
    "frame with texts": lambda: pandas().DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}),
    "bytes": lambda: memoryview(b"ab").cast("c"),
}


def squares(x):
    return cr.sum([item * item for item in x])


def uses_of_one(x):
    yield lambda: cr.grad(lambda x: x * x)(x) / 2.0
    yield lambda: cr.jvp(lambda x: x, x, 1.0)[0]
    yield lambda: cr.taylor(lambda x: x, x, 1)[0]
    yield lambda: cr.checkpoint(lambda x: x * 1.0)(x)
    yield lambda: Var(x).value
    yield lambda: cr.add(x, 0.0)
    yield lambda: cr.maximum(Var(0.0), x).value
    yield lambda: cr.sum([x])
    yield lambda: cr.scan(lambda c, y: (c, None), x, [1.0])[0]
    yield lambda: math.sqrt(nn.mse([Var(0.0)], [x]).value)
    yield from [functools.partial(cr.compile(lambda x: x * 1.0, backend=backend), x) for backend in BACKENDS]


def uses_of_several(x):
    yield lambda: cr.grad(squares)(x)[1] - 2.0
    yield lambda: cr.vjp(squares, x)[1](1.0)[0][1] - 2.0
    yield lambda: cr.checkpoint(squares)(x) - 3.0
    yield lambda: cr.map(lambda y: y * 1.0, x)[1]
    yield lambda: cr.map(lambda pair: pair[0] * pair[1]["k"], (x, {"k": x}))[1] - 2.0
    yield lambda: cr.scan(lambda c, y: (y, None), 0.0, x)[0]
    for backend in BACKENDS:
        yield functools.partial(lambda f: f(x) - 3.0, cr.compile(squares, backend=backend))
        yield functools.partial(lambda f: f(x)[1], cr.compile(lambda x: x * 1.0, batch="x", backend=backend))
        if getattr(x, "dtype", None) is not np.dtype(object):
            yield functools.partial(
                lambda f: f((x, x))[1], cr.compile(lambda x: x[0] * 1.0, batch="x", backend=backend)
            )


@pytest.mark.parametrize("kind", ONE)
def test_one_number_is_read(kind):
    x = ONE[kind]()
    for use in uses_of_one(x):
        found = use()
        assert type(found) is float and found == 2.5
    if kind not in ("half", "unmasked"):
        assert (Var(2.0) * x).value == 5.0 and (Var(2.0) < x)


@pytest.mark.parametrize("kind", NO_NUMBER)
def test_what_is_no_number_is_named(kind):
    x = NO_NUMBER[kind]()
    for use in uses_of_one(x):
        with pytest.raises((TypeError, ValueError), match=r"expected .* but got .*=.* \(\w+\)"):
            use()
    if "gradient" in kind:
        with pytest.raises(TypeError, match=r"sin expected .* which PyTorch differentiates by; pass its detach\(\)"):
            cr.sin(x)


@pytest.mark.parametrize("kind", SEVERAL)
def test_several_numbers_are_read(kind):
    x = SEVERAL[kind]()
    for use in uses_of_several(x):
        assert float(use()) == 2.0


@pytest.mark.parametrize("kind", NO_NUMBERS)
def test_what_holds_no_plain_numbers_is_named(kind):
    x = NO_NUMBERS[kind]()
    for use in uses_of_several(x):
        with pytest.raises((TypeError, ValueError), match=r"expected .* but got .*"):
            use()


def test_a_mask_is_never_ignored():
    x = NO_NUMBERS["masked"]()
    for use in uses_of_several(x):
        with pytest.raises(TypeError, match=r"of which 1 are masked; fill them with filled\(number\), or drop them"):
            use()


def test_networks_read_and_refuse_the_same():
    model = nn.MLP(2, [1], seed=0)
    expected = list(model.predict([[1.0, 2.0]]))
    for X in (memoryview(np.array([[1.0, 2.0]])), [array.array("d", [1.0, 2.0])], pandas().DataFrame([[1.0, 2.0]])):
        assert list(model.predict(X)) == expected
    for X in (np.ma.array([[1.0, 2.0]], mask=[[False, True]]), NO_NUMBERS["torch with gradient"]()):
        with pytest.raises(TypeError, match=r"expected plain numbers but got X=.*fill them|detach"):
            model.predict(X)
        with pytest.raises(TypeError, match=r"expected plain numbers but got X=.*fill them|detach"):
            nn.fit(model, X, [1.0], epochs=1)


def test_frames_are_arrays_of_their_rows():
    frame = pandas().DataFrame({"a": [1.0, 2.0], "b": [3, 4]}, index=["p", "q"])
    assert cr.grad(lambda x: (x * x).sum())(frame).tolist() == [[2.0, 6.0], [4.0, 8.0]]
    assert cr.compile(lambda row: row[0] * row[1], batch="row")(frame).tolist() == [3.0, 8.0]
    assert cr.map(lambda row: row[0] * row[1], frame).tolist() == [3.0, 8.0]
    assert cr.map(lambda x: x[0] + x[1][1], (frame["a"], frame)).tolist() == [4.0, 6.0]


@pytest.mark.parametrize("number", [decimal.Decimal("1e400"), fractions.Fraction(10**400), 10**400])
def test_numbers_beyond_doubles_are_named(number):
    for use in (cr.sin, Var, cr.grad(cr.sin), cr.compile(cr.sin)):
        with pytest.raises(OverflowError, match="expected a number within the range of doubles but got"):
            use(number)
    assert cr.add(decimal.Decimal("-inf"), 0.0) == -math.inf
