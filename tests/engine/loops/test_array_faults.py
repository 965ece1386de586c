"""What NumPy can say of arrays and traced ones can't: it is refused, at any size, and what to write is said."""

import chainrule as cr
import numpy as np
import pytest

SMALL, LARGE = np.array([0.1, -0.2, 0.3]), np.linspace(-1.0, 1.0, 400)
BOTH = pytest.mark.parametrize("x", [SMALL, LARGE], ids=["small", "large"])


@BOTH
@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.sum(x[x > 0]),
        lambda x: np.sum(x[~np.isnan(x)]),
        lambda x: np.sum(x[(x > 0) & (x < 0.2)]),
        lambda x: np.sum(np.stack([x, x])[:, x > 0]),
        lambda x: np.sum(cr.take(np.arange(float(len(x))), x > 0)),
        lambda x: np.sum(cr.take(x, x > 0)),
    ],
    ids=["above", "not nan", "between", "of an axis", "of constants", "take"],
)
def test_a_traced_mask_is_no_index(f, x):
    with pytest.raises(cr.TraceError, match=r"indexed by traced conditions at .*test_array_faults.*chainrule\.where"):
        cr.compile(f)(x)
    with pytest.raises(cr.TraceError, match=r"chainrule\.where"):
        cr.compile(cr.grad(f))(x)


@BOTH
def test_the_advice_for_masks_is_right(x):
    value, slope = cr.compile(cr.value_and_grad(lambda x: np.sum(cr.where(x > 0, x * x, 0.0))))(x)
    assert value == pytest.approx(np.sum(x[x > 0] ** 2), rel=1e-14)
    np.testing.assert_allclose(slope, np.where(x > 0, 2 * x, 0.0), rtol=1e-15)


@BOTH
def test_known_masks_and_whole_numbers_are_indices(x):
    known = x > 0
    np.testing.assert_array_equal(cr.compile(lambda x: x[known] * 2)(x), x[known] * 2)
    np.testing.assert_array_equal(cr.compile(lambda x, i: x[i])(x, np.array([0.0, 2.0, 1.0])), x[[0, 2, 1]])
    chosen = cr.compile(lambda x: x[cr.where(x[:2] > 0, 2.0, 1.0)])(x)
    np.testing.assert_array_equal(chosen, x[np.where(x[:2] > 0, 2, 1)])


@BOTH
@pytest.mark.parametrize("dtype", [int, np.int32, np.uint8, "i8"])
def test_traced_arrays_are_not_cast_to_whole_numbers(x, dtype):
    with pytest.raises(cr.TraceError, match=r"at .*test_array_faults.*trunc"):
        cr.compile(lambda x: x.astype(dtype))(x)


@BOTH
@pytest.mark.parametrize("dtype", [bool, np.float32])
def test_traced_arrays_are_cast_to_no_other_type(x, dtype):
    with pytest.raises(cr.TraceError, match=r"holds doubles, but astype\(\w+\) .*test_array_faults"):
        cr.compile(lambda x: x.astype(dtype))(x)


@BOTH
@pytest.mark.parametrize("dtype", [float, np.float64, "f8", object])
def test_traced_arrays_are_doubles(x, dtype):
    np.testing.assert_array_equal(cr.compile(lambda x: 2 * x.astype(dtype, copy=False))(x), 2 * x)
    np.testing.assert_array_equal(cr.compile(cr.grad(lambda x: np.sum(x.astype(dtype) ** 2)))(x), 2 * x)
    np.testing.assert_array_equal(cr.compile(lambda x: cr.trunc(3 * x))(x), (3 * x).astype(int))


@BOTH
def test_a_mask_that_is_an_argument_is_no_index(x):
    for f, mask in ((lambda x, m: np.sum(x[m]), x > 0), (lambda x, own: np.sum(x[own["m"]]), {"m": x > 0})):
        compiled = cr.compile(f)
        with pytest.raises(cr.TraceError, match=r"indexed by traced conditions at .*test_array_faults"):
            compiled(x, mask)
    compiled = cr.compile(lambda x, m: np.sum(x[m]))
    places = np.array([1.0, 0.0, 1.0] * (len(x) // 3) + [0.0] * (len(x) % 3))
    assert compiled(x, places) == pytest.approx(np.sum(x[places.astype(int)]))
    with pytest.raises(cr.TraceError, match=r"chainrule\.where"):
        compiled(x, x > 0)  # also where floats came before
    assert compiled(x, places.astype(int)) == pytest.approx(np.sum(x[places.astype(int)]))


def test_a_batch_of_masks_is_no_index():
    x = np.stack([SMALL, 2 * SMALL])
    with pytest.raises(cr.TraceError, match=r"chainrule\.where"):
        cr.compile(lambda x, m: np.sum(x[m]), batch=(0, 1))(x, x > 0)
    chosen = cr.compile(lambda x, m: cr.where(m, x, -1.0), batch=(0, 1))(x, x > 0)
    np.testing.assert_array_equal(chosen, np.where(x > 0, x, -1.0))


@BOTH
def test_masks_are_arguments_as_numpy_has_them(x):
    mask, other = x > 0, np.arange(len(x)) % 2 == 0
    f = cr.compile(lambda x, m, n: (np.where(m & ~n, x * x, 0.0), x * m, np.sum(m), (m | n) * 2))
    for _ in range(2):
        found = f(x, mask, other)
        expected = np.where(mask & ~other, x * x, 0.0), x * mask, np.sum(mask), (mask | other) * 2
        for own, right in zip(found, expected, strict=True):
            np.testing.assert_allclose(own, right, rtol=1e-14)
    slope = cr.compile(cr.grad(lambda x, m: np.sum(np.where(m, x**3, x))))(x, mask)
    np.testing.assert_allclose(slope, np.where(mask, 3 * x**2, 1.0), rtol=1e-13)


@BOTH
def test_floats_after_masks_are_no_masks(x):
    f = cr.compile(lambda x, m: np.sum(x * m))
    for weights in (x > 0, np.full(len(x), 0.5), x > 0, (x > 0).astype(int) * 3):
        assert f(x, weights) == pytest.approx(np.sum(x * weights), rel=1e-12)


@pytest.mark.parametrize("backend", ["llvm", "numpy", "python"])
def test_masks_in_every_backend(backend):
    f = cr.compile(cr.value_and_grad(lambda x, m: np.sum(np.where(m, x * x, x))), backend=backend)
    value, slope = f(LARGE, LARGE > 0)
    assert value == pytest.approx(np.sum(np.where(LARGE > 0, LARGE**2, LARGE)))
    np.testing.assert_allclose(slope, np.where(LARGE > 0, 2 * LARGE, 1.0))


@BOTH
@pytest.mark.parametrize("dtype", [int, float, bool, np.float32, np.uint8])
def test_conditions_are_cast_to_numbers(x, dtype):
    f = cr.compile(lambda x, m: (np.sum((x > 0.1).astype(dtype) * x), m.astype(dtype) * x))
    total, chosen = f(x, x > 0)
    assert total == pytest.approx(np.sum(x[x > 0.1]), rel=1e-14)
    np.testing.assert_array_equal(chosen, np.where(x > 0, x, 0.0 * x))
    np.testing.assert_array_equal(cr.compile(lambda x: x[(x > 0).astype(int)])(x), x[(x > 0).astype(int)])


@pytest.mark.parametrize("backend", ["llvm", "numpy", "python"])
@BOTH
def test_a_fraction_is_no_index(x, backend):
    compiled = cr.compile(lambda x, i: x[i], backend=backend)
    places = np.array([1.0, 1.5, -1.0, -0.5, 2.0, np.nan, 1e9])
    expected = [x[1], np.nan, x[-1], np.nan, x[2], np.nan, np.nan]
    np.testing.assert_array_equal([compiled(x, i) for i in places], expected)
    np.testing.assert_array_equal(compiled(x, places), expected)
    np.testing.assert_array_equal(cr.take(x, places), expected)
    slope_of = cr.compile(cr.grad(lambda x, i: np.sum(x[i])), backend=backend)
    assert np.isnan(slope_of(x, places)).all()  # what is not there is nan by all (see test_missing_rows)
    slope = slope_of(x, places[[0, 2, 4]])
    np.testing.assert_array_equal(slope, [0.0, 1.0, 1.0, *[0.0] * (len(x) - 4), 1.0] if len(x) > 3 else [0.0, 1.0, 2.0])
    rows = cr.compile(lambda x, i, j: np.stack([x, 2 * x])[j, i], backend=backend)
    np.testing.assert_array_equal(rows(x, places, np.array(1.0)), 2 * np.array(expected))
    np.testing.assert_array_equal(rows(x, places, np.array(0.5)), [np.nan] * 7)
    batched = cr.compile(lambda i, x: x[i], batch=(0,), backend=backend)
    np.testing.assert_array_equal(batched(places, x), expected)
