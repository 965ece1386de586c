"""Reports of compiled functions: parts compute what the whole does, and their operations are those of the code."""

import itertools
import math

import chainrule as cr
import numpy as np
import pytest
from array_programs import programs_at_samples
from chainrule.backends import buffers
from chainrule.compilation.counting import counting, operations
from chainrule.compilation.splitting import split
from chainrule.programs import Loop
from helpers import BACKENDS, same
from hypothesis import HealthCheck, given, settings

RNG = np.random.default_rng(5)


def only(report):
    (row,) = report.rows
    return row


# ---- parts ----


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(drawn=programs_at_samples())
def test_parts_of_random_programs_one_after_another_compute_what_the_whole_does(drawn):
    program, batched, samples = drawn[0], drawn[1], drawn[2]
    inputs = [item if shape else item[0] for item, shape in zip(samples[0], program.shapes, strict=True)]
    expected = program.values(inputs)
    for segment in split(program, batched):
        found = segment.program.run([expected[k] for k in segment.taken()])
        for k, value in zip(segment.gives, found, strict=True):
            numbers, wanted = (x if isinstance(x, list) else [x] for x in (value, expected[k]))
            assert all(map(same, numbers, wanted))


def test_what_is_shared_is_a_part_of_its_own():
    program = cr.compile(lambda w, x: cr.exp(w) * x + cr.sin(w), batch="x").trace(1.0, np.ones(3))
    once, each = split(program, [False, True])
    assert (once.varies, each.varies) == (False, True)
    assert (len(once.gives), len(each.shared), len(each.own)) == (2, 2, 1)


def test_views_belong_to_who_looks_through_them():
    def f(a):
        return cr.sum(a[:300] * a[100:400]) + a[0] * 2.0

    program = cr.compile(f, backend="python").trace(np.ones(1000))
    loop, rest = split(program, [False])
    assert isinstance(loop.loop, Loop) and rest.loop is None
    assert list(loop.read.values()) == [600]  # of 1,000
    assert (loop.handed, loop.returned, rest.returned) == (1, 0, 1)


# ---- operations ----


@pytest.mark.parametrize(
    ("f", "flops", "functions"),
    [
        (lambda x, y: x * y + 1.0, 2, 0),
        (lambda x, y: cr.fma(x, y, x), 2, 0),
        (lambda x, y: cr.dot([x, y, x], [y, y, y]), 5, 0),
        (lambda x, y: cr.sum([x, y, x, y]), 3, 0),
        (lambda x, y: cr.mean([x, y, x, y]), 4, 0),
        (lambda x, y: cr.where(x < y, x / y, cr.exp(x)), 3, 1),
        (lambda x, y: +x + cr.sqrt(y) ** 1.5, 1, 2),
        (lambda x, y: cr.fori_loop(0, 10, lambda k, a: a * a + y, x), 20, 0),
    ],
)
def test_operations_are_those_of_the_code(f, flops, functions):
    assert operations(cr.trace(f, 1.0, 2.0)) == (flops, functions)


def test_loops_that_end_by_a_condition_are_counted_while_they_run():
    def f(x):
        return cr.while_loop(lambda x: x < 1e3, lambda x: cr.exp(x * 0.01) + x * 2.0, x)

    def iterations(x):
        count = 0
        while x < 1e3:
            x, count = math.exp(x * 0.01) + x * 2.0, count + 1
        return count

    for backend in BACKENDS:
        count = iterations(3.0)
        row = only(cr.compile(f, backend=backend).report(3.0))
        assert (row.length, row.flops, row.functions) == (0, 4 * count, count)
        xs = np.linspace(1.0, 900.0, 37)
        count = sum(map(iterations, xs))
        row = only(cr.compile(f, batch="x", backend=backend).report(xs))
        assert (row.runs, row.flops, row.functions) == (37, 4 * count, count)


def test_loops_inside_loops_are_counted_while_they_run():
    """An inner loop of x iterations, at most 6, runs for each of five rows."""

    def f(rows, count):
        def inner(row):
            return cr.scan(lambda c, x: (c * x + 1.0, None), row, np.ones(6), length=count)[0]

        return cr.sum(cr.map(inner, rows))

    rows, counts = np.ones(5), np.array([0.0, 2.0, 3.0, 9.0])
    program = cr.trace(f, rows, 3.0)
    totals = [sum(counting(program)(rows, count)) for count in counts]
    steps = [b - a for a, b in itertools.pairwise(totals)]
    assert steps == [2 * 5 * 2, 1 * 5 * 2, 3 * 5 * 2]  # 2 operations in each further iteration of five rows


def test_calls_inside_loops_hand_their_counts_on():
    @cr.function
    def halved(x):
        return cr.while_loop(lambda x: x > 1.0, lambda x: x * 0.5, x, limit=100)

    def f(xs):
        return cr.sum(cr.map(lambda x: halved(x) + halved(x * 4.0), xs))

    xs = np.array([1.0, 2.0, 8.0])
    total = sum([2 * count for x in (1, 2, 8) for count in (math.log2(x), math.log2(4 * x))])
    own = 3 * 2 + 6 * 2  # a product and a sum of each row; after each loop, whether it reached its limit
    assert sum(counting(cr.trace(f, xs))(xs)) == total + own


# ---- reports ----


def loss(w, x, y):
    return cr.sum((cr.tanh(x @ w) - y) ** 2)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("reduce", [None, "mean"])
def test_loops_of_a_batch_have_their_flops_and_bytes(backend, reduce):
    step = cr.compile(loss, batch=("x", "y"), reduce=reduce, backend=backend)
    w, x, y = RNG.normal(size=(20, 16)), RNG.normal(size=(70, 20)), RNG.normal(size=(70, 16))
    report = step.report(w, x, y)
    assert (report.name, report.backend, report.samples) == ("loss", backend, 70)
    product = report.rows[0]
    assert (product.length, product.runs, product.flops, product.functions) == (20, 70, 70 * 2 * 20 * 16, 0)
    assert product.read == 8 * (70 * 20 + 20 * 16)
    assert product.written == 8 * 70 * 16
    assert sum(row.functions for row in report.rows) == 70 * 16
    last = report.rows[-1]
    assert last.written == 8 * (1 if reduce else 70)
    assert sum(row.share for row in report.rows) == pytest.approx(1.0)
    assert report.seconds > 0 and all(row.seconds >= 0 for row in report.rows)
    assert report.flops == sum(row.flops for row in report.rows)


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_is_a_table_in_text_and_in_html(backend):
    report = cr.compile(loss, batch=("x", "y"), backend=backend).report(
        np.ones((3, 2)), np.ones((5, 3)), np.ones((5, 2))
    )
    heading, blank, *lines = str(report).splitlines()
    assert heading.startswith(f"loss, {backend}: ") and heading.endswith(" a sample of 5") and not blank
    assert len(lines) == 1 + len(report.rows)
    assert repr(report) == str(report)
    page = report._repr_html_()
    assert page.count("<tr>") == len(lines) and page.count("<td>") == 11 * len(report.rows)
    assert "<lambda>" not in cr.compile(lambda x: x * 2.0).report(1.0)._repr_html_()


def test_samples_of_different_length_are_measured_as_they_are_run():
    def f(x, n):
        return cr.scan(lambda c, x: (c * 0.5 + x, None), 0.0, x, length=n)[0]

    step = cr.compile(f, batch=("x", "n"))
    lengths = RNG.integers(0, 300, 100).astype(float)
    _, row = step.report(RNG.normal(size=(100, 300)), lengths).rows
    assert (row.name, row.length, row.flops) == ("counted scan lambda", 300, 2 * lengths.sum())


def test_single_precision_takes_half_the_bytes():
    reports = [
        cr.compile(loss, batch=("x", "y"), reduce="sum", dtype=dtype).report(
            np.ones((20, 16)), np.ones((9, 20)), np.ones((9, 16))
        )
        for dtype in ("float64", "float32")
    ]
    double, single = ([(row.flops, row.read, row.written) for row in report.rows] for report in reports)
    assert [(flops, read // 2, written // 2) for flops, read, written in double] == single


def test_arguments_are_those_of_a_call():
    def f(data, power, count):
        return sum([data["x"] ** power for _ in range(count)])

    step = cr.compile(f, batch="data.x", static="count")
    report = step.report({"x": np.ones(4)}, 2.0, 3)
    assert (report.samples, report.rows[-1].runs) == (4, 4)
    assert step.program is not None
    w = cr.Var(3.0)
    assert only(cr.compile(lambda x: x * w).report(2.0)).flops == 1
    assert only(cr.compile(lambda x, y: x * y, threads=2).report(y=1.0, x=2.0)).read == 16


def test_integers_read_rows_and_scatter():
    def f(table, index):
        return cr.sum(cr.take(table, index) ** 2)

    index = RNG.integers(0, 50, 400)
    report = cr.compile(cr.grad(f)).report(RNG.normal(size=(50, 3)), index)
    assert report.flops >= 2 * 400 * 3  # the products and the additions to rows


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_function_that_only_moves_numbers_has_no_parts(backend):
    report = cr.compile(lambda a: (a[::-1], 3.0), backend=backend).report(np.ones(300))
    assert report.rows == () and report.flops == 0 and report.seconds > 0
    assert str(report)


def test_errors():
    with pytest.raises(TypeError, match="report expected numbers but got Vars"):
        cr.compile(lambda x: x * 2.0).report(cr.Var(1.0))
    with pytest.raises(ValueError, match="at least one sample"):
        cr.compile(lambda x: x * 2.0, batch="x").report(np.ones(0))
    with pytest.raises(ValueError, match="a program for each of its reductions"):
        cr.compile(lambda x: (x, x), batch="x", reduce=("sum", None)).report(np.ones(3))


def test_without_numpy_only_the_call_is_measured(monkeypatch):
    for name in ("np", "ARRAY", "DOUBLE"):
        monkeypatch.setattr(buffers, name, None)
    monkeypatch.setattr(buffers, "load", lambda: None)
    report = cr.compile(lambda x: x * x + 1.0, backend="python").report(2.0)
    row = only(report)
    assert (row.flops, row.read, row.written) == (2, 8, 8)
    assert math.isnan(row.seconds) and math.isnan(row.share) and report.seconds > 0
    assert "–" in str(report)
