"""Compile the steps of `fit` once for all trainings that are alike: architecture, loss, optimiser's rule, bounds."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Hashable
from dataclasses import replace
from typing import Any, final

import chainrule

from .architecture import Latest, architecture
from .blocks import drawing
from .module import Module
from .optimisers import Optimiser
from .recipe import Recipe

_KEPT = 16


def step_functions(
    model: Module, recipe: Recipe, scalars: tuple[float, ...], fresh: bool = False
) -> tuple[Hashable, StepFunctions]:
    """Return the compiled steps of such a training, and what tells it from others.

    Args:
        model, recipe: of the training.
        scalars: of any step.
        fresh: whether to compile again, where what was compiled before turned out to be of something else.

    Errors: `TypeError` for an optimiser whose `update` reads how many steps were taken, which code would keep;
    `ValueError` for one of a parameter that was frozen, which it may move without its gradient.
    """
    if not all(parameter.requires_grad for parameter in recipe.optimiser.parameters):
        raise ValueError(
            "fit(compiled=True) expected an optimiser of parameters that require gradients but one of them is frozen; "
            "take compiled=False, or make an optimiser of the others"
        )
    moving = {id(parameter): k for k, parameter in enumerate(recipe.optimiser.parameters)}
    structure, found = architecture(model, moving)
    order = tuple([moving[id(parameter)] for parameter in found])
    bounds = recipe.l1, recipe.clip_value, recipe.clip_norm, recipe.threads, recipe.draws
    key = structure, len(moving), order, architecture(recipe.loss)[0], rule(recipe.optimiser, scalars), bounds
    functions = None if fresh else _functions.get(key)
    if functions is None:
        functions = _functions[key] = StepFunctions(model, recipe)
    return key, functions


def rule(optimiser: Optimiser, scalars: tuple[float, ...] | None = None) -> Hashable:
    """Return what `update` of an optimiser depends on besides its arguments.

    Args:
        optimiser: read, and left as it is.
        scalars: of any step; None for those of the first.

    >>> from chainrule import Var
    >>> from chainrule.nn import SGD
    >>> one, other = [SGD([Var(0.0)], lr=lr, momentum=0.9) for lr in (0.1, 0.2)]
    >>> rule(one) == rule(other)
    True
    >>> one.nesterov = True
    >>> rule(one) == rule(other)
    False
    """
    read: set[str] = set()

    def reading(self: Any, name: str) -> Any:
        read.add(name)
        return object.__getattribute__(self, name)

    watched = copy.copy(optimiser)
    if scalars is None:
        vars(watched)["steps"] = 0  # a schedule may have no rate for the next one
        scalars = watched.scalars()
    watched.__class__ = type("Watched", (type(optimiser),), {"__getattribute__": reading})
    with contextlib.suppress(ArithmeticError):  # what was read until then is read in any case
        watched.update(0.5, 0.25, optimiser.memories[0], *scalars)
    if "steps" in read:
        raise TypeError(
            f"fit(compiled=True) expected {type(optimiser).__name__}.update to depend on its arguments but it reads "
            "self.steps, which is another number in each step; return what it needs from scalars"
        )
    own = vars(optimiser)
    return type(optimiser), tuple([(name, _part(own[name])) for name in sorted(read.intersection(own))])


def _part(value: Any) -> Hashable:
    if isinstance(value, Optimiser):
        return rule(value)
    if isinstance(value, list | tuple):
        return type(value), tuple(map(_part, value))
    return architecture(value)[0]


@final
class StepFunctions:
    """Steps over arrays, for models and optimisers that are copied, so that no change of theirs reaches what is here.

    Attributes:
        steps: takes the state, batches and how many of them count; returns the state after them and each loss.
        moves: whether the update is part of a step.
        is_tried: whether they were found to do what graphs do.
    """

    def __init__(self, model: Module, recipe: Recipe) -> None:
        moving = {id(parameter): k for k, parameter in enumerate(recipe.optimiser.parameters)}
        self.places = [moving.get(id(parameter)) for parameter in model.parameters()]
        self.moves_all = self.places == list(range(len(moving)))
        self.model = copy.deepcopy(model)
        # Without the parameters, of which update knows nothing.
        optimiser = copy.deepcopy(recipe.optimiser, dict.fromkeys(moving))
        self.recipe = replace(recipe, optimiser=optimiser, weights=None)
        self.moves, self.is_tried = True, False
        self.steps = self._compiled()

    def without_update(self) -> None:
        """Leave the update, which cannot be traced, to the optimiser."""
        self.moves, self.steps = False, self._compiled()

    def _compiled(self) -> Any:
        return chainrule.compile(self._steps, threads=self.recipe.threads)

    def _steps(self, count: Any, *arrays: Any) -> Any:
        """Take `count` steps; return values, gradients and memories after them, and the loss of each.

        Args:
            count: at most the length of the batches.
            arrays: scalars, rows, targets, shares and, if any, random numbers of each batch, then values and memories:
                one by one, which is quickest.
        """
        of_batches = 5 if self.recipe.draws else 4
        values, *memories = arrays[of_batches:]
        return chainrule.scan(self._step, (values, values * 0.0, tuple(memories)), arrays[:of_batches], length=count)

    def _step(self, state: Any, batch: Any) -> Any:
        """Take one step over samples, each with a weight, with these scalars of the optimiser."""
        (values, _, memories), (scalars, *samples) = state, batch

        def of_one(sample: Any, values: Any) -> Any:
            x, target, weight, *numbers = sample
            with drawing(numbers[0]) if numbers else contextlib.nullcontext():
                return weight * self.recipe.loss([self._with(values)(x)], [target])

        def total(values: Any) -> Any:
            return chainrule.map(of_one, tuple(samples), values, reduce="sum")

        loss, gradients = chainrule.value_and_grad(total)(values)
        gradients = self._bounded(values, gradients)
        if self.moves:
            values, memories = chainrule.map(self._updated, (values, gradients, *memories), scalars)
        return (values, gradients, memories), loss

    def _with(self, values: Any) -> Module:
        """Return the model with these values for the parameters of the optimiser."""
        if self.moves_all:
            return self.model.with_parameters(values)
        own = zip(self.model.parameters(), self.places, strict=True)
        return self.model.with_parameters([p if place is None else values[place] for p, place in own])

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
        return self.recipe.optimiser.update(value, gradient, tuple(memory), *scalars)


_functions: Latest[StepFunctions] = Latest(_KEPT)
