"""Take the steps of `fit` as machine code: one call takes many, each a gradient and an update of all parameters."""

from __future__ import annotations

import importlib
import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any, final

from chainrule import TraceError, no_grad
from chainrule.errors import needing
from chainrule.graph import arrays_whole_from

from .data import drawn
from .eager_steps import EagerSteps
from .predicting import predicted_array, repeats
from .step_functions import step_functions

# What a model, a loss or an optimiser raises that graphs can follow and a trace cannot.
UNTRACED = (TypeError, ValueError, ArithmeticError, AttributeError, LookupError, RuntimeError, ImportError)

_WHOLE = 32  # parameters that are traced as an array
# A call takes a fraction of a second, after which Ctrl-C and callbacks are heard: so many steps, numbers of samples in
# them, and parameters times samples.
_MOST, _MOST_NUMBERS, _MOST_WORK = 256, 1 << 18, 1 << 27
_MOST_TRIED = 50_000  # parameters times samples that are tried in both ways; two samples in any case

# Sums in another order differ by rounding; what agreement guards against differs by far more.
_AGREEMENT = 1e-9
_ROUNDING = 1e-12  # of numbers about the size of the data: where a model fits them, gradients are nothing else


@final
class MachineSteps:
    """Run steps as compiled functions over arrays; write what they come to back to the parameters on demand.

    Args:
        eager: the same steps by graphs, which machine code is tried against.
        must: whether an error is raised where a model that was changed cannot be compiled any more.

    Attributes:
        values, gradients: of the optimiser's parameters, as arrays.
        memories: what the optimiser remembers of them, as an array for each number of a memory.
        reason: why steps are taken through graphs from now on; empty while they are not.
    """

    def __init__(self, eager: EagerSteps, must: bool = True) -> None:
        with needing("fit(compiled=True)", "numpy"):
            self.np: Any = importlib.import_module("numpy")
        self.eager, self.recipe, self.size = eager, eager.recipe, eager.recipe.size
        self.model, self.optimiser = eager.model, eager.optimiser
        self.must, self.reason = must, ""
        self.rows, self.targets = [self.np.array(part, dtype=float) for part in (eager.rows, eager.targets)]
        self.weights = None if self.recipe.weights is None else self.np.array(self.recipe.weights, dtype=float)
        self.values, self.memories = self._numbers()
        self.gradients: Any = self.np.zeros_like(self.values)
        self.is_written = True
        samples = self.size * (self.rows[0].size + self.targets[0].size + 1)
        work = self.size * max(1, len(self.values))
        most = min(-(-len(self.rows) // self.size), _MOST, _MOST_NUMBERS // samples, _MOST_WORK // work)
        self.most = 1 << max(0, most - 1).bit_length()  # one of few, since code is compiled for each
        # The samples of one call, whose memory is used again.
        shape = self.most, self.size
        self.batches = [self.np.zeros((*shape, *part.shape[1:])) for part in (self.rows, self.targets)]
        self.shares: Any = self.np.zeros(shape)
        self.drawn = [self.np.zeros((*shape, self.recipe.draws))] if self.recipe.draws else []
        self.gathered: Sequence[Sequence[int]] = []
        self.unused = self.optimiser.scalars()  # for calls whose update is dropped: a schedule may end with the steps
        self._compile()

    # ---- what is compiled ----

    def _compile(self) -> None:
        """Find the compiled steps, and try them against graphs.

        Errors: those of tracing; `ValueError` for a model that draws random numbers, and for a loss that is no mean.
        """
        start = self.recipe.source.getstate()
        batch = range(min(self.size, max(2, _MOST_TRIED // max(1, len(self.values)))))
        wanted = [self.eager.take(batch), *[parameter.grad for parameter in self.optimiser.parameters]]
        self.optimiser.zero_grad()
        self.recipe.source.setstate(start)  # for the same numbers, which are not used up
        self.key, self.functions = step_functions(self.model, self.recipe, self.unused)
        was_tried = self.functions.is_tried
        if not was_tried and not repeats(self.model, self.eager.rows[0], len(self.values)):
            raise ValueError(
                "fit(compiled=True) expected a model that gives the same for the same row but got another output in "
                "another call; take compiled=False"
            )
        try:
            self._check_agreement(batch, wanted)
        except UNTRACED:
            if not was_tried:
                raise
            # What they were made of was changed where the key does not look: in a global variable, say.
            self.key, self.functions = step_functions(self.model, self.recipe, self.unused, fresh=True)
            self._check_agreement(batch, wanted)
        self.functions.is_tried = True

    def _check_agreement(self, batch: Sequence[int], wanted: list[float]) -> None:
        """Compare a loss and its gradients with those of the graph."""
        start = self.recipe.source.getstate()
        (_, gradients, _), losses = self._call([batch], [self.unused])
        self.recipe.source.setstate(start)
        found = [float(losses[0]), *gradients.tolist()]
        size_of_data = max(1.0, abs(self.rows).max(), abs(self.targets).max())
        tolerance = _AGREEMENT * max(map(abs, wanted)) + _ROUNDING * size_of_data
        # One that is nan on both sides is no disagreement: fit reports it.
        if any(abs(a - b) > tolerance for a, b in zip(found, wanted, strict=True)):
            raise ValueError(
                "fit(compiled=True) expected a loss that is the mean over samples and depends on parameters through "
                f"predictions alone, but over the first samples the compiled loss is {found[0]:.6g} and that of the "
                f"graph {wanted[0]:.6g}, or their gradients differ; take compiled=False, or the weight_decay of an "
                "optimiser for a penalty"
            )

    # ---- what is called ----

    def take(self, batch: Sequence[int]) -> float:
        """Return the loss over the samples at these positions, and keep its gradients."""
        if self.reason:
            return self.eager.take(batch)
        start = self.recipe.source.getstate() if self.drawn else None
        (_, self.gradients, _), losses = self._call([batch], [self.unused])
        self.is_written = False
        if math.isfinite(losses[0]):
            return float(losses[0])
        # The graph may tell what was wrong: a class that has no score, say.
        self.write_back()
        if start is not None:
            self.recipe.source.setstate(start)
        return self.eager.take(batch)

    def run(self, batches: Sequence[Sequence[int]]) -> Iterator[float]:
        """Take a step for each batch, and yield its loss; one that is not finite is yielded before its step."""
        if self.reason:
            yield from self.eager.run(batches)
            return
        for start in range(0, len(batches), self.most):
            yield from self._several(batches[start : start + self.most])

    def _several(self, batches: Sequence[Sequence[int]]) -> Iterator[float]:
        if self.functions.moves:
            yield from self._by_machine(batches)
            return
        for batch in batches:
            yield self.take(batch)
            self.write_back()
            self.optimiser.step()
            self.values, self.memories = self._numbers()

    def _by_machine(self, batches: Sequence[Sequence[int]]) -> Iterator[float]:
        scalars, error = self._scalars(len(batches))
        if error is not None:
            yield from self._by_machine(batches[: len(scalars)]) if scalars else ()
            raise error
        start = self.recipe.source.getstate() if self.drawn else None
        state, losses = self._call(batches, scalars)
        finite = self.np.isfinite(losses)
        good = len(batches) if finite.all() else int(finite.argmin())
        if good < len(batches) and start is not None:
            self.recipe.source.setstate(start)
        if 0 < good < len(batches):
            state, _ = self._call(batches[:good], scalars[:good])
        if good:
            self.values, self.gradients, self.memories = state
            self.is_written = False
            self.optimiser.steps += good
        yield from losses[:good].tolist()
        if good < len(batches):
            yield self.take(batches[good])

    def _scalars(self, count: int) -> tuple[list[tuple[float, ...]], BaseException | None]:
        """Return the optimiser's scalars of the next steps, up to those that are an error."""
        scalars: list[tuple[float, ...]] = []
        taken = self.optimiser.steps
        try:
            for _ in range(count):
                scalars.append(self.optimiser.scalars())
                self.optimiser.steps += 1
        except BaseException as error:  # such as Ctrl-C: the steps before it are taken, then it is raised
            return scalars, error
        finally:
            self.optimiser.steps = taken
        return scalars, None

    def _call(self, batches: Sequence[Sequence[int]], scalars: Sequence[tuple[float, ...]]) -> Any:
        """Take steps; return the state after them and their losses."""
        self._gather(batches)
        padded = self.np.zeros((self.most, len(scalars[0])))
        padded[: len(scalars)] = scalars
        given = float(len(batches)), padded, *self.batches, self.shares, *self.drawn, self.values, *self.memories
        # Vars that the loss closes over are numbers here; the state is traced as a few arrays, whatever its size.
        with no_grad(), arrays_whole_from(_WHOLE):
            try:
                state, losses = self.functions.steps(*given)
            except TraceError:
                if not self.functions.moves:
                    raise
                # An update with branches of its own runs as it is written, beside compiled gradients.
                self.functions.without_update()
                state, losses = self.functions.steps(*given)
        return state, losses[: len(batches)]

    def _gather(self, batches: Sequence[Sequence[int]]) -> None:
        """Copy samples to where code reads them, and how much each adds to the loss of its batch."""
        if len(batches) == len(self.gathered) and all(map(operator.is_, batches, self.gathered)) and not self.drawn:
            return  # they are there, as where all samples are one batch
        self.gathered = batches
        count, size, np = len(batches), self.size, self.np
        lengths = np.array(list(map(len, batches)))
        is_full = bool((lengths == size).all())
        # What fills a shorter batch is a sample of it, of which nothing counts.
        full = batches if is_full else [[*batch, *[batch[0]] * (size - len(batch))] for batch in batches]
        positions = np.concatenate(full).astype(np.intp, copy=False).reshape(count, size)
        for part, batch in zip((self.rows, self.targets), self.batches, strict=True):
            np.take(part, positions, axis=0, out=batch[:count], mode="clip")
        if is_full and self.weights is None and not self.drawn:
            self.shares[:count] = 1.0 / size
            return
        counted = np.arange(size) < lengths[:, None]
        for part in self.drawn:
            numbers = drawn(int(lengths.sum()) * self.recipe.draws, self.recipe.source)
            part[:count][counted] = np.reshape(numbers, (-1, self.recipe.draws))
        weights = counted * (1.0 if self.weights is None else self.weights[positions])
        totals = weights.sum(axis=1, keepdims=True)
        self.shares[:count] = np.divide(weights, totals, out=np.zeros_like(weights), where=totals > 0.0)

    # ---- what others see and change ----

    def write_back(self) -> None:
        """Update the values and gradients of the parameters, and what the optimiser remembers."""
        if self.is_written or self.reason:
            return
        columns = [memory.tolist() for memory in self.memories]
        if columns:
            self.optimiser.memories = list(zip(*columns, strict=True))
        for parameter, value, gradient in zip(
            self.optimiser.parameters, self.values.tolist(), self.gradients.tolist(), strict=True
        ):
            parameter.value, parameter.grad = value, gradient
        self.is_written = True

    def read_again(self) -> None:
        """Continue from the parameters, the optimiser and the model as they are now, whatever was changed there."""
        if self.reason:
            return
        self.values, self.memories = self._numbers()
        try:
            key, functions = step_functions(self.model, self.recipe, self.unused)
            if key != self.key or functions is not self.functions:
                self._compile()
                self.is_written = False
                self.write_back()  # the trial had gradients of its own
        except UNTRACED as error:
            if self.must:
                raise
            self.reason = f"{type(error).__name__}: {error}"

    def _numbers(self) -> tuple[Any, tuple[Any, ...]]:
        values = self.np.array([parameter.value for parameter in self.optimiser.parameters])
        return values, tuple([self.np.array(column) for column in zip(*self.optimiser.memories, strict=True)])

    def snapshot(self) -> Any:
        """Return the current values of the parameters."""
        return self.eager.snapshot() if self.reason else self.values.copy()

    def go_back(self, values: Any) -> None:
        """Set the parameters to values that `snapshot` returned, or a checkpoint kept."""
        if self.reason:
            self.eager.go_back(values)
            return
        self.values, self.is_written = self.np.array(values), False
        self.write_back()

    def predict(self, rows: Any) -> Any:
        """Return the predictions for these rows, as plain numbers."""
        self.write_back()
        found = predicted_array(self.model, rows, at_once=True)
        return self.model.predict(rows) if found is None else found.tolist()
