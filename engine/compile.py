"""Run a function of scalars at the speed of machine code: `compile` traces it and hands the program to a backend."""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, overload

from . import modes
from .arguments import whole_number
from .backends import buffers
from .backends.layout import Layout
from .choosing import BACKENDS, backend_module, choose
from .modes import is_strict, uncollected
from .packing import Argument, stacked
from .passes import drop, hoist, optimise, relax, values_only
from .primitive import describe
from .program import Program
from .recognition import recognise
from .replaying import blame
from .restructuring import restructure
from .specialising import Methods, Static, listed_names, parameters_of, positions
from .structure import unflatten
from .tracing import function_name, running_alone, trace
from .wrapping import positional, qualified_name

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Compiled", "compile"]

Function = Callable[..., Any]
Names = Sequence[str | int] | str | int

_LONG = 5_000  # steps that take a while to compile
MAX_STEPS = 200_000
"""Programs longer than this go to NumPy when the backend is "auto": machine code would take long to generate."""


@overload
def compile(
    f: Function,
    *,
    batch: Names = ...,
    static: Names = ...,
    reduce: str | None = ...,
    backend: str = ...,
    threads: int = ...,
    max_steps: int = ...,
) -> Compiled: ...
@overload
def compile(
    *,
    batch: Names = ...,
    static: Names = ...,
    reduce: str | None = ...,
    backend: str = ...,
    threads: int = ...,
    max_steps: int = ...,
) -> Callable[[Function], Compiled]: ...
def compile(
    f: Function | None = None,
    *,
    batch: Names = (),
    static: Names = (),
    reduce: str | None = None,
    backend: str = "auto",
    threads: int = 1,
    max_steps: int = MAX_STEPS,
) -> Compiled | Callable[[Function], Compiled]:
    """Return a function that computes what `f` does, compiled once for each structure of the arguments.

    Args:
        f: a function of numbers, or of nested lists, tuples, dicts, dataclasses or arrays of them, that `trace` can
            trace: also `grad`, `value_and_grad`, `jacobian`, `hessian` of one, or a `Program`. What it closes over is
            constant; of a method so is what its object holds. Without `f`, a decorator comes back.
        batch: names or positions of the arguments that carry a leading batch axis; the others are shared.
        static: names or positions of arguments that decide the code (counts, flags, functions) and can be hashed: for
            each value the function is compiled anew. Strings and None, also in structures, always decide it.
        reduce: "sum" or "mean" adds every output over the batch; without it outputs gain the axis.
        backend: "llvm" (machine code), "numpy", "python", or "auto", the first of these that is installed.
        threads: how many threads share the batch (llvm).
        max_steps: the length of program from which on "auto" takes NumPy instead of machine code.

    Results agree with those of `f` itself to a relative error of 1e-12 or better, with nan and inf in the same places.
    There are two exceptions, where terms cancel to almost nothing. A product that goes into a sum may be rounded once,
    together with the sum (llvm, C), so a sum of n terms differs by up to ``(n + 1) * 2**-53`` of the sum of the terms'
    sizes, as it does from the true value; nor does such a product overflow before it is added. And `logaddexp` and
    `logsumexp` near 0 have an absolute error of some units of 1e-16 (numpy, llvm, C); their derivatives do not cancel.

    Floats in, floats out; arrays in, arrays out; sparse derivatives are SciPy's arrays, in a batch a list of them.
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
            compile, batch=batch, static=static, reduce=reduce, backend=backend, threads=threads, max_steps=max_steps
        )
    if not callable(f):
        raise TypeError(f"compile expected a function but got {describe('f', f)}")
    if reduce not in (None, "sum", "mean"):
        raise ValueError(f'compile expected reduce to be None, "sum" or "mean" but got {describe("reduce", reduce)}')
    if backend not in ("auto", *BACKENDS):
        raise ValueError(
            f'compile expected one of "auto", "llvm", "numpy", "python" but got {describe("backend", backend)}'
        )
    threads = whole_number("compile", "threads", threads, noun="number of threads")
    return Compiled(f, listed_names(batch), reduce, backend, threads, max_steps, listed_names(static))


class Compiled:
    """Hold a compiled function: call it like the function that it was made of.

    Attributes:
        program: what the latest call or `trace` traced, after all passes.
    """

    def __init__(
        self,
        f: Function,
        batch: tuple[str | int, ...],
        reduce: str | None,
        backend: str,
        threads: int,
        max_steps: int,
        static: tuple[str | int, ...] = (),
    ) -> None:
        buffers.load()  # here, since a copy in another process is made without `compile`
        self.f = f
        self._named = batch, static
        self.reduce = reduce
        self.backend = backend
        self.threads = threads
        self.max_steps = max_steps
        self._parameters = parameters_of(f)
        self._batch = positions(f, self._parameters, "batch", batch)
        self._fixed = positions(f, self._parameters, "static", static)
        self._static = Static(f, self._fixed, lambda own: self._like(own, self._fixed)) if static else None
        self._methods = Methods(f, lambda own: self._like(own, frozenset((0,))))
        self._flags: dict[int, tuple[bool, ...]] = {}
        self._plans: dict[Any, _Plan] = {}
        self._latest: _Plan | None = None
        self._enter: Callable[[tuple[Any, ...]], Any] | None = None
        if reduce is not None and not self._batch:
            raise ValueError(
                f"compile expected batch to name the arguments to reduce over but got reduce={reduce!r} alone"
            )
        if self._batch & self._fixed:
            raise ValueError(
                f"compile expected an argument in batch or in static, not in both, but got {describe('batch', batch)} "
                f"and {describe('static', static)}"
            )
        functools.update_wrapper(self, f, updated=())

    def __reduce__(self) -> Any:
        # Machine code stays in its process; a copy compiles again, or finds what it needs on disk.
        batch, static = self._named
        own = self.f, batch, self.reduce, self.backend, self.threads, self.max_steps, static
        return qualified_name(self) or (Compiled, own)

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else self._methods.of(instance)

    def __call__(self, *args: Any, **named: Any) -> Any:
        strict = modes.blocks and is_strict()
        if self._enter is not None and not named and not strict:
            # What the latest call was made with comes again as a rule.
            result = self._enter(args)
            if result is not None:
                return result
        if self._static is not None:
            own, rest = self._static.of(args, named)
            result = own(*rest)
            self._latest = own._latest
            return result
        if named:
            args = positional(self.f, args, named, function_name(self.f))
        if strict:
            return self._search(args)
        flags = self._flags.get(len(args)) or self._flags_for(len(args))
        # The quick way, for arrays of doubles in C order; small calls are counted in microseconds.
        array, double, n = buffers.ARRAY, buffers.DOUBLE, -1
        key: list[Any] = []
        for arg, batched in zip(args, flags, strict=True):
            if type(arg) is not array or arg.dtype is not double or not arg.flags.c_contiguous:
                return self._call(args, flags)
            shape = arg.shape
            if batched:
                if not shape or shape[0] != n >= 0:
                    return self._call(args, flags)
                n = shape[0]
                shape = shape[1:]
            key.append(shape)
        plan = self._plans.get(tuple(key))
        if plan is None:
            return self._call(args, flags)
        self._latest, self._enter = plan, plan.enter
        return plan.run(args, 1 if n < 0 else n)

    def trace(self, *examples: Any) -> Program:
        """Trace and compile for arguments like these, without running; return the program."""
        if self._static is not None:
            own, rest = self._static.of(examples, {})
            program: Program = own.trace(*rest)
            self._latest = own._latest
            return program
        return self._prepare(examples, self._flags_for(len(examples)))[0].program

    @property
    def program(self) -> Program:
        """What the latest call compiled."""
        return self._plan().program

    def source(self, language: str) -> str:
        """Return the code generated for the latest call: "python", "c" or "llvm"."""
        plan = self._plan()
        if language == "python":
            text: str = backend_module("python_").source(plan.program)
        elif language == "c":
            text = backend_module("c").source(plan.program, plan.flags, self.reduce, name=plan.program.name)
        elif language == "llvm":
            text = backend_module("llvm").source(plan.program, plan.flags, self.reduce)
        else:
            raise ValueError(f'source expected "python", "c" or "llvm" but got {describe("language", language)}')
        return text

    def export_c(self, path: Any) -> Path:
        """Write the latest call's program as a C99 file and a header for C and C++; return the path of the first.

        The header, beside it and named alike, documents the function. Where it works in more than fits on a small
        stack, its caller gives it the memory: ``NAME_WORK`` numbers, of each thread its own.

        Errors: `ValueError` where the path does not end in ``.c``; `OSError` where it may not be written.
        """
        plan = self._plan()
        target: Path = backend_module("c").write(path, plan.program, plan.flags, self.reduce)
        return target

    def __repr__(self) -> str:
        return f"<compiled {function_name(self.f)}: {len(self._plans)} programs, backend {self.backend}>"

    def _like(self, f: Function, dropped: frozenset[int]) -> Compiled:
        """Return another function compiled in the same way, which lacks some of the arguments."""
        batch, static = (
            tuple([k - sum(place < k for place in dropped) for k in sorted(places - dropped)])
            for places in (self._batch, self._fixed)
        )
        return Compiled(f, batch, self.reduce, self.backend, self.threads, self.max_steps, static)

    def without_reduction(self) -> Compiled:
        """Return the same function compiled to give the results of each sample."""
        batch, static = self._named
        return Compiled(self.f, batch, None, self.backend, self.threads, self.max_steps, static)

    # ---- from arguments to a plan ----

    def _call(self, args: Sequence[Any], flags: tuple[bool, ...]) -> Any:
        """Do what `__call__` does for any kind of arguments."""
        packed = [Argument(arg, flag, self._name(k)) for k, (arg, flag) in enumerate(zip(args, flags, strict=True))]
        n = self._samples(packed)
        plan = self._plan_for(packed, flags)
        if any(argument.symbolic for argument in packed):
            return plan.run_on_nodes(packed, n)
        return plan.run([argument.memory(n) for argument in packed], n)

    def _search(self, args: tuple[Any, ...]) -> Any:
        """Do what `__call__` does within `strict`."""
        plan, packed = self._prepare(args, self._flags_for(len(args)))
        n = self._samples(packed)
        if any(argument.symbolic for argument in packed):
            return plan.run_on_nodes(packed, n)
        out = plan.numbers([argument.memory(n) for argument in packed], n)
        if not all(map(math.isfinite, out.tolist())):
            blame(self, plan, packed, n, out.tolist())
        return plan.read(out, n)

    def _prepare(self, args: Sequence[Any], flags: tuple[bool, ...]) -> tuple[_Plan, list[Argument]]:
        packed = [Argument(arg, flag, self._name(k)) for k, (arg, flag) in enumerate(zip(args, flags, strict=True))]
        return self._plan_for(packed, flags), packed

    def _plan_for(self, packed: Sequence[Argument], flags: tuple[bool, ...]) -> _Plan:
        key = tuple([argument.key for argument in packed])
        plan = self._plans.get(key)
        if plan is None:
            with uncollected(), running_alone(not any(flags)):
                examples = [unflatten(argument.structure, [0.0] * argument.structure.size) for argument in packed]
                traced = self.f if isinstance(self.f, Program) else trace(self.f, *examples)
                plan = self._plans[key] = _Plan(traced, flags, self)
        self._latest, self._enter = plan, plan.enter
        return plan

    def _plan(self) -> _Plan:
        if self._latest is None:
            raise ValueError(
                "the function is compiled when it is called; call it, or its method trace(*examples), first"
            )
        return self._latest

    def _samples(self, packed: Sequence[Argument]) -> int:
        n, first = 1, None
        for argument in packed:
            if argument.rows is not None:
                if first is not None and argument.rows != n:
                    raise ValueError(
                        f"{function_name(self.f)} expected batches of one size but got {first.name} with {n} samples "
                        f"and {argument.name} with {argument.rows}"
                    )
                n, first = argument.rows, argument
        return n

    def _flags_for(self, count: int) -> tuple[bool, ...]:
        for position in self._batch:
            if position >= count:
                raise TypeError(
                    f"{function_name(self.f)} expected the batched argument {self._name(position)!r} but got {count} "
                    "positional arguments"
                )
        flags = self._flags[count] = tuple([k in self._batch for k in range(count)])
        return flags

    def _name(self, position: int) -> str:
        return self._parameters[position] if position < len(self._parameters) else f"argument {position}"


class _Plan:
    """Run one program: optimised, built by a backend, results put in structure."""

    def __init__(self, traced: Program, flags: tuple[bool, ...], owner: Compiled) -> None:
        self.traced = traced
        self.flags = flags
        self.reduce = owner.reduce
        self.threads = owner.threads
        found = recognise(traced, not any(flags))
        shared = optimise(restructure(found) if found.has_loops else found)
        self.program = drop(hoist(values_only(shared), flags))
        self.layout = Layout(self.program, flags, owner.reduce)
        self.name = choose(owner.backend, self.program, owner.max_steps)
        relaxed = relax(self.program)
        self.optimistic = relaxed != self.program
        self._kernel = self._build(relaxed)
        self._exact: Any = None if self.optimistic else self._kernel
        self.read = buffers.reader(self.program.result, self.layout.per_sample)
        self._outputs = len(self.program.outputs)
        entry = self._entry(self._kernel, self._exact_entry if self.optimistic else None)
        self.enter = None if entry is None else entry.call

    def _build(self, program: Program) -> Any:
        build = backend_module(BACKENDS[self.name]).build
        if self.name != "llvm" or len(program) < _LONG:
            return build(program, self.flags, self.reduce, self.threads)
        # The bar shows when this takes longer than two seconds.
        with importlib.import_module("tqdm").tqdm(unit="step", desc="compile", delay=2.0, leave=False) as bar:

            def tell(done: int, total: int) -> None:
                bar.total = total  # more than the program's steps, where some are spelled out in others
                bar.update(done - bar.n)

            return build(program, self.flags, self.reduce, self.threads, tell)

    def _entry(self, kernel: Any, exact: Callable[[], Any] | None) -> Any:
        """Return the kernel's native entry, None where there is none for such arguments."""
        parts = self.program.arguments.parts
        if self.name != "llvm" or any(part.kind not in ("number", "array") for part in parts):
            return None
        results = self.layout.units, self.layout.per_sample
        return kernel.entry([part.shape for part in parts], self.flags, *results, self.read, exact)

    def _exact_entry(self) -> Any:
        return self._entry(self._exact_kernel(), None)

    def _exact_kernel(self) -> Any:
        if self._exact is None:
            self._exact = self._build(self.program)
        return self._exact

    def run(self, arrays: Sequence[Any], n: int) -> Any:
        """Run the kernel, and put its results in structure."""
        return self.read(self.numbers(arrays, n), n)

    def numbers(self, arrays: Sequence[Any], n: int) -> Any:
        """Run the kernel, and return what it wrote."""
        out = buffers.empty(self._outputs * n if self.layout.per_sample else self._outputs)
        self._kernel(arrays, n, out)
        if self.optimistic and buffers.has_nan(out):
            # A plain product may have made it of 0 and infinity (see passes.relax).
            self._exact_kernel()(arrays, n, out)
        return out

    def run_on_nodes(self, packed: Sequence[Argument], n: int) -> Any:
        """Run the program as it was traced, on Vars or traced numbers."""
        if not self.layout.has_batch:
            return unflatten(
                self.traced.result, self.traced.run([x for argument in packed for x in argument.sample(0)])
            )
        rows = [self.traced.run([x for argument in packed for x in argument.sample(k)]) for k in range(n)]
        if self.reduce is None:
            return stacked(self.traced.result, rows, [0])
        totals = []
        for place in range(self._outputs):
            total: Any = 0.0
            for row in rows:
                total = total + row[place]
            totals.append((total / n if n else math.nan) if self.reduce == "mean" else total)
        return unflatten(self.traced.result, totals)
