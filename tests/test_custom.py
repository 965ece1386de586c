"""Operations of the user's own: broken powers in rules, what rules and values may be, any number of arguments."""

import importlib.util
import math
import pickle

import chainrule as cr
import pytest
from chainrule import Var
from chainrule.errors import TraceError
from strategies import kept_apart

BACKENDS = ["python", "numpy", *(["llvm"] if importlib.util.find_spec("llvmlite") else [])]
nan = math.nan


def same(found, expected):
    return found == pytest.approx(expected, rel=1e-14, nan_ok=True)


@cr.primitive(partials=lambda y, x: (1.5 * x**0.5,))
def three_halves(x):
    return math.pow(x, 1.5) if x >= 0.0 else nan


@cr.primitive(partials=lambda y, x, c: (cr.exp(c**0.5), (x - 3.0) ** 0.5 * c))
def shifted(x, c):
    return x * c


@cr.primitive(partials=lambda y, *xs: [2 * x for x in xs])
def squares(*xs):
    return math.fsum(x * x for x in xs)


own_rows = kept_apart(three_halves, shifted, squares)


@pytest.mark.parametrize("x", [-2.0, 0.0, 4.0])
def test_a_negative_number_to_a_broken_power_is_nan_in_rules(x):
    first, second = (1.5 * x**0.5, 0.75 * x**-0.5 if x else math.inf) if x >= 0.0 else (nan, nan)
    assert same(three_halves(Var(x)).partials[0], first)
    assert same(cr.grad(three_halves)(x), first)
    assert same(cr.jvp(three_halves, (x,), (1.0,))[1], first)
    assert same(cr.hessian(three_halves)(x), second)
    assert same(cr.taylor(three_halves, x, 2)[1:], [first, second / 2])
    for backend in BACKENDS:
        assert same(cr.compile(cr.grad(three_halves), backend=backend)(x), first)


def test_nor_is_it_complex_on_the_way_or_as_a_constant():
    partials = shifted(Var(1.0), -2.0).partials, shifted(1.0, Var(-2.0)).partials
    assert same(partials[0][0], nan) and same(partials[1][1], nan)
    slope = cr.grad(lambda x: shifted(x, -2.0))
    assert same(slope(1.0), nan) and same(cr.grad(slope)(1.0), 0.0)
    for backend in BACKENDS:
        assert same(cr.compile(slope, backend=backend)(1.0), nan)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ((None, 1.0), r"return a number for each argument but got partials\[0\]=None \(NoneType\); return 0.0 where"),
        ((1.0, "1"), r"return a number for each argument but got partials\[1\]='1' \(str\)"),
        (None, r"return a tuple of 2 partials, one for each argument, but got partials=None"),
    ],
)
def test_rules_say_what_is_wrong(found, message):
    rule = cr.primitive(partials=lambda y, a, b: found, name="wrong_rule")(lambda a, b: a + b)
    for ask in (
        lambda: rule(Var(2.0), 1.0),
        lambda: cr.grad(rule)(2.0, 1.0),
        lambda: cr.trace(cr.grad(rule), 2.0, 1.0),
    ):
        with pytest.raises(TypeError, match="^primitive wrong_rule expected its rule to " + message):
            ask()


def test_whole_numbers_are_partials():
    rule = cr.primitive(partials=lambda y, a, b: (1, True), name="whole_rule")(lambda a, b: a + b)
    assert [type(d) for d in rule(Var(2.0), Var(1.0)).partials] == [float, float]


@pytest.mark.parametrize("value", [None, 1j, "1"], ids=repr)
def test_values_say_what_is_wrong(value):
    row = cr.primitive(partials=lambda y, x: (1.0,), name="wrong_value")(lambda x: value)
    with pytest.raises(TypeError, match=r"^primitive wrong_value expected evaluate to return a float but got value="):
        row(2.0)


class TestAnyNumberOfArguments:
    def test_values_and_derivatives(self):
        assert squares(1.0) == 1.0 and squares(1.0, 2.0, 3.0) == 14.0
        assert squares(Var(1.0), 2.0, Var(3.0)).partials == (2.0, 4.0, 6.0)
        assert cr.grad(squares, argnums=(0, 1))(1.0, 2.0) == (2.0, 4.0)
        assert cr.hessian(lambda v: squares(*v))([1.0, 2.0]) == [[2.0, 0.0], [0.0, 2.0]]
        assert cr.taylor(lambda t: squares(t, 1.0, t), 1.0, 2) == [3.0, 4.0, 2.0]

    @pytest.mark.parametrize("backend", BACKENDS)
    def test_several_counts_in_one_program(self, backend):
        compiled = cr.compile(cr.value_and_grad(lambda v: squares(*v) + squares(v[0], 2.0)), backend=backend)
        assert compiled([1.0, 2.0, 3.0]) == (19.0, [4.0, 4.0, 6.0])

    def test_files_and_pickles(self, tmp_path):
        program = cr.trace(lambda v: squares(*v), [1.0, 2.0])
        program.save(tmp_path / "program.json")
        for again in (cr.Program.load(tmp_path / "program.json"), pickle.loads(pickle.dumps(program))):
            assert again == program and again([3.0, 4.0]) == 25.0

    def test_names_and_counts(self):
        with pytest.raises(TypeError, match=r"^squares expected at least 1 argument but got 0$"):
            squares()
        with pytest.raises(TypeError, match=r"^squares expected a float or Var but got x1='2' \(str\)"):
            squares(1.0, "2")
        row = cr.primitive(partials=lambda y, a, *xs: (1.0, *[0.0] * len(xs)), name="first_of")(lambda a, *xs: a)
        assert row(Var(3.0), 1.0, 2.0).op.argument_names == ("a", "x1", "x2")
        with pytest.raises(TypeError, match="expected its rule to return a tuple of 2 partials"):
            cr.primitive(partials=lambda y, *xs: (1.0,), name="short_rule")(lambda *xs: 1.0)(Var(1.0), Var(2.0))

    def test_numbers_by_name_are_refused(self):
        with pytest.raises(TypeError, match=r"^primitive keyed expected evaluate to take numbers by position"):
            cr.primitive(partials=lambda y, x: (1.0,), name="keyed")(lambda x, *, k: x)


# ---- rules that close over numbers ----


@pytest.fixture
def forgetting():
    """Take the rows that a test makes out of the table afterwards."""
    known = set(cr.PRIMITIVES)
    yield
    for name in cr.PRIMITIVES.keys() - known:
        del cr.PRIMITIVES[name]


def _times(w):
    """Return x**2 and x * y as rows whose rules (not whose values) have a factor that is closed over."""

    @cr.primitive(partials=lambda y, x: (2 * x * w,))
    def scaled_square(x):
        return x * x

    @cr.primitive(partials=lambda z, *xs: [w * w * xs[1 - k] for k in range(2)])
    def scaled_product(*xs):
        return xs[0] * xs[1]

    return scaled_square, scaled_product


@pytest.mark.usefixtures("forgetting")
def test_rules_close_over_numbers_that_are_differentiated_by():
    def slope(w, derive=cr.grad):
        square, product = _times(w)
        return derive(lambda x: square(x) * 3.0 + product(x, 5.0) * 2.0 + product(x, 3 * x))(2.0)  # 12 w + 22 w**2

    def forward(w):
        return slope(w, lambda f: lambda x: cr.jvp(f, x, 1.0)[1])

    def series(w):
        return slope(w, lambda f: lambda x: cr.taylor(f, x, 1)[1])

    for f in (slope, forward, series):
        assert (f(2.0), cr.grad(f)(2.0), cr.hessian(f)(2.0)) == (112.0, 100.0, 44.0)
        assert cr.taylor(f, 2.0, 2) == [112.0, 100.0, 22.0]
        assert cr.jvp(f, 2.0, 1.0) == (112.0, 100.0)
        assert cr.grad(cr.checkpoint(f))(2.0) == cr.grad(cr.compile(f, backend="python"))(2.0) == 100.0
        for backend in BACKENDS:
            assert cr.compile(f, backend=backend)(2.0) == 112.0
            assert cr.compile(cr.grad(f), backend=backend)(2.0) == 100.0
    # The value is that of `evaluate`, which closes over nothing.
    assert cr.grad(lambda w: _times(w)[0](Var(3.0)) * w)(2.0) == 9.0
    assert cr.taylor(lambda w: _times(w)[0](Var(3.0)) * w, 2.0, 2) == [18.0, 9.0, 0.0]


@pytest.mark.usefixtures("forgetting")
@pytest.mark.parametrize("backend", BACKENDS)
def test_compiled_rules_read_what_they_close_over(backend):
    w = Var(1.0)
    square, product = _times(w)
    compiled = cr.compile(lambda z: cr.grad(lambda x: square(x) + product(x, z))(2.0) * z, backend=backend)
    for w.value in (1.0, 3.0):
        found = compiled(5.0)
        w.zero_grad()
        found.backward()
        assert (found.value, w.grad) == (5 * (4 * w.value + 5 * w.value**2), 5 * (4 + 10 * w.value))


@pytest.mark.usefixtures("forgetting")
def test_rules_in_traced_loops_take_arguments_only():
    def slope(w):
        square, _ = _times(w)
        return cr.grad(lambda x: cr.map(lambda t: square(t * x), [1.0, 2.0, 3.0], reduce="sum"))(1.0)

    assert (slope(2.0), cr.grad(slope)(2.0)) == (56.0, 28.0)
    with pytest.raises(TraceError, match="what the rule of a row takes into a loop has to be an argument of the row"):
        cr.compile(slope)(2.0)


@pytest.mark.usefixtures("forgetting")
def test_nodes_of_rules_that_close_over_numbers():
    w, x = Var(3.0), Var(2.0)
    square, _ = _times(w)
    for y in (square(x), pickle.loads(pickle.dumps([x, square(x)]))[1]):
        y.backward()
        assert (y.value, y.parents[0].grad, w.grad) == (4.0, 12.0, 0.0)
    assert square(Var(2.0)).op is not square
    w.requires_grad = False
    assert square(Var(2.0)).op is square
