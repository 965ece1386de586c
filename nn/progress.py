"""Show how far a training is: a `Bar` that is brought up to date a few times a second."""

from __future__ import annotations

import time

_PAUSE = 0.2  # seconds between two times


class Bar:
    """Show a bar of steps, the epoch and the loss.

    Args:
        epochs: how many there are.
        each: how many steps an epoch has.
        done: how many epochs were taken before.
    """

    def __init__(self, epochs: int, each: int, done: int) -> None:
        from tqdm import tqdm  # imported here, since it takes a quarter of the time of `import chainrule.nn`

        self.epochs = epochs
        self.bar = tqdm(total=epochs * each, initial=done * each, desc="training", unit="step", mininterval=_PAUSE)
        self.shown = done * each
        self.latest: tuple[int, float, int] | None = None
        self.due = 0.0

    def show(self, taken: int, loss: float, epoch: int) -> None:
        """Note how many steps were taken, the last loss and the epoch, counted from 0; show it if that is due."""
        self.latest = taken, loss, epoch
        if (now := time.monotonic()) >= self.due:
            self.due = now + _PAUSE
            self._draw()

    def close(self) -> None:
        """Show how far it came, and leave it there."""
        self._draw()
        self.bar.close()

    def _draw(self) -> None:
        if self.latest is not None:
            taken, loss, epoch = self.latest
            self.bar.set_postfix_str(f"epoch {epoch + 1} of {self.epochs}, loss {loss:.3g}", refresh=False)
            self.bar.update(taken - self.shown)
            self.shown = taken
