"""Remember the parameters of the best epoch, and say when patience runs out: `Best`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .lowest import Lowest
from .steps import Steps


class Best(Lowest):
    """Remember the parameters of the best epoch, and when patience runs out.

    A training loss is measured before the steps of its epoch, so that it speaks of the parameters before them, in one
    batch of all samples exactly. Whether the steps lowered it once more, `restore` finds out.

    Args:
        steps: what has the parameters.
        patience: how many epochs may pass without a lower loss; None for any number.
        tolerance: by how much a loss has to be lower.
        is_training_loss: whether the loss is that of the samples trained on.
    """

    def __init__(self, steps: Steps, patience: int | None, tolerance: float, is_training_loss: bool) -> None:
        super().__init__(tolerance)
        self.steps = steps
        self.patience = patience
        self.is_training_loss = is_training_loss
        self.start: list[float] = []
        self.states: list[list[float]] = []

    def before(self) -> None:
        """Remember the parameters before an epoch."""
        self.start = self.steps.snapshot()

    def after(self, loss: float) -> None:
        """Take note of the loss of an epoch."""
        if self.is_lower(loss):
            now = self.steps.snapshot()
            self.states = [self.start, now] if self.is_training_loss else [now]

    @property
    def is_over(self) -> bool:
        """Whether patience has run out."""
        return self.patience is not None and self.since >= self.patience

    def restore(self, current_loss: Callable[[], float]) -> None:
        """Go back to the best epoch; of two candidate states, to the one of lower loss."""
        losses = []
        for state in self.states:
            self.steps.go_back(state)
            losses.append(current_loss() if len(self.states) == 2 else 0.0)
        if len(losses) == 2 and not losses[1] < losses[0]:
            self.steps.go_back(self.states[0])

    def rescue(self, current_loss: Callable[[], float]) -> None:
        """Go back to the best epoch, or to before the first where none was finished."""
        if self.states:
            self.restore(current_loss)
        elif len(self.start):
            self.steps.go_back(self.start)

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        states = [list(map(float, state)) for state in self.states]
        return {"least": self.best, "epochs_since": self.since, "states": states}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from what a checkpoint kept."""
        self.best, self.since, self.states = state["least"], state["epochs_since"], state["states"]
