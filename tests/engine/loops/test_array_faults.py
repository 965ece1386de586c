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
    with pytest.raises(cr.TraceError, match=r"test_array_faults"):
        cr.compile(lambda x: x.astype(dtype))(x)


@BOTH
@pytest.mark.parametrize("dtype", [float, np.float64, "f8", object])
def test_traced_arrays_are_doubles(x, dtype):
    np.testing.assert_array_equal(cr.compile(lambda x: 2 * x.astype(dtype, copy=False))(x), 2 * x)
    np.testing.assert_array_equal(cr.compile(cr.grad(lambda x: np.sum(x.astype(dtype) ** 2)))(x), 2 * x)
    np.testing.assert_array_equal(cr.compile(lambda x: cr.trunc(3 * x))(x), (3 * x).astype(int))
