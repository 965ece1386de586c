"""Read rows one after another and remember: `RNN`, `GRU` and `LSTM`, each a `scan`."""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, final

import chainrule
from chainrule.data import whole_number

from ..activations import Activation
from ..initialise import Initialiser, random_source
from ..layers import Layer
from ..module import Module
from .rows import Numbers, rows_in


class _Recurrent(Module):
    """Carry a state from row to row; a subclass says what it is after one more."""

    def __init__(self, nin: int, nout: int, sequence: bool) -> None:
        kind = type(self).__name__
        self.nin, self.nout = whole_number(kind, "nin", nin), whole_number(kind, "nout", nout)
        self.sequence = bool(sequence)

    def __call__(self, x: Any) -> Any:
        """Return the row remembered after the last row of `x`, or after each.

        Args:
            x: rows of `nin` numbers, or all of them in one long row.
        """
        state, outputs = chainrule.scan(self._next, self._start(), rows_in(x, self.nin, type(self).__name__))
        return outputs if self.sequence else self._output(state)

    def _next(self, state: Any, row: Numbers) -> tuple[Any, Any]:
        state = self._after(state, row)
        return state, self._output(state) if self.sequence else None

    def _start(self) -> Any:
        return [0.0] * self.nout

    def _output(self, state: Any) -> Any:
        return state

    @abstractmethod
    def _after(self, state: Any, row: Numbers) -> Any:
        """Return the state after one more row."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.nin}, {self.nout}{', sequence=True' if self.sequence else ''})"


@final
class RNN(_Recurrent):
    """Remember ``activation(weights of the row + weights of what was remembered + bias)``: Elman's network.

    Args:
        nin: how many numbers a row has.
        nout: how many numbers are remembered, and given out; they begin at 0.
        activation: a name or function, as for `Layer`.
        sequence: whether to give a row for each row, instead of the one after the last.
        initialise, seed, initialise_bias: as for `Layer`.

    Source: Elman 1990, "Finding Structure in Time".

    >>> len(RNN(2, 3, seed=1)([[1.0, 2.0], [3.0, 4.0]]))
    3
    >>> RNN(1, 3, sequence=True, seed=1)
    RNN(1, 3, sequence=True)
    """

    def __init__(
        self,
        nin: int,
        nout: int,
        activation: str | Activation | None = "tanh",
        sequence: bool = False,
        initialise: str | Initialiser | None = None,
        seed: int | random.Random | None = None,
        initialise_bias: str | float | Initialiser | None = None,
    ) -> None:
        super().__init__(nin, nout, sequence)
        self.layer = Layer(self.nin + self.nout, self.nout, activation, initialise, seed, initialise_bias)

    def _after(self, state: Any, row: Numbers) -> Any:
        return list(self.layer.forward([*row, *state]))


class _Gated(_Recurrent):
    """Have several layers that read the row, what is remembered or both; a subclass says which."""

    def __init__(
        self,
        nin: int,
        nout: int,
        sequence: bool = False,
        initialise: str | Initialiser | None = None,
        seed: int | random.Random | None = None,
        initialise_bias: str | float | Initialiser | None = None,
    ) -> None:
        super().__init__(nin, nout, sequence)
        source = random_source(seed)

        def layer(nin: int, activation: str | None, bias: float = 0.0) -> Layer:
            start = bias if initialise_bias is None else initialise_bias
            return Layer(nin, self.nout, activation, initialise, source, start)

        self._make(layer)

    @abstractmethod
    def _make(self, layer: Callable[..., Layer]) -> None:
        """Make the layers by a function of how many numbers each reads, its activation and where biases begin."""


@final
class GRU(_Gated):
    """Remember by two gates: one that says how much is replaced, one that says what of the old the new is made of.

    Args: those of `RNN`, without activation.

    Source: Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder"; the gate is applied after
    the product with the weights, as in PyTorch.

    >>> len(GRU(2, 3, seed=1)([[1.0, 2.0], [3.0, 4.0]]))
    3
    """

    def _make(self, layer: Callable[..., Layer]) -> None:
        joined = self.nin + self.nout
        self.reset, self.keep = layer(joined, "sigmoid"), layer(joined, "sigmoid")
        self.new, self.old = layer(self.nin, None), layer(self.nout, None)

    def _after(self, state: Any, row: Numbers) -> Any:
        joined = [*row, *state]
        gates = self.reset.forward(joined), self.keep.forward(joined)
        parts = zip(*gates, self.new.forward(row), self.old.forward(state), state, strict=True)
        return [_mixed(keep, chainrule.tanh(new + reset * old), last) for reset, keep, new, old, last in parts]


@final
class LSTM(_Gated):
    """Remember in cells that gates write to, clear and read: long short-term memory.

    Args: those of `RNN`, without activation.

    Source: Hochreiter and Schmidhuber 1997, "Long Short-Term Memory", with the forget gate of Gers, Schmidhuber and
    Cummins 2000, whose biases begin at 1 unless `initialise_bias` is given.

    >>> len(LSTM(2, 3, seed=1)([[1.0, 2.0], [3.0, 4.0]]))
    3
    """

    def _make(self, layer: Callable[..., Layer]) -> None:
        joined = self.nin + self.nout
        self.write, self.keep = layer(joined, "sigmoid"), layer(joined, "sigmoid", bias=1.0)
        self.new, self.read = layer(joined, "tanh"), layer(joined, "sigmoid")

    def _start(self) -> Any:
        return [0.0] * self.nout, [0.0] * self.nout

    def _output(self, state: Any) -> Any:
        return state[0]

    def _after(self, state: Any, row: Numbers) -> Any:
        output, cells = state
        joined = [*row, *output]
        write, keep, new, read = [layer.forward(joined) for layer in (self.write, self.keep, self.new, self.read)]
        cells = [k * cell + w * n for k, cell, w, n in zip(keep, cells, write, new, strict=True)]
        return [r * chainrule.tanh(cell) for r, cell in zip(read, cells, strict=True)], cells


def _mixed(share: Any, old: Any, new: Any) -> Any:
    return old + share * (new - old)
