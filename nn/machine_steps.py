"""Take the steps of `fit` as machine code: one call takes many, each a gradient and an update of all parameters."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Sequence
from typing import Any, final

import chainrule
from chainrule import TraceError
from chainrule.errors import needing
from chainrule.graph import arrays_whole_from

from .eager_steps import EagerSteps
from .module import Module

_WHOLE = 32  # parameters that are traced as an array
_MOST = 256  # steps that one call takes: a fraction of a second, after which Ctrl-C and callbacks are heard


@final
class MachineSteps:
    """Run steps as compiled functions over arrays; write what they come to back to the parameters on demand.

    Attributes:
        values, gradients: of the optimiser's parameters, as arrays.
        memories: what the optimiser remembers of them, as an array for each number of a memory.
    """

    def __init__(self, eager: EagerSteps) -> None:
        with needing("fit(compiled=True)", "numpy"):
            self.np: Any = importlib.import_module("numpy")
        self.eager, self.recipe, self.size = eager, eager.recipe, eager.recipe.size
        self.model, self.optimiser = eager.model, eager.optimiser
        own = list(map(id, self.model.parameters()))
        self.moves_all = own == list(map(id, self.optimiser.parameters))
        self.rows, self.targets = [self.np.array(part, dtype=float) for part in (eager.rows, eager.targets)]
        self.read_again()
        self.gradients: Any = self.np.zeros_like(self.values)
        self.most = max(1, min(_MOST, -(-len(self.rows) // self.size)))
        self.unused = eager.optimiser.scalars()  # for calls whose update is dropped: a schedule may end with the steps
        self.moves = True  # whether the update is part of a step
        self.steps = chainrule.compile(self._steps, threads=self.recipe.threads)
        self.output = chainrule.compile(self._output_of_one, batch="x")

    # ---- what is compiled ----

    def _with(self, values: Any) -> Module:
        """Return the model with these values for the parameters of the optimiser."""
        if self.moves_all:
            return self.model.with_parameters(values)
        moving = {id(p): value for p, value in zip(self.optimiser.parameters, values, strict=True)}
        return self.model.with_parameters([moving.get(id(p), p) for p in self.model.parameters()])

    def _output_of_one(self, values: Any, x: Any) -> Any:
        return self._with(values)(x)

    def _steps(self, state: Any, batches: Any, count: Any, rows: Any, targets: Any) -> Any:
        """Take `count` steps; return the state after them and the loss of each."""
        return chainrule.scan(self._step, state, batches, rows, targets, length=count)

    def _step(self, state: Any, batch: Any, rows: Any, targets: Any) -> Any:
        """Take one step over the samples at some positions, each with a weight, with these scalars of the optimiser."""
        (values, _, memories), (positions, weights, scalars) = state, batch

        def of_one(sample: Any, values: Any) -> Any:
            x, target, weight = sample
            return weight * self.recipe.loss([self._with(values)(x)], [target])

        def total(values: Any) -> Any:
            samples = rows[positions], targets[positions], weights
            return chainrule.map(of_one, samples, values, reduce="sum")

        loss, gradients = chainrule.value_and_grad(total)(values)
        gradients = self._bounded(values, gradients)
        if self.moves:
            values, memories = chainrule.map(self._updated, (values, gradients, *memories), scalars)
        return (values, gradients, memories), loss

    def _bounded(self, values: Any, gradients: Any) -> Any:
        recipe = self.recipe
        if recipe.l1 or recipe.clip_value is not None:
            gradients = chainrule.map(lambda pair: recipe.bounded(*pair), (values, gradients))
        if recipe.clip_norm is not None:
            scale = recipe.scale(chainrule.norm(gradients))
            gradients = chainrule.map(lambda gradient, scale: gradient * scale, gradients, scale)
        return gradients

    def _updated(self, parameter: Any, scalars: Any) -> Any:
        value, gradient, *memory = parameter
        return self.optimiser.update(value, gradient, tuple(memory), *scalars)

    # ---- what is called ----

    def take(self, batch: Sequence[int]) -> float:
        """Return the loss over the samples at these positions, and keep its gradients."""
        (_, self.gradients, _), losses = self._call([batch], [self.unused])
        if math.isfinite(losses[0]):
            return float(losses[0])
        # The graph may tell what was wrong: a class that has no score, say.
        self.write_back()
        return self.eager.take(batch)

    def run(self, batches: Sequence[Sequence[int]]) -> Iterator[float]:
        """Take a step for each batch, and yield its loss; one that is not finite is yielded before its step."""
        for start in range(0, len(batches), self.most):
            yield from self._several(batches[start : start + self.most])

    def _several(self, batches: Sequence[Sequence[int]]) -> Iterator[float]:
        if self.moves:
            yield from self._by_machine(batches)
            return
        for batch in batches:
            yield self.take(batch)
            self.write_back()
            self.optimiser.step()
            self.read_again()

    def _by_machine(self, batches: Sequence[Sequence[int]]) -> Iterator[float]:
        scalars, error = self._scalars(len(batches))
        if error is not None:
            yield from self._by_machine(batches[: len(scalars)]) if scalars else ()
            raise error
        state, losses = self._call(batches, scalars)
        finite = self.np.isfinite(losses)
        good = len(batches) if finite.all() else int(finite.argmin())
        if 0 < good < len(batches):
            state, _ = self._call(batches[:good], scalars[:good])
        if good:
            self.values, self.gradients, self.memories = state
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
        positions, weights = self.np.zeros((2, self.most, self.size))
        for k, batch in enumerate(batches):
            positions[k, : len(batch)] = batch
            weights[k, : len(batch)] = 1.0 / len(batch) if self.recipe.weights is None else self.recipe.shares(batch)
        padded = self.np.zeros((self.most, len(scalars[0])))
        padded[: len(scalars)] = scalars
        state = self.values, self.gradients, self.memories
        # Vars that the loss closes over are numbers here; the state is traced as a few arrays, whatever its size.
        with chainrule.no_grad(), arrays_whole_from(_WHOLE):
            given = (positions, weights, padded), float(len(batches)), self.rows, self.targets
            try:
                state, losses = self.steps(state, *given)
            except TraceError:
                if not self.moves:
                    raise
                # An update with branches of its own runs as it is written, beside compiled gradients.
                self.moves, self.steps = False, chainrule.compile(self._steps, threads=self.recipe.threads)
                state, losses = self.steps(state, *given)
        return state, losses[: len(batches)]

    def write_back(self) -> None:
        """Update the values and gradients of the parameters, and what the optimiser remembers."""
        columns = [memory.tolist() for memory in self.memories]
        if columns:
            self.optimiser.memories = list(zip(*columns, strict=True))
        for parameter, value, gradient in zip(
            self.optimiser.parameters, self.values.tolist(), self.gradients.tolist(), strict=True
        ):
            parameter.value, parameter.grad = value, gradient

    def read_again(self) -> None:
        """Continue from the current values of the parameters, and from what the optimiser remembers."""
        self.values = self.np.array([parameter.value for parameter in self.optimiser.parameters])
        self.memories = tuple(self.np.array(column) for column in zip(*self.optimiser.memories, strict=True))

    def snapshot(self) -> Any:
        """Return the current values of the parameters."""
        return self.values.copy()

    def go_back(self, values: Any) -> None:
        """Set the parameters to values that `snapshot` returned, or a checkpoint kept."""
        self.values = self.np.array(values)
        self.write_back()

    def predict(self, rows: Any) -> Any:
        """Return the predictions for these rows, as plain numbers."""
        with chainrule.no_grad():
            outputs = self.output(self.values, self.np.array(rows, dtype=float))
        if isinstance(outputs, list | tuple):
            # One array for each output, as the model returns a list.
            return [list(row) for row in zip(*(output.tolist() for output in outputs), strict=True)]
        return outputs.tolist()
