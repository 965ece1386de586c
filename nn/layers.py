"""Build a network: a `Neuron`, a `Layer` of them, an `MLP` of layers, or any `Sequential` of your own."""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any, final

import chainrule
from chainrule import Var
from chainrule.data import to_float
from chainrule.errors import describe

from .activations import Activation, activation_name, activation_title, find_activation
from .initialise import Initialiser, find_bias_initialiser, find_initialiser, random_source
from .module import Module

_LISTED_NEURONS = 4  # a wider layer is printed as a count
_FEW, _SHORT = 4, 256  # fewer neurons, each of fewer inputs, are as well written out


@final
class Neuron(Module):
    """Compute ``activation(w1*x1 + w2*x2 + ... + b)``.

    Args:
        nin: the number of inputs.
        activation: the name of a one-argument function of chainrule, "linear" or None for none, or a function.
        initialise: "uniform", "normal", "xavier", "xavier_normal", "he", "he_normal", "lecun", "zeros", "ones", a
            function of (source, nin, nout), or None to choose by the activation.
        seed: a whole number for the same weights every time, or a `random.Random`.
        nout: how many neurons share the inputs, for initialisations that ask.
        initialise_bias: where the bias starts: a number, a name or function as for `initialise`, or None for 0.

    >>> neuron = Neuron(2, activation="relu", seed=1)
    >>> neuron
    ReLUNeuron(2)
    >>> neuron.load_state_dict({"weights.0": 2.0, "weights.1": -1.0, "bias": 0.5})
    >>> neuron([1.0, 1.0]).value
    1.5
    """

    def __init__(
        self,
        nin: int,
        activation: str | Activation | None = "tanh",
        initialise: str | Initialiser | None = None,
        seed: int | random.Random | None = None,
        nout: int = 1,
        initialise_bias: str | float | Initialiser | None = None,
    ) -> None:
        self.nin = _size(nin, "Neuron", "nin")
        self.activation = find_activation(activation)
        draw = find_initialiser(initialise, activation_name(self.activation))
        source = random_source(seed)
        self.weights = [Var(draw(source, self.nin, nout), label=f"w{k}") for k in range(1, self.nin + 1)]
        self.bias = Var(find_bias_initialiser(initialise_bias)(source, self.nin, nout), label="b")

    def __call__(self, x: Any) -> Any:
        """Return the output for one row of `nin` numbers or Vars."""
        return self.forward(inputs(x, self.nin, "Neuron"))

    def forward(self, row: Sequence[Any]) -> Any:
        """Return the output for a checked row."""
        # One node for the sum: the bias is the weight of an input that is always 1.
        return self.activation(chainrule.dot([*self.weights, self.bias], [*row, 1.0]))

    def __repr__(self) -> str:
        return f"{activation_title(self.activation)}Neuron({self.nin})"


@final
class Layer(Module):
    """Feed the same inputs to `nout` neurons.

    Args are those of `Neuron`, and the number of neurons.

    >>> layer = Layer(2, 3, activation="sigmoid", seed=1)
    >>> layer
    Layer of [SigmoidNeuron(2), SigmoidNeuron(2), SigmoidNeuron(2)]
    >>> len(layer([0.5, -0.5]))
    3
    """

    def __init__(
        self,
        nin: int,
        nout: int,
        activation: str | Activation | None = "tanh",
        initialise: str | Initialiser | None = None,
        seed: int | random.Random | None = None,
        initialise_bias: str | float | Initialiser | None = None,
    ) -> None:
        self.nin = _size(nin, "Layer", "nin")
        self.nout = _size(nout, "Layer", "nout")
        source = random_source(seed)
        self.neurons = [
            Neuron(nin, activation, initialise, source, self.nout, initialise_bias) for _ in range(self.nout)
        ]
        self.label_parameters()

    def label_parameters(self, mark: str = "") -> None:
        """Label the weight of input i in neuron j ``w[j,i]`` and its bias ``b[j]``, `mark` before the bracket.

        >>> layer = Layer(2, 1)
        >>> layer.label_parameters("3")
        >>> [parameter.label for parameter in layer.parameters()]
        ['w3[1,1]', 'w3[1,2]', 'b3[1]']
        """
        for j, neuron in enumerate(self.neurons, 1):
            for i, weight in enumerate(neuron.weights, 1):
                weight.label = f"w{mark}[{j},{i}]"
            neuron.bias.label = f"b{mark}[{j}]"

    def __call__(self, x: Any) -> Any:
        """Return the list of outputs for one row of `nin` numbers or Vars; a single output as itself."""
        return _outputs(self.forward(inputs(x, self.nin, "Layer")))

    def forward(self, row: Sequence[Any]) -> Sequence[Any]:
        """Return the outputs for a checked row."""
        # As each neuron has it; this is what a graph of a small network takes its time for.
        dot, extended = chainrule.dot.apply, (*row, 1.0)
        return [
            neuron.activation(dot((*neuron.weights, neuron.bias, *extended)))
            if len(neuron.weights) == len(row)
            else neuron.forward(row)
            for neuron in self.neurons
        ]

    def on_array(self, values: Any) -> Any:
        """Return the layer with a whole array of a trace as parameters; None where it is small, or neurons differ."""
        first = self.neurons[0]
        alike = all(
            len(neuron.weights) == self.nin and neuron.activation is first.activation for neuron in self.neurons
        )
        is_small = len(self.neurons) < _FEW and self.nin < _SHORT
        if is_small or not alike or values.shape != (len(self.neurons) * (self.nin + 1),):
            return None
        return _LayerOnArray(self, values.reshape(len(self.neurons), self.nin + 1))

    def __repr__(self) -> str:
        if self.nout > _LISTED_NEURONS:
            return f"Layer of {self.nout} {self.neurons[0]!r}"
        return f"Layer of {self.neurons!r}"


@final
class _LayerOnArray(Module):
    """Compute as a layer does whose parameters are a whole array: a row for each neuron, its weights and its bias."""

    def __init__(self, layer: Layer, rows: Any) -> None:
        self.nin, self.nout, self.activation, self.rows = layer.nin, layer.nout, layer.neurons[0].activation, rows

    def __call__(self, x: Any) -> Any:
        return _outputs(self.forward(inputs(x, self.nin, "Layer")))

    def forward(self, row: Sequence[Any]) -> Sequence[Any]:
        found: Sequence[Any] = chainrule.map(self._neuron, self.rows, row)
        return found

    def _neuron(self, parameters: Any, row: Any) -> Any:
        return self.activation(chainrule.dot(parameters[:-1], row) + parameters[-1])


@final
class MLP(Module):
    """Feed layers one into the next: a multilayer perceptron.

    Args:
        nin: the number of inputs.
        nouts: the number of neurons of each layer; the last is the number of outputs.
        activation: that of all layers but the last: a name, "linear" or None for none, or a function of one argument.
        output_activation: that of the last layer.
        seed: a whole number for the same weights every time, or a `random.Random`.
        initialise: a name, a function of (source, nin, nout), or None to choose by the activation.
        initialise_bias: a number, a name or function as for `initialise`, or None for 0.

    >>> model = MLP(2, [2, 1], activation="tanh", seed=1)
    >>> model
    MLP of [Layer of [TanhNeuron(2), TanhNeuron(2)], Layer of [LinearNeuron(2)]]
    >>> score = model([1.0, -1.0])
    >>> score.backward()
    >>> [parameter.label for parameter in model.parameters()][:3]
    ['w1[1,1]', 'w1[1,2]', 'b1[1]']
    """

    def __init__(
        self,
        nin: int,
        nouts: Iterable[int],
        activation: str | Activation | None = "tanh",
        output_activation: str | Activation | None = None,
        seed: int | random.Random | None = None,
        initialise: str | Initialiser | None = None,
        initialise_bias: str | float | Initialiser | None = None,
    ) -> None:
        if isinstance(nouts, str) or not isinstance(nouts, Iterable):
            raise TypeError(
                f"MLP expected a list of layer sizes, such as [16, 16, 1], but got {describe('nouts', nouts)}"
            )
        sizes = [_size(nin, "MLP", "nin"), *[_size(nout, "MLP", "nouts") for nout in nouts]]
        if len(sizes) == 1:
            raise ValueError("MLP expected at least one layer but got nouts=[] (list); give the sizes, such as [16, 1]")
        source = random_source(seed)
        activations = [activation] * (len(sizes) - 2) + [output_activation]
        self.nin, self.nout = sizes[0], sizes[-1]
        self.layers = [
            Layer(sizes[k], sizes[k + 1], activations[k], initialise, source, initialise_bias)
            for k in range(len(activations))
        ]
        for number, layer in enumerate(self.layers, 1):
            layer.label_parameters(str(number))

    def __call__(self, x: Any) -> Any:
        """Return the list of outputs for one row of `nin` numbers or Vars; a single output as itself."""
        row = inputs(x, self.nin, "MLP")
        for layer in self.layers:
            row = layer.forward(row)
        return _outputs(row)

    def __repr__(self) -> str:
        return f"MLP of {self.layers!r}"


@final
class Sequential(Module):
    """Call modules or plain functions one after the other, each on the output of the one before.

    >>> model = Sequential(Layer(2, 3, "relu", seed=1), Layer(3, 2, None, seed=2), chainrule.softmax)
    >>> shares = model([1.0, 2.0])
    >>> round(shares[0].value + shares[1].value, 12)
    1.0
    """

    def __init__(self, *stages: Callable[[Any], Any]) -> None:
        for stage in stages:
            if not callable(stage):
                raise TypeError(f"Sequential expected modules or functions but got {describe('stage', stage)}")
        self.stages = list(stages)

    def __call__(self, x: Any) -> Any:
        """Return the output of the last stage for the input `x` of the first."""
        for stage in self.stages:
            x = stage(x)
        return x

    def __repr__(self) -> str:
        names = [repr(stage) if isinstance(stage, Module) else activation_name(stage) for stage in self.stages]
        return f"Sequential of [{', '.join(names)}]"


def inputs(x: Any, nin: int, reader: str) -> Sequence[Any]:
    """Return a row as a list of Vars, checked.

    A plain number becomes one constant Var for the whole row of neurons: converted once, and drawn once.
    """
    if type(x) is list and len(x) == nin:
        found: list[Var] = []
        for position, item in enumerate(x, 1):
            if type(item) is Var:
                found.append(item)
            elif type(item) is float:
                found.append(Var(item, f"x{position}", False))
            else:
                break
        else:
            return found
    if hasattr(type(x), "__whole__") and x.shape == (nin,):
        whole: Sequence[Any] = x
        return whole
    if hasattr(x, "tolist") and not isinstance(x, Var):
        x = x.tolist()  # NumPy's own numbers would be converted one by one
    # One that is no row is the only input of a 1-input model, or wrong: then the conversion below says so.
    row = list(x) if isinstance(x, Iterable) and not isinstance(x, str) else [x]
    if len(row) != nin:
        plural = "" if nin == 1 else "s"
        raise ValueError(f"{reader} expected {nin} input{plural} but got {len(row)} in {describe('x', x)}")
    for position, item in enumerate(row):
        if not hasattr(type(item), "__apply__"):
            if isinstance(item, list | tuple) or getattr(item, "shape", ()) != ():
                raise TypeError(
                    f"{reader} expected one row of {nin} numbers or Vars but got several in {describe('x', x)}; "
                    "call it on each row"
                )
            row[position] = Var(to_float(item, reader, f"x[{position}]"), f"x{position + 1}", False)
    return row


def _outputs(row: Sequence[Any]) -> Any:
    return row[0] if len(row) == 1 else list(row)


def _size(size: int, reader: str, name: str) -> int:
    try:
        number = operator.index(size)
    except TypeError:
        raise TypeError(f"{reader} expected a whole number above 0 but got {describe(name, size)}") from None
    if number < 1:
        raise ValueError(f"{reader} expected a whole number above 0 but got {describe(name, size)}")
    return number
