"""Run a function of scalars at the speed of machine code: `compile` traces it and hands the program to a backend."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, overload

from ..data import whole_number
from ..errors import describe
from ..floats import FORMATS
from .choosing import BACKENDS
from .compiled import Compiled, Function, Reduce
from .plan import MAX_STEPS
from .reductions import check_ways
from .specialising import listed_names

Names = Sequence[str | int] | str | int


@overload
def compile(
    f: Function,
    *,
    batch: Names = ...,
    static: Names = ...,
    reduce: Reduce = ...,
    backend: str = ...,
    threads: int = ...,
    max_steps: int = ...,
    dtype: Any = ...,
) -> Compiled: ...
@overload
def compile(
    *,
    batch: Names = ...,
    static: Names = ...,
    reduce: Reduce = ...,
    backend: str = ...,
    threads: int = ...,
    max_steps: int = ...,
    dtype: Any = ...,
) -> Callable[[Function], Compiled]: ...
def compile(
    f: Function | None = None,
    *,
    batch: Names = (),
    static: Names = (),
    reduce: Reduce = None,
    backend: str = "auto",
    threads: int = 1,
    max_steps: int = MAX_STEPS,
    dtype: Any = "float64",
) -> Compiled | Callable[[Function], Compiled]:
    """Return a function that computes what `f` does, compiled once for each structure of the arguments.

    Args:
        f: a function of numbers, or of nested lists, tuples, dicts, dataclasses or arrays of them, that `trace` can
            trace: also `grad`, `value_and_grad`, `jacobian`, `hessian` of one, or a `Program`. NumPy arrays stay whole:
            many numbers belong in one. Vars that it closes over are inputs, too: each call reads them, and where they
            require gradients results are Vars, whose derivatives pass on to them (inside `no_grad` floats). Give such a
            Var another value; one put in its place is not seen. Plain numbers that it closes over, and what the object
            of a method holds, are constant. Without `f`, a decorator comes back.
        batch: names or positions of the arguments that carry a leading batch axis; the others are shared. Beside a
            batch, one number in the place of another is that of all samples. ``"data.x"`` names a part of an argument:
            what a dict has at "x", a dataclass or named tuple in that field, a list or tuple at a position.
        static: names or positions of arguments that decide the code (counts, flags, functions) and can be hashed: for
            each value the function is compiled anew. Strings and None, also in structures, always decide it.
        reduce: "sum" or "mean" adds every output over the batch; without it outputs gain the axis. A structure like the
            result's says it of each part: ``("sum", {"w": "sum", "x": None})``, or ``("sum", None)`` for all in it.
        backend: "llvm" (machine code), "numpy", "python", or "auto", the first of these that is installed.
        threads: how many threads share the batch, or long loops where there is none (llvm): for the same results.
        max_steps: the length of program from which on "auto" takes NumPy instead of machine code.
        dtype: "float64", or "float32": single precision, twice as many numbers in a vector.

    Results agree with those of `f` itself to a relative error of 1e-12 or better, with nan and inf in the same places.
    There are two exceptions, where terms cancel to almost nothing. A product that goes into a sum may be rounded once,
    together with the sum (llvm, C), so a sum of n terms differs by up to ``(n + 1) * 2**-53`` of the sum of the terms'
    sizes, as it does from the true value; nor does such a product overflow before it is added. And `logaddexp` and
    `logsumexp` near 0 have an absolute error of some units of 1e-16 (numpy, llvm, C); their derivatives do not cancel.

    With ``dtype="float32"`` arguments and constants are rounded once, results are arrays of float32, or floats. Each
    operation is within 5 units in the last place, 6e-7, of what it is of these; a sum of n terms within
    ``(n + 1) * 2**-24`` of the sum of the terms' sizes; one over a batch of any size within ``100 * 2**-24``. Beyond
    3.4e38 numbers are infinite, also on the way, below 1.2e-38 they lose digits; whole numbers are exact up to 2**24,
    so a table with more rows is not read by index: `ValueError`. With the backend "python", and on Vars, numbers are
    doubles in between. C has doubles, whatever the dtype.

    Floats in, floats out; arrays in, arrays out; sparse derivatives are SciPy's arrays, in a batch a list of them.
    ``f(..., out=arrays)`` writes results to arrays in the structure of the result, best to an earlier call's result,
    and returns it: large ones need not be made anew. They are contiguous and writable, of the result's dtype and
    shapes; None stands for a part that is made anew, as single numbers always are. A call that raises may have written
    some.

    Where an argument holds Vars or traced numbers, the program runs step by step on them, so that derivatives pass
    through: ``grad(compile(f))`` works. `TraceError` says where `f` asks for a value; `BackendError` names an operation
    that a backend lacks. Within `strict`, a result that is nan or infinite makes the function run again on Vars, to
    name the operation, the line and the sample.

    >>> from chainrule import tanh, value_and_grad
    >>> def loss(w, x, y):
    ...     return (tanh(w * x) - y) ** 2
    >>> step = compile(value_and_grad(loss), batch=("x", "y"), reduce="mean", backend="python")
    >>> value, slope = step(0.5, [1.0, 2.0], [1.0, 1.0])
    >>> print(f"{value:.6f} {slope:.6f}")
    0.173078 -0.623265
    """
    if f is None:
        return functools.partial(
            compile,
            batch=batch,
            static=static,
            reduce=reduce,
            backend=backend,
            threads=threads,
            max_steps=max_steps,
            dtype=dtype,
        )
    if not callable(f):
        raise TypeError(f"compile expected a function but got {describe('f', f)}")
    check_ways(reduce)
    if backend not in ("auto", *BACKENDS):
        raise ValueError(
            f'compile expected one of "auto", "llvm", "numpy", "python" but got {describe("backend", backend)}'
        )
    threads = whole_number("compile", "threads", threads, noun="number of threads")
    own = getattr(dtype, "name", getattr(dtype, "__name__", dtype))  # of NumPy's dtypes and types
    if not isinstance(own, str) or own not in FORMATS:
        raise ValueError(f'compile expected dtype to be "float64" or "float32" but got {describe("dtype", dtype)}')
    return Compiled(f, listed_names(batch), reduce, backend, threads, max_steps, listed_names(static), own)
