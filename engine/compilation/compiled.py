"""What `compile` makes of a function: for each structure of arguments it traces it, and hands a backend the program."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..backends import buffers
from ..data import Structure
from ..errors import describe
from ..floats import FORMATS
from ..graph import current, is_recording, is_strict, modes, running_alone, uncollected
from ..pickling import pickled_as, unpickled
from ..programs import Program, Tracer, by_name, function_name, positional, trace_for
from .choosing import backend_module
from .packing import Argument, samples_in
from .parts import Parts
from .plan import Options, Plan
from .recorded_calls import call_on_nodes, call_on_numbers
from .reductions import Reductions
from .replaying import blame
from .specialising import Methods, Static, parameters_of, positions, refuse_by_keyword

if TYPE_CHECKING:
    from pathlib import Path

    from .reporting import Report

Function = Callable[..., Any]
Reduce = Any  # None, "sum", "mean", or a structure of these


@pickled_as("compiled")
class Compiled:
    """A compiled function: call it like the function it was made from.

    Attributes:
        program: what the latest call or `trace` traced, after all passes.
    """

    def __init__(
        self,
        f: Function,
        batch: tuple[str | int, ...],
        reduce: Reduce,
        backend: str,
        threads: int,
        max_steps: int,
        static: tuple[str | int, ...] = (),
        dtype: str = "float64",
    ) -> None:
        buffers.load()  # here, since a copy in another process is made without `compile`
        self.f = f
        self._named = batch, static
        self.reduce = reduce
        self.backend = backend
        self.threads = threads
        self.max_steps = max_steps
        self.dtype = dtype
        self._dtype = None if buffers.np is None else buffers.np.dtype(dtype)
        self._parameters = parameters_of(f)
        self._paths = [item for item in batch if isinstance(item, str) and "." in item]
        self._batch = positions(f, self._parameters, "batch", [item for item in batch if item not in self._paths])
        self._fixed = positions(f, self._parameters, "static", static)
        self._methods = Methods(f, lambda own: self._like(own, frozenset((0,))))
        self._flags: dict[int, tuple[bool, ...]] = {}
        self._plans: dict[Any, Plan] = {}
        self._latest: Plan | None = None
        self._enter: Callable[[tuple[Any, ...]], Any] | None = None
        if reduce is not None and not batch:
            raise ValueError(
                f"compile expected batch to name the arguments to reduce over but got reduce={reduce!r} alone"
            )
        if self._batch & self._fixed:
            raise ValueError(
                f"compile expected an argument in batch or in static, not in both, but got {describe('batch', batch)} "
                f"and {describe('static', static)}"
            )
        # What takes calls instead: by reductions, with parts of arguments, or for values of static ones.
        self._inner: Reductions | Parts | Static | None = None
        if isinstance(reduce, (list, tuple, dict)):
            own = backend, threads, max_steps, static, dtype
            self._inner = Reductions(f, reduce, lambda own_f, way: Compiled(own_f, batch, way, *own))
        elif self._paths:
            self._inner = Parts(f, self._parameters, self._paths, self._batch, self._with_parts)
        elif static:
            self._inner = Static(f, self._fixed, lambda own: self._like(own, self._fixed))
        functools.update_wrapper(self, f, updated=())

    def __reduce__(self) -> Any:
        # Machine code stays in its process; a copy compiles again, or finds what it needs on disk.
        batch, static = self._named
        own = self.f, batch, self.reduce, self.backend, self.threads, self.max_steps, static, self.dtype
        return by_name(self) or (unpickled, ("compiled", *own))

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return self if instance is None else self._methods.of(instance)

    def __call__(self, *args: Any, **named: Any) -> Any:
        strict = modes.blocks and is_strict()
        if self._enter is not None and not named and not strict:
            # What the latest call was made with comes again as a rule.
            result = self._enter(args)
            if result is not None:
                return result
        if "out" in named and "out" not in self._parameters:
            return self._call_into(named.pop("out"), args, named)
        if self._inner is not None:
            own, rest = self._inner.of(args, named)
            result = own(*rest)
            self._latest = own._latest
            return result
        if named:
            args = self._positional(args, named)
        if strict:
            return self._search(args)
        flags = self._flags.get(len(args)) or self._flags_for(len(args))
        # The quick way, for arrays of the dtype in C order; small calls are counted in microseconds.
        array, kind, n = buffers.ARRAY, self._dtype, -1
        key: list[Any] = []
        for arg, batched in zip(args, flags, strict=True):
            if type(arg) is not array or arg.dtype is not kind or not arg.flags.c_contiguous:
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
        if self._inner is not None:
            own, rest = self._inner.of(examples, {})
            program: Program = own.trace(*rest)
            self._latest = own._latest
            return program
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
        """The program that the latest call compiled."""
        return self._plan().program

    def source(self, language: str) -> str:
        """Return the code generated for the latest call: "python" or "c", which compute in doubles, or "llvm"."""
        plan = self._plan()
        if language == "python":
            text: str = backend_module("python_").source(plan.program)
        elif language == "c":
            text = backend_module("c").source(plan.program, plan.flags, self.reduce, name=plan.program.name)
        elif language == "llvm":
            text = backend_module("llvm").source(plan.program, plan.flags, self.reduce, plan.options.format)
        else:
            raise ValueError(f'source expected "python", "c" or "llvm" but got {describe("language", language)}')
        return text

    def report(self, *args: Any, **named: Any) -> Report:
        """Measure what a call with these arguments does: a table of loops, with their operations, bytes and times.

        Each loop of the program, and the steps between two, is compiled as a program of its own and run several times
        with the numbers that it gets in the call; the least time counts, without that of calling. Of a batch as many
        samples are taken as fit into the cache, on one thread, and the times are those of all. The whole call is
        measured, too, with its threads; it may take less than its parts, which hand numbers to each other in memory,
        or more, for what it reads and writes.

        Operations are counted in the program, bytes by the shapes of the values that a part takes and gives; a table's
        rows have them as numbers (see `ReportRow`). Loops that end by a condition, or run as often as a number says,
        are counted while they run. Without NumPy only the whole call is measured.

        >>> import chainrule as cr
        >>> import numpy as np
        >>> def energy(w, x):
        ...     return cr.sum(cr.exp(w * x))
        >>> report = cr.compile(energy, backend="numpy").report(0.5, np.ones(1000))
        >>> [(row.name, row.length, row.flops, row.functions, row.read, row.written) for row in report.rows]
        [('map exp', 1000, 2000, 1000, 8008, 8)]
        >>> len(str(report).splitlines())
        4

        Errors: `TypeError` for Vars, `ValueError` for a batch without samples, and where parts of the result are
        reduced in different ways, since there are several programs.
        """
        if self._inner is not None:
            own, rest = self._inner.of(args, named)
            found: Report = own.report(*rest)
            self._latest = own._latest
            return found
        args = self._positional(args, named) if named else args
        packed, n, plan = self._prepared(args)
        if plan is None:
            raise TypeError(f"report expected numbers but got Vars; pass their values to {function_name(self.f)}")
        if not n:
            raise ValueError("report expected a batch of at least one sample but got none")
        measured = importlib.import_module(".reporting", __package__).measured
        arrays = plan.arrays(packed, n)
        report: Report = measured(plan, arrays, n, lambda: self(*args) if not plan.closed else plan.run(arrays, n))
        return report

    def export_c(self, path: Any) -> Path:
        """Write the latest call's program as a C99 file and a header for C and C++; return the path of the C file.

        The header, beside it and named alike, documents the function, which takes and gives doubles. Where it works in
        more than fits on a small stack, its caller gives it the memory: ``NAME_WORK`` numbers, of each thread its own.

        Errors: `ValueError` where the path does not end in ``.c``; `OSError` where it may not be written.
        """
        plan = self._plan()
        target: Path = backend_module("c").write(path, plan.program, plan.flags, self.reduce)
        return target

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle: dict[str, str] = importlib.import_module("chainrule.viz").mimebundle(self)
        return bundle

    def __repr__(self) -> str:
        return f"<compiled {function_name(self.f)}: {len(self._plans)} programs, backend {self.backend}>"

    def _like(self, f: Function, dropped: frozenset[int]) -> Compiled:
        """Return another function compiled with the same options, without some of the arguments."""
        batch, static = (
            tuple([k - sum(place < k for place in dropped) for k in sorted(places - dropped)])
            for places in (self._batch, self._fixed)
        )
        own = self.reduce, self.backend, self.threads, self.max_steps, static, self.dtype
        return Compiled(f, (*batch, *self._paths), *own)

    def _with_parts(self, f: Function) -> Compiled:
        """Return a function compiled in the same way that has the parts as arguments before its own."""
        count = len(self._paths)
        batch, static = (tuple([k + count for k in sorted(places)]) for places in (self._batch, self._fixed))
        batch = (*range(count), *batch)
        return Compiled(f, batch, self.reduce, self.backend, self.threads, self.max_steps, static, self.dtype)

    def without_reduction(self) -> Compiled:
        """Return the same function compiled to give the results of each sample."""
        batch, static = self._named
        return Compiled(self.f, batch, None, self.backend, self.threads, self.max_steps, static, self.dtype)

    # ---- from arguments to a plan ----

    def _positional(self, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        bound = inspect.signature(self.f).bind(*args, **named)
        for name, value in bound.kwargs.items():
            refuse_by_keyword(self.f, name, value)
        bound.apply_defaults()
        return bound.args

    def _call(self, args: Sequence[Any], flags: tuple[bool, ...]) -> Any:
        """Call with arguments of any kind."""
        packed = self._packed(args, flags)
        n = samples_in(packed, self.f)
        if n and any(argument.symbolic for argument in packed):
            return call_on_nodes(self.f, packed, n, self.reduce)
        plan = self._plan_for(packed, flags)
        if plan is None or (plan.closed and current.since):
            # What `f` closes over may be another Var at each call.
            return call_on_nodes(self.f, packed, n, self.reduce)
        arrays = plan.arrays(packed, n)
        if is_recording() and any(number.requires_grad for number in plan.closed):
            return call_on_numbers(plan, packed, arrays, n)
        return plan.run(arrays, n)

    def _call_into(self, out: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call, and write the results into the arrays of `out`."""
        if self._inner is not None:
            own, rest = self._inner.of(args, named)
            result = own._call_into(out, tuple(rest), {})
            self._latest = own._latest
            return result
        args = positional(self.f, args, named, function_name(self.f)) if named else args
        strict = modes.blocks and is_strict()
        if not strict and self._latest and (result := self._latest.enter_into(out, args)) is not None:
            return result
        if strict:
            self._search(args)
        packed, n, plan = self._prepared(args)
        if plan is None or (is_recording() and any(number.requires_grad for number in plan.closed)):
            raise TypeError(
                f"{function_name(self.f)} expected numbers where results go to out but got Vars, whose results are "
                "Vars; call it without out"
            )
        return plan.run_into(out, plan.arrays(packed, n), n)

    def _search(self, args: tuple[Any, ...]) -> Any:
        """Call within `strict`: name the operation that made a result nan or infinite."""
        packed, n, plan = self._prepared(args)
        if plan is not None:
            out = plan.numbers(plan.arrays(packed, n), n)
            if not buffers.all_finite(out):
                blame(self, plan, packed, n, out.tolist())
        return self._call(args, self._flags_for(len(args)))

    def _prepared(self, args: tuple[Any, ...]) -> tuple[list[Argument], int, Plan | None]:
        """Return the arguments as packed, how many samples there are, and the plan, None unless all are numbers."""
        flags = self._flags_for(len(args))
        packed = self._packed(args, flags)
        n = samples_in(packed, self.f)
        return packed, n, None if any(argument.symbolic for argument in packed) else self._plan_for(packed, flags)

    def _plan_for(self, packed: Sequence[Argument], flags: tuple[bool, ...]) -> Plan | None:
        """Return the plan for such arguments; None if what `f` closes over belongs to this call alone."""
        key = tuple([argument.key for argument in packed])
        plan = self._plans.get(key)
        if plan is None:
            with uncollected(), running_alone(not any(flags)):
                structure = Structure("tuple", tuple([argument.structure for argument in packed]))
                traced = self.f if isinstance(self.f, Program) else trace_for(self.f, structure)
            # Inside of a trace or a derivative, the next one closes over other numbers.
            if traced.closed and (current.since or any(isinstance(number, Tracer) for number in traced.closed)):
                return None
            with uncollected():
                options = Options(self.reduce, self.backend, self.threads, self.max_steps, FORMATS[self.dtype])
                plan = self._plans[key] = Plan(traced, flags, options)
            if list(structure.truths()):
                plan.enter = None  # which would take doubles, too
        self._latest, self._enter = plan, plan.enter
        return plan

    def _packed(self, args: Sequence[Any], flags: tuple[bool, ...]) -> list[Argument]:
        return [Argument(arg, flag, self._name(k)) for k, (arg, flag) in enumerate(zip(args, flags, strict=True))]

    def _plan(self) -> Plan:
        if self._latest is None:
            if isinstance(self._inner, Reductions):
                self._inner.trace()
            raise ValueError(
                "the function is compiled when it is called; call it, or its method trace(*examples), first"
            )
        return self._latest

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
