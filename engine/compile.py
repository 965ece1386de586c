"""Run a function of scalars at the speed of machine code: `compile` traces it and hands the program to a backend."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .arguments import whole_number
from .backends import buffers
from .backends.layout import Layout
from .closures import running_alone
from .errors import MissingDependencyError
from .modes import is_recording, modes, uncollected
from .naming import function_name
from .packing import Argument
from .passes import drop, hoist, optimise, relax, values_only
from .primitive import describe
from .program import Program
from .recognition import recognise
from .recorded_calls import call_on_nodes, call_on_numbers, with_slopes
from .restructuring import restructure
from .structure import unflatten
from .tracing import Tracer, trace

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Compiled", "compile"]

Function = Callable[..., Any]

_BACKENDS = {"python": "python_", "numpy": "numpy_", "llvm": "llvm"}
_LONG = 5_000  # steps that take a while to compile
MAX_STEPS = 200_000
"""Programs longer than this go to NumPy when the backend is "auto": machine code would take long to generate."""


def compile(
    f: Function,
    *,
    batch: Sequence[str | int] | str | int = (),
    reduce: str | None = None,
    backend: str = "auto",
    threads: int = 1,
    max_steps: int = MAX_STEPS,
) -> Compiled:
    """Return a function that computes what `f` does, compiled once for each structure of the arguments.

    Args:
        f: a function of numbers, or of nested lists, tuples, dicts or arrays of them, that `trace` can trace: also
            `grad`, `value_and_grad`, `jacobian`, `hessian` of one, or a `Program`. Vars that it closes over are inputs,
            too: each call reads them, and where they require gradients results are Vars, whose derivatives pass on to
            them (inside `no_grad` floats). Give such a Var another value; one put in its place is not seen.
        batch: names or positions of the arguments that carry a leading batch axis; the others are shared.
        reduce: "sum" or "mean" adds every output over the batch; without it outputs gain the axis.
        backend: "llvm" (machine code), "numpy", "python", or "auto", the first of these that is installed.
        threads: how many threads share the batch (llvm).
        max_steps: the length of program from which on "auto" takes NumPy instead of machine code.

    Results agree with those of `f` itself to a relative error of 1e-12 or better, with nan and inf in the same places.
    There are two exceptions, where terms cancel to almost nothing. A product that goes into a sum may be rounded once,
    together with the sum (llvm, C), so a sum of n terms differs by up to ``(n + 1) * 2**-53`` of the sum of the terms'
    sizes, as it does from the true value; nor does such a product overflow before it is added. And `logaddexp` and
    `logsumexp` near 0 have an absolute error of some units of 1e-16 (numpy, llvm, C); their derivatives do not cancel.

    Floats in, floats out; arrays in, arrays out. Where an argument holds Vars or traced numbers, the program runs step
    by step on them, so that derivatives pass through: ``grad(compile(f))`` works. `TraceError` says where `f` asks
    for a value; `BackendError` names an operation that a backend lacks.

    >>> from chainrule import tanh, value_and_grad
    >>> def loss(w, x, y):
    ...     return (tanh(w * x) - y) ** 2
    >>> step = compile(value_and_grad(loss), batch=("x", "y"), reduce="mean", backend="python")
    >>> value, slope = step(0.5, [1.0, 2.0], [1.0, 1.0])
    >>> print(f"{value:.6f} {slope:.6f}")
    0.173078 -0.623265
    """
    if not callable(f):
        raise TypeError(f"compile expected a function but got {describe('f', f)}")
    if reduce not in (None, "sum", "mean"):
        raise ValueError(f'compile expected reduce to be None, "sum" or "mean" but got {describe("reduce", reduce)}')
    if backend not in ("auto", *_BACKENDS):
        raise ValueError(
            f'compile expected one of "auto", "llvm", "numpy", "python" but got {describe("backend", backend)}'
        )
    threads = whole_number("compile", "threads", threads, noun="number of threads")
    buffers.load()
    named = (batch,) if isinstance(batch, (str, int)) else tuple(batch)
    return Compiled(f, named, reduce, backend, threads, max_steps)


class Compiled:
    """Hold a compiled function: call it like the function that it was made of.

    Attributes:
        program: what the latest call or `trace` traced, after all passes.
    """

    def __init__(
        self, f: Function, batch: tuple[str | int, ...], reduce: str | None, backend: str, threads: int, max_steps: int
    ) -> None:
        self.f = f
        self._named = batch
        self.reduce = reduce
        self.backend = backend
        self.threads = threads
        self.max_steps = max_steps
        self._parameters = _parameters(f)
        self._batch = frozenset(self._position(item) for item in batch)
        self._flags: dict[int, tuple[bool, ...]] = {}
        self._plans: dict[Any, _Plan] = {}
        self._latest: _Plan | None = None
        self._enter: Callable[[tuple[Any, ...]], Any] | None = None
        if reduce is not None and not self._batch:
            raise ValueError(
                f"compile expected batch to name the arguments to reduce over but got reduce={reduce!r} alone"
            )
        functools.update_wrapper(self, f, updated=())

    def __reduce__(self) -> Any:
        # Machine code stays in its process; a copy compiles again, or finds what it needs on disk.
        return Compiled, (self.f, self._named, self.reduce, self.backend, self.threads, self.max_steps)

    def __call__(self, *args: Any, **named: Any) -> Any:
        if named:
            args = self._bind(args, named)
        elif self._enter is not None:
            # What the latest call was made with comes again as a rule.
            result = self._enter(args)
            if result is not None:
                return result
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
        if plan is None or plan.closed:
            return self._call(args, flags)
        self._latest, self._enter = plan, plan.enter
        return plan.run(args, 1 if n < 0 else n)

    def trace(self, *examples: Any) -> Program:
        """Trace and compile for arguments like these, without running; return the program."""
        flags = self._flags_for(len(examples))
        plan = self._plan_for(self._packed(examples, flags), flags)
        if plan is None:
            raise ValueError(
                f"trace expected {function_name(self.f)} to be called outside of a function that is being traced or "
                "differentiated, since it closes over such a function's numbers"
            )
        return plan.program

    @property
    def program(self) -> Program:
        """What the latest call compiled."""
        return self._plan().program

    def source(self, language: str) -> str:
        """Return the code generated for the latest call: "python", "c" or "llvm"."""
        plan = self._plan()
        if language == "python":
            text: str = _module("python_").source(plan.program)
        elif language == "c":
            text = _module("c").source(plan.program, plan.flags, self.reduce, name=plan.program.name)
        elif language == "llvm":
            text = _module("llvm").source(plan.program, plan.flags, self.reduce)
        else:
            raise ValueError(f'source expected "python", "c" or "llvm" but got {describe("language", language)}')
        return text

    def export_c(self, path: Any) -> Path:
        """Write the latest call's program as one C99 file, which documents its function; return the path."""
        from pathlib import Path  # imported here, since it takes a tenth of the time of `import chainrule`

        target = Path(path)
        text = self.source("c")
        target.write_text(text, encoding="utf-8")
        return target

    def __repr__(self) -> str:
        return f"<compiled {function_name(self.f)}: {len(self._plans)} programs, backend {self.backend}>"

    # ---- from arguments to a plan ----

    def _call(self, args: Sequence[Any], flags: tuple[bool, ...]) -> Any:
        """Do what `__call__` does for any kind of arguments."""
        packed = self._packed(args, flags)
        n = self._samples(packed)
        if n and any(argument.symbolic for argument in packed):
            return call_on_nodes(self.f, packed, n, self.reduce)
        plan = self._plan_for(packed, flags)
        if plan is None or (plan.closed and modes.since):
            # What `f` closes over may be another Var at each call.
            return call_on_nodes(self.f, packed, n, self.reduce)
        arrays = [argument.memory(n) for argument in packed]
        if plan.closed:
            arrays.append(buffers.pack([number.value for number in plan.closed]))
            if is_recording() and any(number.requires_grad for number in plan.closed):
                return call_on_numbers(plan, packed, arrays, n)
        return plan.run(arrays, n)

    def _plan_for(self, packed: Sequence[Argument], flags: tuple[bool, ...]) -> _Plan | None:
        """Return the plan for such arguments; None where what `f` closes over belongs to this call alone."""
        key = tuple([argument.key for argument in packed])
        plan = self._plans.get(key)
        if plan is None:
            with uncollected(), running_alone(not any(flags)):
                examples = [unflatten(argument.structure, [0.0] * argument.structure.size) for argument in packed]
                traced = self.f if isinstance(self.f, Program) else trace(self.f, *examples)
            # Inside of a trace or a derivative, the next one closes over other numbers.
            if traced.closed and (modes.since or any(isinstance(number, Tracer) for number in traced.closed)):
                return None
            with uncollected():
                plan = self._plans[key] = _Plan(traced, flags, self)
        self._latest, self._enter = plan, plan.enter
        return plan

    def _packed(self, args: Sequence[Any], flags: tuple[bool, ...]) -> list[Argument]:
        return [Argument(arg, flag, self._name(k)) for k, (arg, flag) in enumerate(zip(args, flags, strict=True))]

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

    def _position(self, item: str | int) -> int:
        if isinstance(item, int) and not isinstance(item, bool) and item >= 0:
            return item
        if item in self._parameters:
            return self._parameters.index(str(item))
        raise ValueError(
            f"compile expected batch to name arguments of {function_name(self.f)}, {self._parameters}, or their "
            f"positions but got {describe('batch', item)}"
        )

    def _name(self, position: int) -> str:
        return self._parameters[position] if position < len(self._parameters) else f"argument {position}"

    def _bind(self, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        bound = inspect.signature(self.f).bind(*args, **named)
        bound.apply_defaults()
        if bound.kwargs:
            raise TypeError(f"{function_name(self.f)} expected positional arguments but got {sorted(bound.kwargs)}")
        return bound.args


def _parameters(f: Function) -> list[str]:
    if isinstance(f, Program):
        return [f"argument {k}" for k in range(len(f.arguments.parts) - bool(f.closed))]
    try:
        return list(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        return []


class _Plan:
    """Run one program: optimised, built by a backend, results put in structure."""

    def __init__(self, traced: Program, flags: tuple[bool, ...], owner: Compiled) -> None:
        self.traced = traced
        self.closed = traced.closed
        self.flags = flags = (*flags, False) if traced.closed else flags
        self.owner = owner
        self.reduce = owner.reduce
        self.threads = owner.threads
        found = recognise(traced, not any(flags))
        shared = optimise(restructure(found) if found.has_loops else found)
        self.program = drop(hoist(values_only(shared), flags))
        self.layout = Layout(self.program, flags, owner.reduce)
        self.name = _choose(owner.backend, self.program, owner.max_steps)
        relaxed = relax(self.program)
        self.optimistic = relaxed != self.program
        self._kernel = self._build(relaxed)
        self._exact: Any = None if self.optimistic else self._kernel
        self._read = buffers.reader(self.program.result, self.layout.per_sample)
        self._outputs = len(self.program.outputs)
        self._slopes: tuple[_Plan | None] | None = None
        entry = self._entry(self._kernel, self._exact_entry if self.optimistic else None)
        # With what the function closes over among the arguments, a call is no call of the entry.
        self.enter = None if entry is None or self.closed else entry.call

    def _build(self, program: Program) -> Any:
        build = _module(_BACKENDS[self.name]).build
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
        return kernel.entry([part.shape for part in parts], self.flags, *results, self._read, exact)

    def _exact_entry(self) -> Any:
        return self._entry(self._exact_kernel(), None)

    def _exact_kernel(self) -> Any:
        if self._exact is None:
            self._exact = self._build(self.program)
        return self._exact

    def slopes(self) -> _Plan | None:
        """Return the plan of the results and their derivatives by what the function closes over, if there is one."""
        if self._slopes is None:
            program = with_slopes(self.traced)
            self._slopes = (None if program is None else _Plan(program, self.flags, self.owner),)
        return self._slopes[0]

    def run(self, arrays: Sequence[Any], n: int) -> Any:
        """Run the kernel."""
        out = buffers.empty(self._outputs * n if self.layout.per_sample else self._outputs)
        self._kernel(arrays, n, out)
        if self.optimistic and buffers.has_nan(out):
            # A plain product may have made it of 0 and infinity (see passes.relax).
            self._exact_kernel()(arrays, n, out)
        return self._read(out, n)


@functools.cache
def _module(name: str) -> Any:
    try:
        return importlib.import_module(f".backends.{name}", __package__)
    except ModuleNotFoundError as error:
        if error.name not in ("numpy", "llvmlite"):
            raise
        raise MissingDependencyError(
            f'the backend needs {error.name}; install it with pip install "chainrule[jit]", or use backend="python"'
        ) from error


def _choose(backend: str, program: Program, most: int) -> str:
    steps = len(program)
    if backend != "auto":
        return backend
    if buffers.ARRAY is None:
        return "python"
    if importlib.util.find_spec("llvmlite") is None:
        return "numpy"
    if steps > most:
        warnings.warn(
            f"the program has {steps} steps, more than max_steps={most}: it runs with NumPy, not as machine code; "
            'raise max_steps or say backend="llvm" to compile it anyway',
            RuntimeWarning,
            stacklevel=5,
        )
        return "numpy"
    return "llvm"
