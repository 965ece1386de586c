"""Show how far a training is: a `Bar` that is brought up to date a few times a second."""

from __future__ import annotations

import time

from tqdm import tqdm

_PAUSE = 0.2  # seconds between two times


class Bar:
    """Show a bar of steps, the epoch and the loss.

    Args:
        epochs: how many there are.
        each: how many steps an epoch has.
        done: how many epochs were taken before.
        progress: True, False, or None for a bar on a terminal only.
    """

    def __init__(self, epochs: int, each: int, done: int, progress: bool | None) -> None:
        self.epochs, self.each = epochs, each
        self.bar = tqdm(
            total=epochs * each,
            initial=done * each,
            desc="training",
            unit="step",
            mininterval=_PAUSE,
            disable=None if progress is None else not progress,
        )
        self.taken = done * each
        self.due = 0.0

    def show(self, taken: int, loss: float, epoch: int) -> None:
        """Say how many steps were taken, the last loss and the epoch, counted from 0, if that is due."""
        if self.bar.disable or (now := time.monotonic()) < self.due:
            return
        self.due = now + _PAUSE
        self.draw(taken, loss, epoch)

    def draw(self, taken: int, loss: float, epoch: int) -> None:
        """Show the same at once."""
        self.bar.set_postfix_str(
            f"epoch {min(epoch + 1, self.epochs)} of {self.epochs}, loss {loss:.3g}", refresh=False
        )
        self.bar.update(taken - self.taken)
        self.taken = taken

    def close(self) -> None:
        """Leave the bar as it stands."""
        self.bar.close()
