"""The record of a training: the `History` that `fit` returns."""

from __future__ import annotations

import csv
import dataclasses
import importlib
import io
import os
from typing import Any

from chainrule.data import Row, write_whole
from chainrule.errors import needing

from .module import Module

_SHOWN = 8  # epochs of a longer training in its table, and the best besides


@dataclasses.dataclass
class History:
    """What `fit` measured, one item per epoch unless said otherwise.

    Attributes:
        model: the model that was trained.
        loss: the mean of the training losses, each measured before its step.
        batch_loss: the training loss of every mini-batch, before its step.
        validation_loss: the loss over the held-out samples after the epoch; empty where there are none.
        metrics: by name, the metrics after the epoch, over held-out samples where there are any, else over all.
        learning_rate: the learning rate of the first step.
        seconds: how long the epoch took.
        compiled: whether gradients and steps ran as machine code.
        reason: why they did not; empty where they did.
        stopped: why training ended: "epochs" where all were gone through, "patience", "callback" (one of them, or
            ``after_epoch``, returned something true), "converged" (as `nn.LBFGS` does), "interrupt" (Ctrl-C), "not
            finite"; empty before that.
        threshold: the score between two classes, for which the loss is the same whichever is true; None where targets
            are no two classes.
        recorded: with `record`, the numbers of epochs after which the following were taken; the first is 0.
        parameters: with `record`, the values of all parameters by name: before training, then as `recorded` says.
        gradients: with `record`, the gradients of all parameters by name, at the last step before each of those but the
            first.
        rows, targets: with `record`, the samples that were trained on.
        best_epoch: the epoch, counted from 0, with the least validation loss, or training loss where there is none.

    >>> from chainrule import nn
    >>> model = nn.Neuron(1, activation=None, seed=0)
    >>> history = nn.fit(model, [0.0, 1.0, 2.0], [1.0, 3.0, 5.0], optimiser=nn.SGD, lr=0.1, epochs=50, seed=0)
    >>> history
    History of 50 epochs, loss 0.000115
    >>> history.best_epoch
    49
    >>> history.stopped
    'epochs'

    `print` shows a table of a few epochs; `plot`, `to_csv` and `to_frame` take all of them.
    """

    model: Module
    loss: list[float] = dataclasses.field(default_factory=list)
    batch_loss: list[float] = dataclasses.field(default_factory=list)
    validation_loss: list[float] = dataclasses.field(default_factory=list)
    metrics: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    learning_rate: list[float] = dataclasses.field(default_factory=list)
    seconds: list[float] = dataclasses.field(default_factory=list)
    compiled: bool = False
    reason: str = ""
    stopped: str = ""
    threshold: float | None = None
    recorded: list[int] = dataclasses.field(default_factory=list)
    parameters: list[dict[str, float]] = dataclasses.field(default_factory=list)
    gradients: list[dict[str, float]] = dataclasses.field(default_factory=list)
    rows: list[Row] = dataclasses.field(default_factory=list)
    targets: list[Any] = dataclasses.field(default_factory=list)

    @property
    def best_epoch(self) -> int:
        """The epoch with the lowest validation loss, or training loss if there is no validation."""
        watched = self.watched()
        if not watched:
            raise ValueError("best_epoch expected a History of at least one epoch but got one of none")
        return min(range(len(watched)), key=watched.__getitem__)

    def watched(self) -> list[float]:
        """Return the losses that tell which epoch is best: those of validation where there are any."""
        return self.validation_loss or self.loss

    def columns(self) -> dict[str, list[Any]]:
        """Return a list by name with an item for each epoch: its number, counted from 1, losses, metrics and the rest.

        >>> History(None, loss=[2.0, 1.0], seconds=[0.1, 0.2]).columns()
        {'epoch': [1, 2], 'loss': [2.0, 1.0], 'seconds': [0.1, 0.2]}
        """
        found: dict[str, list[Any]] = {"epoch": list(range(1, len(self.loss) + 1)), "loss": self.loss}
        found |= {"validation_loss": self.validation_loss, **self.metrics}
        found |= {"learning_rate": self.learning_rate, "seconds": self.seconds}
        return {name: list(values) for name, values in found.items() if values or name in ("epoch", "loss")}

    def plot(self, of: str = "loss", **options: Any) -> Any:
        """Plot the losses, or what else is named, epoch by epoch; return matplotlib's axes.

        Args and options are those of ``viz.plot_history``.
        """
        return importlib.import_module("chainrule.viz").plot_history(self, of, **options)

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write a row of comma-separated values for each epoch, under one of names; the file appears whole.

        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     History(None, loss=[2.0, 0.5]).to_csv(f"{folder}/history.csv")
        ...     pathlib.Path(f"{folder}/history.csv").read_text().split()
        ['epoch,loss', '1,2.0', '2,0.5']
        """
        write_whole(path, self.csv().encode())

    def csv(self, last: bool = False) -> str:
        """Return what `to_csv` writes, or its last row alone."""
        columns, text = self.columns(), io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        if last:
            writer.writerow([values[-1] for values in columns.values()])
            return text.getvalue()
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
        return text.getvalue()

    def to_frame(self) -> Any:
        """Return a pandas data frame with a row for each epoch, by its number, counted from 1. Needs pandas."""
        with needing("History.to_frame", "pandas"):
            pandas = importlib.import_module("pandas")
        return pandas.DataFrame(self.columns()).set_index("epoch")

    def kept(self) -> dict[str, Any]:
        """Return what a checkpoint keeps: all but the model and the samples."""
        names = [field.name for field in dataclasses.fields(self) if field.name not in ("model", "rows", "targets")]
        return {name: getattr(self, name) for name in names}

    def go_on(self, kept: dict[str, Any]) -> None:
        """Take over what a checkpoint kept."""
        for name, value in kept.items():
            setattr(self, name, value)
        self.stopped = ""

    def __str__(self) -> str:
        columns = self.columns()
        count = len(self.loss)
        shown = set(range(count))
        if count > _SHOWN:
            shown = {round(k * (count - 1) / (_SHOWN - 1)) for k in range(_SHOWN)} | {self.best_epoch}
        lines = [[name.replace("_", " ") for name in columns]]
        for k in sorted(shown):
            lines.append(
                [f"{values[k]:,}" if name == "epoch" else f"{values[k]:.4g}" for name, values in columns.items()]
            )
        widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
        table = ["  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
        return "\n".join([repr(self), *(table if count else [])])

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle: dict[str, str] = importlib.import_module("chainrule.viz").mimebundle(self)
        return bundle

    def __repr__(self) -> str:
        epochs = len(self.loss)
        text = f"History of {epochs} epoch{'' if epochs == 1 else 's'}"
        if self.loss:
            text += f", loss {self.loss[-1]:.3g}"
        if self.validation_loss:
            text += f", validation loss {self.validation_loss[-1]:.3g}"
        return text + "".join(f", {name} {values[-1]:.3g}" for name, values in self.metrics.items() if values)
