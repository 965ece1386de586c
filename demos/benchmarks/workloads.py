"""What `benchmark.py` measures: computations written once for every engine, and a plain `Value` class.

A workload has `start` values of its parameters, makes a `model` of an engine's numbers, computes its `loss` from
it, and says how gradients `update` the values. It calls only operators and the few functions of `Functions`.
"""

from __future__ import annotations

import itertools
import math
import operator
import random
from collections.abc import Callable
from operator import mul
from typing import Any, NamedTuple

import numpy

Number = Any  # a float, or what an engine records it with


class Functions(NamedTuple):
    """The functions that each engine spells its own way."""

    relu: Callable[[Number], Number]
    exp: Callable[[Number], Number] | None = None  # micrograd has neither exp nor log
    log: Callable[[Number], Number] | None = None
    value: Callable[[Number], float] = float
    constant: Callable[[float], Number] = float  # an input of the network
    take: Callable[[Any, Number], Any] = operator.getitem  # a row of a table, or a number of a list
    top: Callable[[list[Number]], Number] | None = None  # of scores, without a derivative; else that of their values


# ---- (a) micrograd's demo: a network learns the border between two moons ----


class MLP:
    """Apply layers of neurons, all but the last with a ReLU; with `map` the loops cost little beside the engine."""

    def __init__(self, numbers: list[Number], sizes: list[int]) -> None:
        self.parameters = numbers
        rest = iter(numbers)
        self.layers = [
            [([next(rest) for _ in range(inputs)], next(rest)) for _ in range(outputs)]
            for inputs, outputs in itertools.pairwise(sizes)
        ]

    def __call__(self, x: list[Number], functions: Functions) -> Number:
        *hidden, last = self.layers
        for layer in hidden:
            x = list(map(functions.relu, weigh(layer, x)))
        return weigh(last, x)[0]


def weigh(layer: list[tuple[list[Number], Number]], x: list[Number]) -> list[Number]:
    return [sum(map(mul, w, x), b) for w, b in layer]


class Moons:
    """One step of micrograd's demo: all samples through the network, hinge loss and L2, plain gradient descent."""

    needs = ("relu",)

    def __init__(self, samples: int = 100, hidden: int = 16) -> None:
        self.title = f"moons: MLP 2-{hidden}-{hidden}-1, {samples} samples, hinge loss + L2, gradient descent"
        self.sizes = [2, hidden, hidden, 1]
        self.points, self.labels = two_moons(samples)
        draw = random.Random(1337)
        self.start: list[float] = []
        for inputs, outputs in zip(self.sizes, self.sizes[1:], strict=False):
            for _ in range(outputs):
                self.start += [draw.uniform(-1.0, 1.0) for _ in range(inputs)] + [0.0]

    def model(self, numbers: list[Number]) -> MLP:
        return MLP(numbers, self.sizes)

    def loss(self, model: MLP, functions: Functions) -> Number:
        inputs = [list(map(functions.constant, point)) for point in self.points]
        scores = [model(x, functions) for x in inputs]
        losses = [functions.relu(1 + -yi * scorei) for yi, scorei in zip(self.labels, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        alpha = 1e-4
        reg_loss = alpha * sum(p * p for p in model.parameters)
        return data_loss + reg_loss

    def update(self, values: list[float], gradients: list[float]) -> list[float]:
        return [value - 1.0 * gradient for value, gradient in zip(values, gradients, strict=True)]


class MoonsInArrays(Moons):
    """The same step with NumPy arrays of the engine's numbers: NumPy's C code runs the loops and calls the engine.

    What it takes beside the engine is least here, so that the engines are what is measured.
    """

    def __init__(self, samples: int = 100, hidden: int = 16) -> None:
        super().__init__(samples, hidden)
        self.title = f"arrays: the step of moons, written with NumPy arrays of the engine's numbers, {samples} samples"

    def loss(self, model: MLP, functions: Functions) -> Number:
        relu = numpy.frompyfunc(functions.relu, 1, 1)
        x = objects([[functions.constant(point[k]) for point in self.points] for k in range(2)])
        *hidden, last = [(objects([w for w, _ in layer]), objects([[b] for _, b in layer])) for layer in model.layers]
        for rows, biases in hidden:
            x = relu(rows @ x + biases)
        scores = (last[0] @ x + last[1])[0]
        losses = relu(1 + objects([-y for y in self.labels]) * scores)
        data_loss = sum(losses) * (1.0 / len(losses))
        parameters = objects(model.parameters)
        return data_loss + 1e-4 * (parameters @ parameters)


def objects(nested: list[Any]) -> Any:
    """Return an array of the objects in a list, or list of lists; NumPy would convert some of them to numbers."""
    wide = isinstance(nested[0], list)
    array = numpy.empty((len(nested), len(nested[0])) if wide else len(nested), object)
    for k, item in enumerate(nested):
        if wide:
            array[k] = objects(item)
        else:
            array[k] = item
    return array


def two_moons(samples: int) -> tuple[list[list[float]], list[int]]:
    """Draw points on two interleaved half circles, with noise, and their labels -1 and 1, in random order."""
    draw = random.Random(1)
    half = samples // 2
    rows = []
    for k in range(samples):
        angle = math.pi * (k % half) / max(half - 1, 1)
        x, y, label = math.cos(angle), math.sin(angle), -1
        if k >= half:
            x, y, label = 1.0 - x, 0.5 - y, 1
        rows.append(([x + draw.gauss(0.0, 0.1), y + draw.gauss(0.0, 0.1)], label))
    draw.shuffle(rows)
    return [point for point, _ in rows], [label for _, label in rows]


# ---- (b) a long chain: a swing followed through time ----


class Chain:
    """A spring followed through time: half the operations are products, half sums, each needs the one before.

    The motion neither grows nor dies away, so values and gradients stay ordinary numbers however long the chain.
    """

    needs = ()

    def __init__(self, operations: int = 1_000_000) -> None:
        self.title = f"chain: {operations:,} operations one after the other, v = v + x*k and x = x + v*h in turn"
        self.operations = operations
        self.start = [1.0, 0.25, 0.01, -0.02]  # place, speed, time step, minus stiffness times time step

    def model(self, numbers: list[Number]) -> list[Number]:
        return numbers

    def loss(self, model: list[Number], functions: Functions) -> Number:
        x, v, h, k = model
        for _ in range(self.operations // 4):
            v = v + x * k
            x = x + v * h
        return x

    def update(self, values: list[float], gradients: list[float]) -> list[float]:
        return values


# ---- (c) a character GPT made of scalars ----

WORDS = ["differentiation", "backpropagation", "parametrisation", "standardisation"]
BOUNDARY = 26  # the token before and after a word; the letters are 0 to 25
VOCABULARY = 27


class GPT:
    """One training step of a transformer of one layer on one word, each number a scalar of the engine; Adam."""

    needs = ("relu", "exp", "log")

    def __init__(self, width: int = 16, heads: int = 4, context: int = 16) -> None:
        self.width, self.heads, self.context = width, heads, context
        self.shapes = {
            "token": (VOCABULARY, width),
            "place": (context, width),
            "query": (width, width),
            "key": (width, width),
            "value": (width, width),
            "mix": (width, width),
            "widen": (4 * width, width),
            "narrow": (width, 4 * width),
            "readout": (VOCABULARY, width),
        }
        draw = random.Random(42)
        self.start = [draw.gauss(0.0, 0.08) for rows, columns in self.shapes.values() for _ in range(rows * columns)]
        letters = [ord(letter) - ord("a") for letter in WORDS[0][: context - 1]]
        self.tokens = [BOUNDARY, *letters, BOUNDARY]
        self.title = (
            f"gpt: one layer, embedding {width}, {heads} heads, context {context}, {len(self.start):,} parameters, "
            f"{len(self.tokens) - 1} tokens, Adam"
        )
        self.adam = Adam(len(self.start))

    def model(self, numbers: list[Number]) -> dict[str, list[list[Number]]]:
        rest = iter(numbers)
        return {
            name: [[next(rest) for _ in range(columns)] for _ in range(rows)]
            for name, (rows, columns) in self.shapes.items()
        }

    def loss(self, model: dict[str, list[list[Number]]], functions: Functions) -> Number:
        return self.loss_of(self.tokens, model, functions)

    def loss_of(self, tokens: list[Any], model: dict[str, Any], functions: Functions) -> Number:
        """Return the loss of one word: of its tokens between two boundaries."""
        keys: list[list[Number]] = []
        values: list[list[Number]] = []
        losses = []
        for place, (token, following) in enumerate(itertools.pairwise(tokens)):
            x = [a + b for a, b in zip(functions.take(model["token"], token), model["place"][place], strict=True)]
            x = normalise(x)
            x = add(x, self.attend(model, normalise(x), keys, values, functions))
            inner = [functions.relu(h) for h in multiply(model["widen"], normalise(x))]
            x = add(x, multiply(model["narrow"], inner))
            shares = softmax(multiply(model["readout"], x), functions)
            losses.append(-functions.log(functions.take(shares, following)))
        return sum(losses) * (1.0 / len(losses))

    def attend(
        self,
        model: dict[str, list[list[Number]]],
        x: list[Number],
        keys: list[list[Number]],
        values: list[list[Number]],
        functions: Functions,
    ) -> list[Number]:
        """Let this position attend to those up to it, with every head; keys and values grow by one."""
        query = multiply(model["query"], x)
        keys.append(multiply(model["key"], x))
        values.append(multiply(model["value"], x))
        size = self.width // self.heads
        mixed = []
        for first in range(0, self.width, size):
            part = slice(first, first + size)
            scores = [inner_product(query[part], key[part]) * size**-0.5 for key in keys]
            shares = softmax(scores, functions)
            for column in range(first, first + size):
                mixed.append(inner_product(shares, [value[column] for value in values]))
        return multiply(model["mix"], mixed)

    def update(self, values: list[float], gradients: list[float]) -> list[float]:
        return self.adam.update(values, gradients)


def inner_product(a: list[Number], b: list[Number]) -> Number:
    return sum(ai * bi for ai, bi in zip(a, b, strict=True))


def multiply(matrix: list[list[Number]], x: list[Number]) -> list[Number]:
    return [inner_product(row, x) for row in matrix]


def add(a: list[Number], b: list[Number]) -> list[Number]:
    return [ai + bi for ai, bi in zip(a, b, strict=True)]


def normalise(x: list[Number]) -> list[Number]:
    """Divide by the root mean square."""
    scale = (inner_product(x, x) * (1.0 / len(x)) + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def softmax(scores: list[Number], functions: Functions) -> list[Number]:
    top = functions.top(scores) if functions.top else max(map(functions.value, scores))
    powers = [functions.exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


class Adam:
    """Kingma and Ba 2015, on lists of floats."""

    def __init__(self, size: int) -> None:
        self.mean, self.square, self.steps = [0.0] * size, [0.0] * size, 0

    def update(self, values: list[float], gradients: list[float]) -> list[float]:
        self.steps += 1
        rate = 0.01 * math.sqrt(1.0 - 0.999**self.steps) / (1.0 - 0.9**self.steps)
        mean = self.mean = [0.9 * m + 0.1 * g for m, g in zip(self.mean, gradients, strict=True)]
        square = self.square = [0.999 * s + 0.001 * g * g for s, g in zip(self.square, gradients, strict=True)]
        return [value - rate * m / (math.sqrt(s) + 1e-8) for value, m, s in zip(values, mean, square, strict=True)]


# ---- the least that an engine can be in plain Python ----


class Value:
    """A number, the Values it was computed from and the derivative by each; `backward` is the chain rule."""

    __slots__ = ("children", "data", "grad", "local_grads")

    def __init__(self, data: float, children: tuple = (), local_grads: tuple = ()) -> None:
        self.data = data
        self.grad = 0.0
        self.children = children
        self.local_grads = local_grads

    def __add__(self, other: Value | float) -> Value:
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other: Value | float) -> Value:
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __truediv__(self, other: Value) -> Value:
        quotient = self.data / other.data
        return Value(quotient, (self, other), (1.0 / other.data, -quotient / other.data))

    def __pow__(self, exponent: float) -> Value:
        return Value(self.data**exponent, (self,), (exponent * self.data ** (exponent - 1),))

    def __neg__(self) -> Value:
        return self * -1.0

    def __sub__(self, other: Value | float) -> Value:
        return self + -other

    __radd__, __rmul__ = __add__, __mul__

    def exp(self) -> Value:
        power = math.exp(self.data)
        return Value(power, (self,), (power,))

    def log(self) -> Value:
        return Value(math.log(self.data), (self,), (1.0 / self.data,))

    def relu(self) -> Value:
        return Value(max(0.0, self.data), (self,), (float(self.data > 0),))

    def backward(self) -> None:
        """Add the derivative of this Value by every Value below it to that one's `grad`."""
        order, seen, stack = [], set(), [(self, False)]
        while stack:
            node, done = stack.pop()
            if done:
                order.append(node)
            elif node not in seen:
                seen.add(node)
                stack.append((node, True))
                for child in node.children:
                    stack.append((child, False))
        self.grad = 1.0
        for node in reversed(order):
            for child, local_grad in zip(node.children, node.local_grads, strict=True):
                child.grad += local_grad * node.grad
