"""Look up, slide over and relate the rows of a sequence: `Embedding`, `Conv1d`, `Attention`."""

from __future__ import annotations

import math
import random
from typing import Any, final

import chainrule
from chainrule import Var
from chainrule.data import is_symbolic, whole_number
from chainrule.errors import describe

from ..activations import Activation
from ..initialise import Initialiser, random_source
from ..layers import Layer
from ..module import Module
from .rows import Rows, is_number, is_whole, of_each, rows_in


@final
class Embedding(Module):
    """Give each whole number from 0 to below `count`, such as a letter or a category, a row of its own to learn.

    Args:
        count: how many numbers there are.
        width: how long their rows are.
        flat: whether the rows of several numbers are joined to one long row, as a `Layer` takes it.
        seed: a whole number for the same rows every time, or a `random.Random`; they are normal with deviation 1.

    >>> embedding = Embedding(27, 2, seed=1)
    >>> len(embedding(3)), len(embedding([3, 0, 1])), len(Embedding(27, 2, flat=True)([3, 0, 1]))
    (2, 3, 6)
    """

    def __init__(self, count: int, width: int, flat: bool = False, seed: int | random.Random | None = None) -> None:
        self.count = whole_number("Embedding", "count", count)
        self.width = whole_number("Embedding", "width", width)
        self.flat, source = bool(flat), random_source(seed)
        self.rows = [
            [Var(source.gauss(0.0, 1.0), label=f"e[{i},{j}]") for j in range(1, self.width + 1)]
            for i in range(self.count)
        ]

    def __call__(self, x: Any) -> Any:
        """Return the row of a number, or the rows of several."""
        if is_number(x):
            return self._of_one(x)
        rows = of_each(self._of_one, x)
        if not self.flat:
            return rows
        return rows.reshape(len(x) * self.width) if is_whole(rows) else [number for row in rows for number in row]

    def _of_one(self, item: Any) -> Any:
        number = item.value if isinstance(item, Var) else item
        if is_symbolic(item):
            # Below 0 there is nothing either, though arrays count from their end there.
            rows = self.rows if is_whole(self.rows) else chainrule.array(self.rows)
            return chainrule.take(rows, chainrule.where(item < 0.0, float(self.count), item))
        if number != number or number not in range(self.count):
            raise ValueError(
                f"Embedding expected a whole number from 0 to {self.count - 1} but got {describe('x', item)}"
            )
        return list(self.rows[int(number)])

    def on_array(self, values: Any) -> Embedding:
        """Return the embedding with its rows as a whole array of a trace."""
        found = Embedding.__new__(Embedding)
        vars(found).update(vars(self), rows=values.reshape(self.count, self.width))
        return found

    def __repr__(self) -> str:
        return f"Embedding({self.count}, {self.width}{', flat=True' if self.flat else ''})"


@final
class Conv1d(Module):
    """Apply one `Layer` to every few rows that follow one another: a convolution over a sequence.

    Args:
        nin: how many numbers a row has.
        nout: how many numbers each place of the result has.
        width: how many rows the layer sees at once.
        stride: how many rows it moves on.
        padding: how many rows of zeros are put before and after.
        activation, initialise, seed, initialise_bias: as for `Layer`.

    The weights of a neuron are those of the first row it sees, then of the second, and so on.

    Source: LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning applied to document recognition".

    >>> conv = Conv1d(1, 1, width=2, activation=None, initialise=lambda source, nin, nout: 1.0)
    >>> [row[0].value for row in conv([1.0, 2.0, 3.0])]
    [3.0, 5.0]
    """

    def __init__(
        self,
        nin: int,
        nout: int,
        width: int,
        stride: int = 1,
        padding: int = 0,
        activation: str | Activation | None = "relu",
        initialise: str | Initialiser | None = None,
        seed: int | random.Random | None = None,
        initialise_bias: str | float | Initialiser | None = None,
    ) -> None:
        self.nin, self.nout = whole_number("Conv1d", "nin", nin), whole_number("Conv1d", "nout", nout)
        self.width, self.stride = whole_number("Conv1d", "width", width), whole_number("Conv1d", "stride", stride)
        self.padding = whole_number("Conv1d", "padding", padding, 0)
        self.layer = Layer(self.nin * self.width, self.nout, activation, initialise, seed, initialise_bias)

    def __call__(self, x: Any) -> Any:
        """Return the rows of the result; `x` is rows of `nin` numbers, or all of them in one long row."""
        rows = rows_in(x, self.nin, "Conv1d")
        numbers = rows.reshape(len(rows) * self.nin) if is_whole(rows) else [x for row in rows for x in row]
        zeros = [0.0] * (self.padding * self.nin)
        count = len(rows) + 2 * self.padding
        if count < self.width:
            raise ValueError(f"Conv1d expected at least {self.width} rows but got {count} with padding")
        padded = [*zeros, *numbers, *zeros] if zeros or not is_whole(numbers) else numbers
        starts = range(0, (count - self.width + 1) * self.nin, self.stride * self.nin)
        windows = [padded[start : start + self.width * self.nin] for start in starts]
        if any(is_symbolic(number) or is_whole(number) for number in padded):
            return chainrule.map(lambda window: list(self.layer.forward(window)), _stacked(windows))
        return [self.layer.forward(window) for window in windows]

    def __repr__(self) -> str:
        return f"Conv1d({self.nin}, {self.nout}, width={self.width})"


@final
class Attention(Module):
    """Attend from every row of a sequence to all of them, weighted by how well key and query agree.

    Args:
        size: how many numbers a row has, and a row of the result.
        heads: in how many equal parts rows are asked and answered, each by itself.
        causal: whether a row sees only itself and those before it.
        initialise, seed, initialise_bias: as for `Layer`.

    Source: Vaswani et al. 2017, "Attention Is All You Need".

    >>> attention = Attention(4, heads=2, seed=1)
    >>> len(attention([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]))
    2
    """

    def __init__(
        self,
        size: int,
        heads: int = 1,
        causal: bool = False,
        initialise: str | Initialiser | None = None,
        seed: int | random.Random | None = None,
        initialise_bias: str | float | Initialiser | None = None,
    ) -> None:
        self.size, self.heads = whole_number("Attention", "size", size), whole_number("Attention", "heads", heads)
        if self.size % self.heads:
            raise ValueError(f"Attention expected heads that divide {self.size} but got {describe('heads', heads)}")
        self.causal, source = bool(causal), random_source(seed)
        self.query, self.key, self.value, self.mix = [
            Layer(self.size, self.size, None, initialise, source, initialise_bias) for _ in range(4)
        ]

    def __call__(self, x: Any) -> Any:
        """Return a row for each row of `x`, which are rows of `size` numbers, or all of them in one long row."""
        rows = rows_in(x, self.size, "Attention")
        if any(is_whole(row) or any(map(is_symbolic, row)) for row in rows):
            rows = _stacked(rows)
        asked, keys, values = [_each_row(layer.forward, rows) for layer in (self.query, self.key, self.value)]
        places = [float(k) for k in range(len(rows))]
        return chainrule.map(self._of_one, (places, asked), keys, values)

    def _of_one(self, item: Any, keys: Rows, values: Rows) -> Any:
        place, asked = item
        told: list[Any] = []
        width = self.size // self.heads
        for start in range(0, self.size, width):
            part = slice(start, start + width)
            scores = of_each(lambda key, part=part: chainrule.dot(asked[part], key[part]) / math.sqrt(width), keys)
            if self.causal:
                places = [float(k) for k in range(len(keys))]
                scores = of_each(lambda k, score: chainrule.where(place >= k, score, -math.inf), places, scores)
            shares = chainrule.softmax(scores)
            told += [chainrule.dot(shares, [value[k] for value in values]) for k in range(start, start + width)]
        return list(self.mix.forward(told))

    def __repr__(self) -> str:
        return f"Attention({self.size}, heads={self.heads}{', causal=True' if self.causal else ''})"


def _each_row(f: Any, rows: Rows) -> Any:
    return chainrule.map(lambda row: list(f(row)), rows) if is_whole(rows) else [list(f(row)) for row in rows]


def _stacked(rows: Rows) -> Any:
    """Return rows of a trace as one whole array, which loops go through row by row."""
    return chainrule.array([list(row) for row in rows])
