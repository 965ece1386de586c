"""Operations of the user's own: broken powers in rules, what rules and values may be, any number of arguments."""

import math
import pickle

import chainrule as cr
import pytest
from chainrule import Var, viz
from chainrule.errors import TraceError
from chainrule.rewriting import rerolling, simplifying
from helpers import BACKENDS, kept_apart

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
        ((1.0, 2j), r"return a real number for each argument but got partials\[1\]=2j \(complex\); write it with"),
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


class TestTraits:
    """The traits of the user's own rows are used like those of the table's."""

    @pytest.fixture
    def near(self):
        @cr.primitive(partials=lambda z, x, y: (0.0, 0.0), compares=True, commutes=True, infix="≈")
        def near(x, y):
            return abs(x - y) < 0.01

        return near

    def test_one_that_commutes_is_computed_once(self):
        middle = cr.primitive(partials=lambda z, x, y: (0.5, 0.5), name="middle", commutes=True)(
            lambda x, y: 0.5 * (x + y)
        )
        either = cr.primitive(partials=lambda z, x, y: (0.5, 0.5), name="either")(lambda x, y: 0.5 * (x + y))
        for row, count in ((middle, 2), (either, 3)):
            program = cr.trace(lambda x, y, row=row: row(x, y) + row(y, x), 1.0, 2.0)
            assert len(simplifying.share(program).steps) == count
        for backend in BACKENDS:
            both = cr.compile(cr.value_and_grad(lambda x, y: middle(x, y) * middle(y, x)), backend=backend)
            assert both(1.0, 2.0) == (2.25, 1.5)

    def test_so_is_one_of_any_number_of_arguments(self):
        most = cr.primitive(partials=lambda z, *xs: [0.0] * len(xs), name="most", commutes=True)(lambda *xs: max(xs))
        program = cr.trace(lambda x, y, z: most(x, y, z) + most(z, x, y) + most(x, y), 1.0, 2.0, 3.0)
        assert [len(args) for op, args in simplifying.share(program).steps if op.name == "most"] == [3, 2]

    def test_one_that_compares_is_a_condition(self, near):
        def f(x, y):
            return cr.where(near(x, y) & (x > 0.0) | ~(near(x, 7.0) ^ (y != 3.0)), x * y, x)

        points = [(1.0, 1.001), (-1.0, -1.001), (7.0, 3.0), (7.0, 2.0), (1.0, 2.0), (1.0, 3.0)]
        for backend in BACKENDS:
            compiled = cr.compile(cr.value_and_grad(f), backend=backend)
            for x, y in points:
                holds = (abs(x - y) < 0.01 and x > 0.0) or (abs(x - 7.0) < 0.01) == (y != 3.0)
                assert compiled(x, y) == ((x * y, y) if holds else (x, 1.0))

    def test_a_loop_goes_on_while_it_holds(self, near):
        @cr.primitive(partials=lambda z, x: (0.0,), compares=True)
        def is_even(x):
            return x % 2 == 0

        def halved(x):
            return cr.while_loop(lambda x: is_even(x) & ~near(x, 8.0), lambda x: x / 2, x)

        for backend in BACKENDS:
            assert [cr.compile(halved, backend=backend)(x) for x in (12.0, 64.0, 5.0)] == [3.0, 8.0, 5.0]

    def test_a_choice_of_1_and_0_by_it_is_the_comparison_itself(self, near):
        program = cr.trace(lambda x, y: cr.where(near(x, y), 1.0, 0.0), 1.0, 2.0)
        assert [op for op, _ in simplifying.optimise(program).steps] == [near]

    def test_its_values_are_0_or_1(self):
        row = cr.primitive(partials=lambda z, x: (0.0,), name="half_true", compares=True)(lambda x: 0.5)
        with pytest.raises(ValueError, match=r"^primitive half_true expected evaluate to return 1 or 0, .* value=0.5"):
            row(2.0)

    def test_a_constant_that_only_weighs_may_differ_between_iterations(self):
        def leaky(**columns):
            row = cr.primitive(partials=lambda z, x, c: (1.0, 1.0), name="leaky_sum", **columns)(lambda x, c: x + c)
            program = cr.trace(lambda xs: [row(cr.sin(x), 0.5 * k) for k, x in enumerate(xs)], [1.0] * 300)
            return rerolling.recognise(program, alone=True)

        assert not leaky().has_loops
        program = leaky(any_constant=True)
        assert program.has_loops and program([0.25] * 300) == [math.sin(0.25) + 0.5 * k for k in range(300)]

    def test_loops_are_recognised_by_the_code_that_they_save(self):
        def neighbours(**columns):
            row = cr.primitive(partials=lambda z, x, y: (1.0, -1.0), name="step", **columns)(lambda x, y: x - y)
            program = cr.trace(lambda xs: [row(xs[k * k % 997], xs[k * k * k % 991]) for k in range(400)], [1.0] * 997)
            return rerolling.recognise(program, alone=True)

        assert neighbours().has_loops and not neighbours(cheap=True).has_loops

    def test_a_neuron_is_found_by_its_activation(self):
        def boxes(**columns):
            bent = cr.primitive(partials=lambda y, x: (2 * x,), name="bent", **columns)(lambda x: x * x)
            w = [Var(0.5, label=f"w[1,{k}]") for k in (1, 2)]
            xs = [Var(1.0, label="x1"), Var(2.0, label="x2")]
            root = bent(w[0] * xs[0] + w[1] * xs[1] + Var(0.1, label="b[1]"))
            return str(viz.draw(root, collapse="neuron"))

        assert "bent" in boxes() and "bent" not in boxes(activation=True)

    def test_an_operator_stands_between_its_arguments(self, near):
        x, y = Var(1.0, label="x"), Var(2.0, label="y")
        assert near.symbol == "≈"
        assert "    v2 = x ≈ v1\n" in str(cr.trace(lambda x, y: near(x, 2 * y), 1.0, 1.0))
        assert viz.formula(2 * near(x, x + y)) == "2*(x ≈ (x + y))"
        assert r"x \mathbin{\text{≈}} y" in viz.formula(near(x, y), style="latex")
        join = cr.primitive(partials=lambda z, x, y: (1.0, 1.0), name="join", infix="<+>", symbol="⊕")
        assert "v1 = x ⊕ y" in str(cr.trace(join(lambda x, y: x + y), 1.0, 1.0))

    @pytest.mark.parametrize(
        ("definition", "found"), [(lambda x: x, "1"), (lambda x, y, z: x, "3"), (lambda *xs: xs[0], "any number")]
    )
    def test_an_operator_of_other_than_two_arguments_is_refused(self, definition, found):
        with pytest.raises(ValueError, match=rf"^primitive odd expected infix='~' to stand .* has {found}; leave"):
            cr.primitive(partials=lambda y, *xs: xs, name="odd", infix="~")(definition)

    @pytest.mark.parametrize(
        ("columns", "message"),
        [
            ({"commutes": True}, r"tilted\(.*\): it commutes, but .* became"),
            ({"compares": True}, r"tilted\(.*\): it compares, but its value is .* and its partials are \[1.0, -2.0\]"),
        ],
    )
    def test_check_primitive_asks_what_a_row_says_of_itself(self, columns, message):
        row = cr.Primitive(
            "tilted", "tilted", evaluate=lambda x, y: x - 2 * y, partials=lambda z, x, y: (1.0, -2.0),
            domain=(cr.Interval(0.0, 1.0),) * 2, exact=lambda mp, x, y: x - 2 * y, **columns,
        )  # fmt: skip
        with pytest.raises(AssertionError, match=message):
            cr.testing.check_primitive(row)


class TestCode:
    """What a row's code says to backends."""

    def test_numpy_computes_it_on_arrays(self):
        np = pytest.importorskip("numpy")
        asked = []

        @cr.primitive(partials=lambda y, x: (-cr.sin(x),), name="cosine", code={"numpy": "cos"})
        def cosine(x):
            asked.append(x)
            return math.cos(x)

        xs = np.linspace(-3.0, 3.0, 500)
        compiled = cr.compile(cosine, batch="x", backend="numpy")
        assert np.allclose(compiled(xs), np.cos(xs), rtol=1e-15) and not asked

    def test_so_does_another_librarys_function(self):
        special = pytest.importorskip("scipy.special")
        np = pytest.importorskip("numpy")
        j1 = cr.primitive(partials=lambda y, x: (nan,), name="j1", code={"numpy": "scipy.special.j1"})(
            lambda x: special.j1(x)
        )
        j0 = cr.primitive(partials=lambda y, x: (-j1(x),), name="bessel0", code={"numpy": "scipy.special.j0"})(
            lambda x: special.j0(x)
        )
        xs = np.linspace(-3.0, 30.0, 500)
        value, slope = cr.compile(cr.value_and_grad(lambda x: j0(x)), batch="x", backend="numpy")(xs)
        assert np.allclose(value, special.j0(xs)) and np.allclose(slope, -special.j1(xs))
        x = Var(2.0)
        assert special.j0(x).op is j0 and x.j0().op is j0 and x.bessel0().op is j0

    def test_comparisons_of_numpys_are_numbers(self):
        np = pytest.importorskip("numpy")
        nought = cr.primitive(
            partials=lambda y, x, z: (0.0, 0.0), name="either_true", compares=True, code={"numpy": "logical_or"}
        )(lambda x, y: x != 0.0 or y != 0.0)
        compiled = cr.compile(lambda x, y: nought(x, y) + cr.where(nought(x, y), 2.0, 0.0), batch="x", backend="numpy")
        assert compiled(np.array([0.0, 2.0, nan]), 0.0).tolist() == [0.0, 3.0, 3.0]

    def test_a_name_of_the_tables_stays_the_tables(self):
        row = cr.primitive(partials=lambda y, x: (1.0,), name="my_arcsin", code={"numpy": "arcsin"})(lambda x: x)
        assert Var(0.5).arcsin().op is cr.asin and Var(0.5).my_arcsin().op is row

    @pytest.mark.parametrize("name", ["arctan2", "no_such", "where", "modf"])
    def test_a_function_that_does_not_fit_is_refused(self, name):
        pytest.importorskip("numpy")
        row = cr.primitive(partials=lambda y, x: (1.0,), name="misnamed", code={"numpy": name})(lambda x: x)
        message = rf"of misnamed to be the name of a ufunc of 1 arguments but got name='{name}'"
        with pytest.raises(cr.BackendError, match=message):
            cr.compile(row, backend="numpy")(1.0)

    @pytest.mark.parametrize("text", ["f({2})", "f({x})", "({ 1; })"])
    def test_places_that_are_none_are_refused(self, text):
        with pytest.raises(ValueError, match=r"^primitive misplaced expected code.* to have places \{0\} to \{1\}"):
            cr.primitive(partials=lambda y, a, b: (0.0, 0.0), name="misplaced", code={"c": text})(lambda a, b: a)


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
