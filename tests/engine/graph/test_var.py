"""Var as a number: operators, comparisons, NumPy, labels, errors, copies."""

import copy
import math
import pickle
import threading

import chainrule as cr
import numpy as np
import pytest
from chainrule import GraphError, Var, no_grad
from chainrule.graph.var import local_partials
from helpers import same
from hypothesis import given
from hypothesis import strategies as st

BINARY = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "div": lambda x, y: x / y,
    "pow": lambda x, y: x**y,
    "remainder": lambda x, y: x % y,
    "floor_divide": lambda x, y: x // y,
}
UNARY = {"neg": lambda x: -x, "abs": abs, "floor": math.floor, "ceil": math.ceil, "trunc": math.trunc, "round": round}
EDGES = [0.0, -0.0, 1.0, -2.0, 0.5, 3.0, 1e-300, 1e300, math.inf, -math.inf, math.nan]
numbers = st.one_of(st.floats(), st.sampled_from(EDGES))


class TestOperators:
    """Arithmetic is spelled in var.py for speed; each spelling equals its row, whichever side is a Var."""

    @pytest.mark.parametrize("name", BINARY)
    @given(x=numbers, y=numbers)
    def test_both_sides(self, name, x, y):
        row = cr.PRIMITIVES[name]
        value = row.evaluate(x, y)
        dx, dy = local_partials(row, value, [x, y])
        for left, right, expected in ((Var(x), Var(y), (dx, dy)), (Var(x), y, (dx, 0.0)), (x, Var(y), (0.0, dy))):
            node = BINARY[name](left, right)
            assert node.op is row
            assert same(node.value, value)
            assert all(map(same, node.partials, expected)), (node.partials, expected)
            assert [parent.value for parent in node.parents] == [x, y] or math.isnan(x) or math.isnan(y)

    @pytest.mark.parametrize("name", UNARY)
    @given(x=numbers)
    def test_one_argument(self, name, x):
        node = UNARY[name](Var(x))
        assert node.op is cr.PRIMITIVES[name]
        assert same(node.value, node.op.evaluate(x))

    def test_plus_is_the_same_object(self):
        x = Var(1.0)
        assert +x is x

    def test_integers_stay_exact(self):
        assert (Var(2) * 3).value == 6.0 and (7 - Var(2)).value == 5.0 and (2 ** Var(3)).value == 8.0

    def test_divmod(self):
        assert [v.value for v in divmod(Var(-7.0), 3)] == [-3.0, 2.0]
        assert [v.value for v in divmod(7, Var(-3.0))] == [-3.0, -2.0]

    def test_round_to_digits_is_a_constant(self):
        rounded = round(Var(2.675), 2)
        assert rounded.value == 2.67 and not rounded.requires_grad

    def test_builtin_sum_makes_a_chain(self):
        xs = [Var(1.0), Var(2.0), Var(3.0)]
        total = sum(x * x for x in xs)
        total.backward()
        assert total.value == 14.0 and [x.grad for x in xs] == [2.0, 4.0, 6.0]

    @pytest.mark.parametrize("wrong", ["1", None, [1.0], 1j, object()])
    def test_other_types_are_refused(self, wrong):
        for operation in BINARY.values():
            with pytest.raises(TypeError):
                operation(Var(1.0), wrong)
            if not isinstance(wrong, str):  # "text" % x is string formatting
                with pytest.raises(TypeError):
                    operation(wrong, Var(1.0))

    def test_a_class_of_its_own_may_take_over(self):
        class Other:
            def __radd__(self, left):
                return "taken"

        assert Var(1.0) + Other() == "taken"

    def test_constant_is_one_node_in_every_walk(self):
        y = Var(2.0) * 5
        assert y.parents[1] is y.parents[1]
        assert y.parents[1].value == 5.0 and not y.parents[1].requires_grad
        y.backward()
        assert y.parents[0].grad == 5.0


class TestComparisons:
    def test_by_value(self):
        x, y = Var(1.0), Var(2.0)
        assert x < y and x <= y and y > x and y >= x and x != y and x == Var(1.0) and x == 1 and x == 1 and x > 0
        assert (x == "1") is False and (x != None) is True  # noqa: E711
        assert Var(math.nan) != Var(math.nan)
        with pytest.raises(TypeError):
            x < "1"  # noqa: B015

    def test_hash_is_identity(self):
        x, y = Var(1.0), Var(1.0)
        assert len({x, y}) == 2 and x in {x}

    def test_truth_is_nonzero(self):
        assert Var(0.5) and not Var(0.0)

    def test_max_and_sorted_work(self):
        xs = [Var(2.0), Var(1.0)]
        assert max(xs) is xs[0] and sorted(xs)[0] is xs[1]


class TestErrors:
    def test_reading_a_var_as_a_float_is_refused(self):
        for read in (float, int, complex, math.sin):
            with pytest.raises(
                TypeError, match=r"expected a number but got x=Var\(2.0, grad=0.0\) \(Var\); use .value"
            ):
                read(Var(2.0))

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ("1", r"^Var expected a number but got value='1' \(str\); convert it with float\(\)$"),
            (1j, r"^Var expected a number but got value=1j \(complex\)$"),
            ([1], r"^Var expected a number but got value=\[1\] \(list\); make one Var for each number$"),
            (None, r"^Var expected a number but got value=None \(NoneType\)"),
            (np.array([1.0]), "make one Var for each number$"),
        ],
    )
    def test_var_of_something_else(self, wrong, message):
        with pytest.raises(TypeError, match=message):
            Var(wrong)

    def test_var_of_var(self):
        with pytest.raises(TypeError, match=r"use \.value for its number, or the Var itself"):
            Var(Var(1.0))

    def test_label_must_be_text(self):
        with pytest.raises(TypeError, match=r"Var expected a str or None as label but got label=1 \(int\)"):
            Var(1.0, label=1)
        with pytest.raises(TypeError, match="label expected a str or None"):
            Var(1.0).label = 1

    def test_assigning_to_a_computed_var(self):
        y = Var(1.0) + 1
        with pytest.raises(
            AttributeError, match="value expected a leaf Var to assign to but got a Var computed by 'add'"
        ):
            y.value = 2.0
        with pytest.raises(AttributeError, match="requires_grad expected a leaf Var to assign to"):
            y.requires_grad = False
        assert y.value == 2.0

    def test_assigning_what_is_no_number(self):
        x = Var(1.0)
        with pytest.raises(TypeError, match="Var expected a number but got value='2'"):
            x.value = "2"
        with pytest.raises(TypeError, match="grad expected a float or Var but got grad=None"):
            x.grad = None
        assert x.value == 1.0 and x.grad == 0.0

    def test_unknown_attribute(self):
        with pytest.raises(AttributeError, match="'Var' object has no attribute 'sine'"):
            Var(1.0).sine()

    def test_backward_where_nothing_requires_grad(self):
        with pytest.raises(GraphError, match="backward expected a Var that requires grad but got Var"):
            Var(1.0, requires_grad=False).backward()
        with pytest.raises(TypeError, match=r"backward expected a float or Var but got seed='1'"):
            Var(1.0).backward(seed="1")


class TestSelf:
    def test_repr(self):
        assert repr(Var(2.0)) == "Var(2.0, grad=0.0)"
        assert repr(Var(2, label="x")) == "Var(2.0, grad=0.0, label='x')"

    def test_format(self):
        assert f"{Var(2.0):.3f}" == "2.000" and f"{Var(2.0)}" == "Var(2.0, grad=0.0)"

    def test_leaf_and_op(self):
        x = Var(1.0)
        y = x.exp()
        assert x.is_leaf and x.op is None and x.parents == () and x.partials == ()
        assert not y.is_leaf and y.op is cr.exp and y.parents[0] is x

    def test_every_one_argument_function_is_a_method(self):
        x = Var(0.5)
        for name, row in cr.PRIMITIVES.items():
            if row.arity == 1 and not row.custom:
                method = getattr(x, name)()
                assert method.op is row or not method.requires_grad
                assert name in dir(x) or name not in dir(cr)

    def test_detach_cuts(self):
        x = Var(3.0, label="x")
        y = x.detach() * x
        y.backward()
        assert x.grad == 3.0 and x.detach().label == "x" and not x.detach().requires_grad

    def test_value_may_change_without_changing_a_recorded_graph(self):
        x = Var(3.0)
        y = x * x
        x.value = 100.0
        y.backward()
        assert y.value == 9.0 and x.grad == 6.0


class TestNumPy:
    def test_functions_on_a_var(self):
        x = Var(0.5)
        for ours, theirs in (
            (cr.sin, np.sin),
            (cr.asin, np.arcsin),
            (cr.round, np.rint),
            (cr.radians, np.deg2rad),
            (cr.abs, np.abs),
        ):
            assert theirs(x).op is ours
        assert np.hypot(x, 1.0).op is cr.hypot and np.maximum(0.0, x).op is cr.maximum

    def test_functions_on_object_arrays(self):
        xs = np.array([Var(0.1), Var(0.2)])
        total = np.sum(np.arctan(np.exp(xs)) * np.sqrt(xs))
        total.backward()
        expected = [
            math.exp(x) / (1 + math.exp(2 * x)) * math.sqrt(x) + math.atan(math.exp(x)) / (2 * math.sqrt(x))
            for x in (0.1, 0.2)
        ]
        assert [x.grad for x in xs] == pytest.approx(expected, rel=1e-14)

    def test_numpy_scalars_on_the_left(self):
        x = Var(3.0)
        for scalar in (np.float64(2), np.float32(2), np.int64(2), np.array(2.0)):
            for result in (scalar * x, x * scalar, scalar + x, scalar**x, scalar / x):
                assert type(result) is Var, (type(scalar), result)

    def test_arrays_broadcast(self):
        x = Var(3.0)
        for result in (np.array([1.0, 2.0]) * x, x * np.array([1.0, 2.0]), np.maximum(np.array([1.0, 4.0]), x)):
            assert result.shape == (2,) and all(type(item) is Var for item in result)
        assert (np.array([1.0, 5.0]) < x).tolist() == [True, False]

    def test_dot_and_matmul(self):
        w = np.array([[Var(1.0), Var(2.0)], [Var(3.0), Var(4.0)]])
        y = (w @ np.array([1.0, 10.0])).sum()
        y.backward()
        assert y.value == 64.0 and [v.grad for v in w.ravel()] == [1.0, 10.0, 1.0, 10.0]

    def test_no_silent_conversion(self):
        with pytest.raises(TypeError, match=r"\.value|float\(\) argument|use .value"):
            np.array([Var(1.0)], dtype=float)

    def test_what_numpy_has_and_we_lack_is_refused(self):
        with pytest.raises(TypeError):
            np.nextafter(Var(1.0), 2.0)


class TestNoGrad:
    def test_records_nothing(self):
        x = Var(2.0)
        with no_grad():
            y = x * x + x.sin() + cr.dot([x], [x])
        assert y.is_leaf and not y.requires_grad
        assert (x * x).requires_grad

    def test_nests_and_survives_errors(self):
        x = Var(2.0)
        with no_grad():
            with no_grad():
                pass
            assert not (x * x).requires_grad
        with pytest.raises(KeyError), no_grad():
            raise KeyError
        assert (x * x).requires_grad

    def test_as_decorator(self):
        @no_grad()
        def predict(x):
            return x * 2

        assert not predict(Var(1.0)).requires_grad and not predict(Var(1.0)).requires_grad

    def test_is_per_thread(self):
        x = Var(2.0)
        recorded = []
        with no_grad():
            thread = threading.Thread(target=lambda: recorded.append((x * x).requires_grad))
            thread.start()
            thread.join()
        assert recorded == [True]


class TestRequiresGrad:
    def test_constants_get_no_gradient(self):
        x, c = Var(2.0), Var(3.0, requires_grad=False)
        y = x * c
        y.backward()
        assert x.grad == 3.0 and c.grad == 0.0 and y.parents[1] is c

    def test_constants_only_make_a_constant(self):
        y = Var(1.0, requires_grad=False) + 1
        assert y.is_leaf and not y.requires_grad

    def test_can_be_set_on_a_leaf(self):
        x = Var(1.0)
        x.requires_grad = False
        assert not (x * 2).requires_grad


class TestCopies:
    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])
    def test_graph_survives(self, copied):
        x, y = Var(2.0, label="x"), Var(3.0)
        z = (x * y + 4) * x + cr.dot([x, y, 1.0], [y, 2.0, x])
        z.backward()
        twin = copied(z)
        assert twin.value == z.value and twin.op is z.op and twin is not z
        leaves = find_leaves(twin)
        assert sorted(leaf.grad for leaf in leaves) == sorted([x.grad, y.grad])
        twin.backward()
        assert sorted(leaf.grad for leaf in leaves) == sorted([2 * x.grad, 2 * y.grad])

    def test_leaves_stay_shared_within_one_pickle(self):
        x = Var(2.0)
        twin_x, twin_y = pickle.loads(pickle.dumps((x, x * x)))
        twin_y.backward()
        assert twin_x.grad == 4.0

    def test_shallow_copy_keeps_the_leaves(self):
        x = Var(2.0)
        y = copy.copy(x * x)
        y.backward()
        assert x.grad == 4.0
        assert copy.copy(x) is not x


def find_leaves(root):
    found, stack = [], [root]
    while stack:
        node = stack.pop()
        if node.is_leaf and node.requires_grad and not any(node is leaf for leaf in found):
            found.append(node)
        stack.extend(node.parents)
    return found


@pytest.mark.parametrize("row", [cr.sum, cr.mean, cr.norm, cr.logsumexp], ids=lambda row: row.name)
def test_a_reduction_of_one_number_has_one_argument(row):
    x = Var(2.0)
    y = row([x])
    assert y.args == y.parents == (x,)
    assert len(y.partials) == 1
    y.backward()
    assert x.grad == 1.0
