"""NumPy's functions that are not ufuncs, for Arrays: choices, orders, quantiles, norms and moments.

Who needs Arrays imports this module, which has what arrays.py has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..data import is_symbolic
from . import table
from .arrays import Array as Array
from .arrays import apply_function as apply_function
from .arrays import apply_ufunc as apply_ufunc
from .arrays import array, plain, use_functions, values
from .arrays import read as read
from .functions import take
from .primitive import Primitive, Reduction, is_whole
from .ufunc_rules import nan_to_num, numpy_sinc
from .untraceable import symbolic_in


def on_arrays(function: Any, args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Apply a function of numbers to arrays, which broadcast; one of many numbers to all, or along axes."""
    for item in args:
        if is_whole(item):
            return item.__on_arrays__(function, args, options)
    if function is take:
        return _take(*args)
    if not isinstance(function, Primitive) or isinstance(function, Reduction):
        return _along(function, args, **options)
    found = np.frompyfunc(function, len(args), 1)(*[np.asarray(plain(item)) for item in args])
    return _as_floats(found)


def _take(rows: Any, index: Any) -> Any:
    """Return rows by whole numbers, as an index of a traced array gives them: nan where there is none."""
    if any(map(is_symbolic, np.ravel(plain(index)).tolist())):
        return array(rows)[list(index) if isinstance(index, tuple) else index]
    items, places = np.asarray(plain(rows)), values(index)
    count = len(items)
    is_row = (np.abs(places) <= count) & (places == np.trunc(places)) & (places != count)  # nan is none
    known = np.where(is_row, places, count).astype(int)
    known = np.where(known < 0, known + count, known)
    if not is_row.all():
        # What is not there is nan, and so is its derivative by all items.
        nan = table.nan * table.sum(items.ravel().tolist()) if items.dtype == object else table.nan
        items = np.concatenate([items, np.full((1, *items.shape[1:]), nan)])
    found = items[known]
    if items.dtype == object:
        return _as_floats(found) if isinstance(found, np.ndarray) else found
    return found.astype(float) if isinstance(found, np.ndarray) else float(found)


def _as_floats(found: Any) -> Any:
    is_plain = isinstance(found, np.ndarray) and set(map(type, found.ravel().tolist())) <= {float}
    return found.astype(float) if is_plain else found.view(Array) if isinstance(found, np.ndarray) else found


def _along(function: Any, args: Sequence[Any], axis: Any = None, keepdims: bool = False) -> Any:
    """Apply a function of many numbers along axes; where it gives as many, these stand along the one axis."""
    if function is table.dot:
        found = np.dot(*[array(item) for item in args])
        return _as_floats(found.view(np.ndarray)) if isinstance(found, np.ndarray) else found
    items = np.asarray(plain(args[0]))
    axes = tuple(range(items.ndim)) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, items.ndim)
    kept = [k for k in range(items.ndim) if k not in axes]
    lines = items.transpose(*kept, *axes).reshape(*[items.shape[k] for k in kept], -1)
    results = [function(lines[place].tolist()) for place in np.ndindex(lines.shape[:-1])]
    if results and type(results[0]) is list:
        found = np.empty(lines.shape, object)
        for place, line in zip(np.ndindex(lines.shape[:-1]), results, strict=True):
            found[place] = line
        return _as_floats(np.moveaxis(found, -1, axes[0]) if axis is not None else found.reshape(items.shape))
    found = np.fromiter(results, object, len(results)).reshape(lines.shape[:-1])
    found = np.expand_dims(found, axes) if keepdims else found
    return _as_floats(found) if found.ndim else found[()]


def _where(condition: Any, *choices: Any) -> Any:
    conditions = np.asarray(plain(condition))
    if len(choices) == 2 and conditions.dtype == object:
        return np.frompyfunc(table.where, 3, 1)(conditions, *map(plain, choices))
    return np.where(conditions, *map(plain, choices))


def _sort(a: Any, axis: Any = -1, kind: Any = None, order: Any = None, **kwargs: Any) -> Any:
    found = array(a).flatten() if axis is None else array(a).copy()
    found.sort(-1 if axis is None else axis, kind, order, **kwargs)
    return found


def _quantile(a: Any, q: Any, axis: Any = None, out: None = None, overwrite_input: bool = False, **kwargs: Any) -> Any:
    """Find by the values which items a quantile stands between, and weigh these; nan where there is a nan."""
    keepdims, median = kwargs.pop("keepdims", False), kwargs.pop("median", False)
    if out is not None or kwargs.keys() - {"method"}:
        raise TypeError("quantile of Vars takes q, axis, method and keepdims alone")
    items = np.asarray(plain(array(a)))
    axes = tuple(range(items.ndim)) if axis is None else tuple(np.atleast_1d(axis) % items.ndim)
    last = np.moveaxis(items, axes, range(-len(axes), 0)) if axes else items
    lines = last.reshape(*last.shape[: items.ndim - len(axes)], -1)
    found = values(lines)
    ordered = np.take_along_axis(lines, found.argsort(-1), -1)
    # Where the items were their own places, the quantile would be the place.
    shape = np.shape(q)
    places = np.quantile(np.arange(float(lines.shape[-1])), np.ravel(q), **kwargs)
    below = np.floor(places).astype(int)
    share = places - below
    low, high = ordered[..., below], ordered[..., np.minimum(below + 1, lines.shape[-1] - 1)]
    if median:  # a mean of two, or one alone
        mixed = np.where(share == 0, low, 0.5 * low + 0.5 * high)
    else:  # as NumPy has it, which beside an infinity may be nan
        apart = high - low
        mixed = np.where(share < 0.5, low + apart * share, high - apart * (1.0 - share))
    mixed = np.where(np.isnan(found).any(-1, keepdims=True), table.nan, mixed)
    kept = tuple([1 if k in axes else n for k, n in enumerate(items.shape)]) if keepdims else mixed.shape[:-1]
    return np.moveaxis(mixed, -1, 0).reshape(shape + kept)


def _copyto(dst: Any, src: Any, casting: Any = "same_kind", where: Any = True) -> None:
    if np.asarray(where).dtype == object:
        src, where = _where(where, src, dst), True
    np.copyto(plain(dst), plain(src), casting, where)


def _count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    items = array(a)
    if symbolic_in(items) is None:
        return np.count_nonzero(values(items), axis, keepdims=keepdims)
    return np.sum(
        np.frompyfunc(lambda x: table.where(x != 0, 1.0, 0.0), 1, 1)(items).view(Array), axis, keepdims=keepdims
    )


def _nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    found = np.frompyfunc(nan_to_num(nan, posinf, neginf), 1, 1)(plain(x))
    if copy:
        return found
    x[...] = found
    return x


def _nan_quantile(a: Any, q: Any, axis: Any = None, out: None = None, *args: Any, **kwargs: Any) -> Any:
    """Find the quantile of those that are no nan, line by line."""
    items = np.asarray(plain(array(a)))
    if axis is None:
        items, axis = items.ravel(), 0
    if out is not None or args or kwargs.keys() - {"method", "median"} or np.ndim(axis):
        raise TypeError("nanquantile of Vars takes q, one axis and method alone")
    last = np.moveaxis(items, axis, -1)
    found = np.empty(np.shape(q) + last.shape[:-1], object)
    for place in np.ndindex(last.shape[:-1]):
        line = last[place][~np.isnan(values(last[place]))]
        found[(..., *place)] = _quantile(line, q, **kwargs) if line.size else table.nan
    return found


def _partition(a: Any, kth: Any, axis: Any = -1, kind: Any = "introselect", order: Any = None) -> Any:
    found = array(a).flatten() if axis is None else array(a).copy()
    found.partition(kth, -1 if axis is None else axis, kind, order)
    return found


def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """Compute norms of vectors of any order, and those of matrices that need no singular values."""
    items = np.asarray(plain(array(x)))
    if axis is None and ord is None:
        axis = tuple(range(items.ndim))
    axes = tuple(range(items.ndim)) if axis is None else tuple(np.atleast_1d(axis) % items.ndim)
    sizes = np.abs(items.view(Array))
    if len(axes) == 1 and ord in (np.inf, -np.inf):
        return (np.max if ord > 0 else np.min)(sizes, axis=axes, keepdims=keepdims)
    if len(axes) == 1 and ord not in (None, 2):
        if isinstance(ord, str):
            raise ValueError(f"norm expected a number or None as ord of vectors but got {ord!r}")
        if ord == 0:
            return np.sum(sizes != 0, axis=axes, keepdims=keepdims, dtype=object)
        total = np.sum(sizes if ord == 1 else sizes**ord, axis=axes, keepdims=keepdims)
        return total if ord == 1 else total ** (1.0 / ord)
    if ord in (None, "fro") or len(axes) == 1:
        kept = [k for k in range(items.ndim) if k not in axes]
        lines = items.transpose(*kept, *axes).reshape(*[items.shape[k] for k in kept], -1)
        found = np.empty(lines.shape[:-1], object)
        for place in np.ndindex(found.shape):
            found[place] = table.norm(lines[place].tolist())
        return np.expand_dims(found, axes) if keepdims else found
    if len(axes) != 2 or ord not in (1, -1, np.inf, -np.inf):
        raise TypeError(f"norm of matrices of Vars takes None, 'fro', 1, -1, inf or -inf as ord but got {ord!r}")
    summed = np.sum(sizes, axis=axes[0 if abs(ord) == 1 else 1], keepdims=True)
    return (np.max if ord > 0 else np.min)(summed, axis=axes, keepdims=keepdims)


def _cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, **weights: Any
) -> Any:
    if any(item is not None for item in weights.values()):
        raise TypeError(f"cov of Vars takes no {', '.join(weights)}")
    rows = [np.atleast_2d(plain(array(item))) for item in (m, y) if item is not None]
    rows = [row if rowvar or row.shape[0] == 1 else row.T for row in rows]
    x = np.concatenate(rows).view(Array)
    x = x - np.mean(x, axis=1, keepdims=True)
    found = x @ x.T / float(x.shape[1] - ((0 if bias else 1) if ddof is None else ddof))
    return found if found.size > 1 else found[0, 0]


def _corrcoef(x: Any, y: Any = None, rowvar: bool = True, **options: Any) -> Any:
    found = _cov(x, y, rowvar)
    if not np.ndim(found):
        return found / found
    sizes = np.sqrt(np.diagonal(found))
    return found / sizes[:, None] / sizes


def _some(function: Any) -> Callable[..., Any]:
    """Return `any` or `all`, which of one number tell whether it is not 0."""

    def own(a: Any, *args: Any, **kwargs: Any) -> Any:
        items = array(a)
        if not items.ndim:
            return items[()] != 0
        return np.ndarray.__array_function__(items, function, (Array,), (items, *args), kwargs)

    return own


def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    found = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        found = _where(condition, choice, found)
    return found


def _sum_where(a: Any, mask: Any, axis: Any, keepdims: bool) -> Any:
    return np.sum(array(_where(mask, a, 0.0)), axis=axis, keepdims=keepdims)


def _mean(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: Any = False, where: Any = True
) -> Any:
    """Compute the mean of the chosen items, whichever are chosen."""
    items = array(a)
    if where is True or np.asarray(where).dtype != object or out is not None:
        given = (items, axis, None if dtype is None else object, out)
        return np.ndarray.__array_function__(items, np.mean, (Array,), given, {"keepdims": keepdims, "where": where})
    mask = np.broadcast_to(np.asarray(plain(where)), items.shape)
    return _sum_where(items, mask, axis, keepdims) / _sum_where(np.ones(items.shape), mask, axis, keepdims)


def _nan_mean(a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False) -> Any:
    return _nan_moment("nanmean", array(a), axis, out, keepdims)[1]


def _nan_moment(function: str, items: Any, axis: Any, out: None, keepdims: bool) -> tuple[Any, Any]:
    """Return how many are no nan, and their mean."""
    if out is not None:
        raise TypeError(f"{function} of Vars takes no out")
    there = np.equal(items, items)
    count = _sum_where(np.ones(items.shape), there, axis, keepdims)
    return count, _sum_where(items, there, axis, keepdims) / count


def _nan_var(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, ddof: float = 0, keepdims: bool = False
) -> Any:
    items = array(a)
    count, mean = _nan_moment("nanvar", items, axis, out, True)
    total = _sum_where(np.square(items - mean), np.equal(items, items), axis, True)
    found = total / _where(count > ddof, count - ddof, table.nan)
    return found if keepdims else np.squeeze(found, tuple(range(items.ndim)) if axis is None else axis)


_OWN: dict[Any, Callable[..., Any]] = {
    np.all: _some(np.all),
    np.any: _some(np.any),
    np.argpartition: lambda a, *args, **kwargs: array(a).argpartition(*args, **kwargs),
    np.corrcoef: _corrcoef,
    np.count_nonzero: lambda a, axis=None, *, keepdims=False: np.sum(array(a) != 0, axis=axis, keepdims=keepdims),
    np.cov: _cov,
    np.digitize: lambda x, bins, right=False: np.digitize(values(array(x)), values(array(bins)), right),
    np.lexsort: lambda keys, axis=-1: np.lexsort([values(array(key)) for key in keys], axis),
    np.linalg.norm: _norm,
    np.mean: _mean,
    np.nanmean: _nan_mean,
    np.nanmedian: lambda a, axis=None, **kwargs: _nan_quantile(a, 0.5, axis, **kwargs, median=True),
    np.nanpercentile: lambda a, q, *args, **kwargs: _nan_quantile(a, np.true_divide(q, 100.0), *args, **kwargs),
    np.nanquantile: _nan_quantile,
    np.nanstd: lambda *args, **kwargs: np.sqrt(_nan_var(*args, **kwargs)),
    np.nanvar: _nan_var,
    np.partition: _partition,
    np.searchsorted: lambda a, v, *args, **kwargs: array(a).searchsorted(v, *args, **kwargs),
    np.select: _select,
    np.sinc: table.sinc,
    np.argmax: lambda a, *args, **kwargs: np.argmax(values(array(a)), *args, **kwargs),
    np.argmin: lambda a, *args, **kwargs: np.argmin(values(array(a)), *args, **kwargs),
    np.argsort: lambda a, *args, **kwargs: np.argsort(values(array(a)), *args, **kwargs),
    np.copyto: _copyto,
    np.count_nonzero: _count_nonzero,
    np.median: lambda a, axis=None, out=None, overwrite_input=False, keepdims=False: _quantile(
        a, 0.5, axis, out, keepdims=keepdims, median=True
    ),
    # NumPy's own ask whether all are nan.
    np.nanmax: lambda a, axis=None, **kwargs: np.fmax.reduce(array(a), axis=axis, **kwargs),
    np.nanmin: lambda a, axis=None, **kwargs: np.fmin.reduce(array(a), axis=axis, **kwargs),
    np.nan_to_num: _nan_to_num,
    np.percentile: lambda a, q, *args, **kwargs: _quantile(a, np.true_divide(q, 100.0), *args, **kwargs),
    np.quantile: _quantile,
    np.sinc: lambda x: np.frompyfunc(numpy_sinc, 1, 1)(plain(x)),
    np.sort: _sort,
    np.where: _where,
}

use_functions(_OWN)
