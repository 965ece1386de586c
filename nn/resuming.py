"""The state of a training as plain data, to write a checkpoint and to continue from one: `State`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .callbacks import Callback, remembering
from .checkpoints import (
    check_optimiser_state,
    digest,
    optimiser_state,
    set_optimiser_state,
    set_source_state,
    source_state,
)
from .data import Batches
from .history import History
from .recipe import Recipe


@dataclasses.dataclass
class State:
    """What a training is at, besides its steps and callbacks: what a checkpoint keeps and sets again.

    Attributes:
        recipe: what a step does, with the optimiser and the source of random numbers.
        order: of the batches.
        history: what was measured.
        held_out: the positions of samples drawn to be held out; None where none were drawn.
        same: what has to be the same when a training is resumed, by name.
        data: the samples, of which a checkpoint keeps a digest.
    """

    recipe: Recipe
    order: Batches
    history: History
    held_out: Sequence[int] | None
    same: Mapping[str, Any]
    data: Sequence[Sequence[Any]]

    NAMES: ClassVar = (
        "same",
        "parameters",
        "optimiser",
        "source",
        "waiting",
        "held_out",
        "history",
        "best",
        "callbacks",
    )

    @functools.cached_property
    def digest(self) -> str:
        """The fingerprint of the data, made once."""
        return digest(self.data)

    def kept(self) -> dict[str, Any]:
        """Return it as plain data."""
        parameters = self.history.model.state_dict()
        return {
            "same": {"data": self.digest, **self.same},
            "parameters": {"names": list(parameters), "values": list(parameters.values())},
            "optimiser": optimiser_state(self.recipe.optimiser),
            "source": source_state(self.recipe.source),
            "waiting": [list(map(int, batch)) for batch in self.order.waiting],
            "held_out": self.held_out,
            "history": self.history.kept(),
        }

    def resume(self, kept: Mapping[str, Any], callbacks: Sequence[Callback]) -> None:
        """Go on from what was kept; the callbacks take theirs when they have started.

        Errors: `ValueError` where model, data, options or callbacks are others; then nothing has been changed.
        """
        for name, value in {"data": self.digest, **self.same}.items():
            if kept["same"][name] != value:
                raise ValueError(
                    f"fit expected the {name} of the checkpoint given as resume_from, {kept['same'][name]!r}, but got "
                    f"{value!r}"
                )
        wanted = [name for name, _ in kept["callbacks"]]
        names = [type(each).__name__ for each in remembering(callbacks)]
        if names != wanted:
            raise ValueError(f"fit expected the callbacks of the checkpoint, {wanted}, but got {names}")
        model, optimiser = self.history.model, self.recipe.optimiser
        parameters = dict(zip(kept["parameters"]["names"], kept["parameters"]["values"], strict=True))
        if parameters.keys() == model.state_dict().keys():
            check_optimiser_state(optimiser, kept["optimiser"])
        model.load_state_dict(parameters)  # which refuses other names
        set_optimiser_state(optimiser, kept["optimiser"])
        set_source_state(self.recipe.source, kept["source"])
        self.order.waiting = kept["waiting"]
        self.history.go_on(kept["history"])
        for loss in self.history.watched():
            optimiser.measure(loss)  # schedules are not kept: one that asks for losses sees them anew
