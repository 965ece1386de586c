"""Every row against its definition; no operation is named here, so a new row is tested without a new line."""

import itertools
import math

import chainrule
import pytest
from chainrule import PRIMITIVES, Var
from chainrule.graph.var import local_partials
from chainrule.operations import table
from chainrule.operations.primitive import Reduction
from chainrule.testing import check_primitive, sample
from helpers import ROWS, SPECIAL, special_points
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("seed", range(4))
def test_value_and_first_partials_equal_mpmath(row, seed):
    assert check_primitive(row, sample(row, 10, seed), order=1) >= 10


@pytest.mark.parametrize("row", ROWS)
def test_second_partials_through_the_rule_equal_mpmath(row):
    check_primitive(row, sample(row, 6, seed=9), order=2)


@pytest.mark.parametrize("row", ROWS)
def test_is_total(row):
    """No float makes a row or its rule raise: IEEE values come instead."""
    for point in special_points(row.arity):
        value = row.evaluate(*point)
        assert type(value) is float
        assert len(local_partials(row, value, point)) == row.arity


@pytest.mark.parametrize("row", ROWS)
@given(data=st.data())
def test_var_and_float_agree(row, data):
    point = [data.draw(st.floats()) for _ in range(row.arity)]
    plain = row.apply(tuple(point))
    recorded = row.apply(tuple(Var(x) for x in point))
    assert recorded.op is row
    assert recorded.value == plain or (math.isnan(recorded.value) and math.isnan(plain))


@pytest.mark.parametrize("row", ROWS)
def test_records_partials_and_parents(row):
    (point,) = sample(row, 1)
    xs = [Var(x) for x in point]
    node = row.apply(tuple(xs))
    assert all(parent is x for parent, x in zip(node.parents, xs, strict=True))
    assert list(node.partials) == list(local_partials(row, node.value, point))
    node.backward()
    assert [x.grad for x in xs] == list(node.partials)


@pytest.mark.parametrize("row", ROWS)
def test_commutes_where_both_orders_give_the_same_bits(row):
    if row.arity != 2 or isinstance(row, Reduction) or row.domain[0].integers:
        assert not row.commutes
        return
    points = [*itertools.product(SPECIAL, repeat=2), *sample(row, 200), *[(x, -x) for x, _ in sample(row, 20)]]
    values = [(row.evaluate(x, y), row.evaluate(y, x)) for x, y in points]
    same = all(a.hex() == b.hex() or (math.isnan(a) and math.isnan(b)) for a, b in values)
    assert row.commutes == same


@pytest.mark.parametrize("row", ROWS)
def test_compares_where_values_are_0_or_1_and_no_derivative_is(row):
    points = [*itertools.product(SPECIAL, repeat=row.arity)][:400] + sample(row, 20)
    values = [row.evaluate(*point) for point in points]
    partials = [local_partials(row, value, point) for value, point in zip(values, points, strict=True)]
    assert row.compares == ({0.0, 1.0}.issuperset(values) and not any(map(any, partials)))


@pytest.mark.parametrize("row", [param for param in ROWS if param.values[0].infix])
def test_the_infix_is_pythons_operator(row):
    between = eval(f"lambda x, y: x {row.infix} y")
    for x, y in [(-7.5, 2.0), (3.0, 3.0), (0.25, 8.0), (-2.0, 3.0)]:
        assert between(x, y) == row.evaluate(x, y)
        recorded = between(Var(x), Var(y))
        assert row.compares or recorded.op is row


@pytest.mark.parametrize("row", ROWS)
def test_is_exported_under_its_name_and_documented(row):
    assert getattr(table, row.name) is row
    assert getattr(chainrule, row.name) is row
    assert row.__doc__.endswith(".") and "\n" not in row.__doc__
    assert len(row.argument_names) == row.arity or isinstance(row, Reduction)


def test_all_is_the_list_of_rows():
    assert table.__all__ == sorted(table.__all__)
    assert set(table.__all__) == {name for name, row in PRIMITIVES.items() if not row.custom}
