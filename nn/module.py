"""Base class of models: `Module` finds their parameters, clears their gradients, saves and restores them."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

from chainrule import Var
from chainrule.data import held, plain, to_float
from chainrule.errors import describe

from .data import samples_of, weights_of
from .evaluating import TRIED, loss_of, many, measured, try_targets, try_weights
from .inside import on_array, walk
from .losses import Loss, find_loss
from .metrics import Metric, border, find_metrics
from .overview import Summary, Weights, outputs_inside, summary_of
from .predicting import predictions
from .tensors import grouped, shape_of, spread

WIDE = 2_500
"""From so many parameters on, layers are compiled as loops: MLP 64-128-64-1 in the time of 390 samples."""


class Unmatched(NamedTuple):
    """The names that `load_state_dict` with ``strict=False`` left alone: of the model's, and of the state's."""

    missing: list[str]
    unexpected: list[str]


class Module:
    """Hold parameters, and other modules, as ordinary attributes.

    A parameter is a leaf `Var` that requires a gradient. It is found in attributes, and in lists, tuples, dicts and
    NumPy object arrays in them, however deep; nothing needs to be registered. A subclass defines ``__call__``.

    >>> class Line(Module):
    ...     def __init__(self):
    ...         self.slope, self.shift = Var(2.0), Var(1.0)
    ...     def __call__(self, x):
    ...         return self.slope * x + self.shift
    >>> line = Line()
    >>> line(3.0).value
    7.0
    >>> line.state_dict()
    {'slope': 2.0, 'shift': 1.0}

    ``weights`` is a dict of the same values as NumPy arrays, a layer's as two of them; where a module has an attribute
    of that name, as `Neuron` has, it is that.
    """

    weights: Any = Weights()

    def __call__(self, x: Any) -> Any:
        """Compute the output for `x`."""
        raise NotImplementedError(
            f"{type(self).__name__} expected a __call__ method of its own but has none; define it"
        )

    def named_parameters(self) -> Iterator[tuple[str, Var]]:
        """Yield each parameter once with its dotted name, in order of definition.

        A parameter that is reached by several names is yielded under the first. Cycles do no harm.

        >>> from chainrule.nn import Neuron
        >>> [name for name, _ in Neuron(2).named_parameters()]
        ['weights.0', 'weights.1', 'bias']
        """
        return ((name, leaf) for name, leaf in self._named_leaves() if leaf.requires_grad)

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Yield this module under the name "", and each module inside it once with its dotted name.

        >>> from chainrule.nn import Layer
        >>> [name for name, _ in Layer(2, 2).named_modules()]
        ['', 'neurons.0', 'neurons.1']
        """
        return ((name, item) for name, item in walk(self) if isinstance(item, Module))

    def _named_leaves(self) -> Iterator[tuple[str, Var]]:
        return ((name, item) for name, item in walk(self) if isinstance(item, Var))

    def parameters(self) -> list[Var]:
        """Return each parameter once, in order of definition.

        >>> from chainrule.nn import MLP
        >>> len(MLP(2, [16, 16, 1]).parameters())
        337
        """
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Clear the gradient of every parameter.

        >>> from chainrule.nn import Neuron
        >>> neuron = Neuron(1, activation=None)
        >>> neuron([2.0]).backward()
        >>> neuron.weights[0].grad
        2.0
        >>> neuron.zero_grad()
        >>> neuron.weights[0].grad
        0.0
        """
        for parameter in self.parameters():
            parameter.zero_grad()

    def predict(self, X: Any) -> Any:
        """Return the output for each row of `X` as numbers, without recording graphs.

        Many rows go through machine code, which is kept for models of the same architecture, where a few of them give
        the same in both ways.

        Args:
            X: rows of numbers, in a list, array or data frame; for a model of one input, numbers.

        A list gives a list, an array or data frame an array; a row of several outputs gives a row.

        >>> from chainrule.nn import Neuron
        >>> neuron = Neuron(1, activation=None, initialise=lambda source, nin, nout: 2.0)
        >>> neuron.predict([[1.0], [4.0]])
        [2.0, 8.0]
        """
        data = held(X, type(self).__name__, "X")
        is_array = hasattr(data, "tolist") and bool(data.shape)
        rows = data if is_array else plain(data)
        if isinstance(rows, str | Mapping) or not isinstance(rows, Iterable):
            raise TypeError(
                f"predict expected an iterable of rows but got {describe('X', X)}; for one row, call the model"
            )
        outputs = predictions(self, rows if is_array else list(rows))
        if rows is X and not is_array:
            return list(plain(outputs))
        import numpy

        return numpy.asarray(outputs)

    def evaluate(
        self,
        X: Any,
        y: Any,
        loss: str | Loss = "mse",
        metrics: str | Iterable[str | Metric] | Mapping[str, str | Metric] | None = None,
        sample_weight: Any = None,
    ) -> dict[str, float]:
        """Return the loss, and metrics by name, over rows `X` and targets `y`, which are those of `fit`.

        Args:
            X, y, loss, metrics: as in `fit`.
            sample_weight: how much each sample counts, in the loss and in metrics that take ``sample_weight``.

        >>> from chainrule.nn import Neuron
        >>> double = Neuron(1, activation=None, initialise=lambda source, nin, nout: 2.0)
        >>> double.evaluate([0.0, 1.0, 2.0], [0.0, 2.0, 5.0], metrics=["mae", "r2"])["mae"]
        0.3333333333333333
        """
        rows, targets = samples_of(X, y, "evaluate")
        measure, measures = find_loss(loss, "evaluate"), find_metrics(metrics, "evaluate")
        weights = weights_of(sample_weight, None, targets, "evaluate")
        found = self.predict(many(rows))
        try_targets(measure, plain(found[:1])[0], targets)
        if weights is not None:
            try_weights(measure, plain(found[:TRIED]), plain(targets[:TRIED]), "evaluate")
        threshold = border(measure, targets, self)
        value = loss_of(measure, found, targets, weights)
        return {"loss": value, **measured(measures, targets, found, weights, threshold)}

    def outputs(self, x: Any) -> dict[str, Any]:
        """Return what each layer gives for one row, as numbers by the layer's name.

        >>> from chainrule.nn import MLP
        >>> model = MLP(2, [3, 1], seed=0)
        >>> found = model.outputs([1.0, -1.0])
        >>> list(found), len(found["layers.0"])
        (['layers.0', 'layers.1'], 3)
        >>> found["layers.1"] == model([1.0, -1.0]).value
        True
        """
        return outputs_inside(self, [leaf for _, leaf in self._named_leaves()], x)

    def summary(self) -> Summary:
        """Return a table of the layers, their sizes and numbers of parameters, to print or to look at.

        >>> from chainrule.nn import MLP
        >>> MLP(2, [3, 1], seed=0).summary()
        MLP                parameters  frozen
        layers.0  Layer 3           9       0
        layers.1  Layer 1           4       0
        sum                        13       0
        """
        return summary_of(self)

    def freeze(self) -> None:
        """Keep the parameters of this module as they are: none of them requires a gradient any more.

        A module inside another can be frozen by itself, as ``model.layers[0].freeze()``. Make optimisers afterwards.

        >>> from chainrule.nn import MLP
        >>> model = MLP(1, [2, 1])
        >>> model.layers[0].freeze()
        >>> len(model.parameters())
        3
        >>> model.unfreeze()
        >>> len(model.parameters())
        7
        """
        parameters = self.parameters()
        # A set is not looked into for parameters.
        self._frozen = {*vars(self).get("_frozen", ()), *parameters}
        for parameter in parameters:
            parameter.requires_grad = False

    def unfreeze(self) -> None:
        """Make the parameters that `freeze` froze trainable again, of this module and those inside it."""
        own = {id(leaf) for _, leaf in self._named_leaves()}
        for _, module in list(self.named_modules()):
            for parameter in vars(module).pop("_frozen", ()):
                if id(parameter) in own:
                    parameter.requires_grad = True

    def with_parameters(self, values: Sequence[Any]) -> Self:
        """Return a copy of the model that computes with `values` in place of its parameters.

        Args:
            values: one for each of `parameters()`, in their order: numbers, Vars, or what functions such as `grad`,
                `hessian` and `compile` hand to the function they work on.

        Errors: `ValueError` where there are more or fewer values.

        >>> from chainrule import grad, value_and_grad
        >>> from chainrule.nn import Neuron
        >>> neuron = Neuron(1, activation=None)
        >>> grad(lambda values: neuron.with_parameters(values)([3.0]))([1.0, 2.0])
        [3.0, 1.0]
        """
        parameters = self.parameters()
        whole = len(parameters) >= WIDE and hasattr(type(values), "__whole__")
        values = values if whole else list(values)
        if len(parameters) != len(values):
            raise ValueError(
                f"with_parameters expected {len(parameters)} values, one for each parameter, but got {len(values)}"
            )
        # What a deep copy finds in its memo, it takes for copied already.
        memo = on_array(self, parameters, values) if whole else dict(zip(map(id, parameters), values, strict=True))
        return copy.deepcopy(self, memo)

    def state_dict(self) -> dict[str, float]:
        """Return the value of every parameter by name: plain data, to keep or to write to a file.

        Leaves that require no gradient, such as frozen weights, are among them.

        Errors: `ValueError` where two parameters have the same name (as under the keys 1 and "1" of a dict).

        >>> from chainrule.nn import Neuron
        >>> Neuron(1, initialise=lambda source, nin, nout: 0.5).state_dict()
        {'weights.0': 0.5, 'bias': 0.0}
        """
        return {name: parameter.value for name, parameter in self._parameters_by_name().items()}

    def load_state_dict(self, state: Mapping[str, Any], *, strict: bool = True) -> Unmatched | None:
        """Set every parameter to its value in `state`, as `state_dict` returned it, or ``weights``.

        Args:
            state: numbers by name, or arrays for the layers.
            strict: whether each parameter needs a value and each value a parameter; False sets those that match, and
                returns the names of both kinds that do not, as ``missing`` and ``unexpected``: an array of another
                shape matches nothing.

        Errors: `ValueError` where names are missing or unexpected, `TypeError` for a value that is no number.
        Then nothing has been changed.

        >>> from chainrule.nn import Neuron
        >>> neuron = Neuron(1)
        >>> neuron.load_state_dict({"weights.0": 2.0, "bias": -1.0})
        >>> neuron.state_dict()
        {'weights.0': 2.0, 'bias': -1.0}
        >>> neuron.load_state_dict({"bias": 3.0, "scale": 1.0}, strict=False)
        Unmatched(missing=['weights.0'], unexpected=['scale'])
        """
        if not isinstance(state, Mapping):
            raise TypeError(f"load_state_dict expected a dict of names and numbers but got {describe('state', state)}")
        parameters = self._parameters_by_name()
        odd = [] if strict else self._of_other_shapes(state)
        state = self._by_number({name: value for name, value in state.items() if name not in odd})
        missing = [name for name in parameters if name not in state]
        unexpected = [*odd, *[name for name in state if name not in parameters]]
        if strict and (missing or unexpected):
            faults = [f"{fault}: {_listed(names)}" for fault, names in _faults(missing, unexpected)]
            raise ValueError(
                f"load_state_dict expected the {len(parameters)} names that state_dict() of this {type(self).__name__} "
                f"gives but got {'; '.join(faults)}"
            )
        # All values are converted before the first is assigned: an error leaves the model as it was.
        values = {name: to_float(state[name], "load_state_dict", name) for name in parameters if name in state}
        for name, value in values.items():
            parameters[name].value = value
        return None if strict else Unmatched(missing, unexpected)

    def _of_other_shapes(self, state: Mapping[str, Any]) -> list[str]:
        """Return the names of arrays that are not of the shape that this model has under that name."""
        arrays = {name: value.shape for name, value in state.items() if getattr(value, "shape", ())}
        own = grouped(self.state_dict()) if arrays else {}
        return [name for name, shape in arrays.items() if name in own and shape_of(own[name]) != tuple(shape)]

    @staticmethod
    def _by_number(state: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the same with the arrays of layers as a number for each parameter."""
        if not any(getattr(value, "shape", ()) for value in state.values()):
            return state
        found: dict[str, Any] = {}
        for name, value in state.items():
            if getattr(value, "shape", ()):
                spread(name, value.tolist(), found)
            else:
                found[name] = value
        return found

    def _parameters_by_name(self) -> dict[str, Var]:
        parameters: dict[str, Var] = {}
        for name, parameter in self._named_leaves():
            if name in parameters:
                raise ValueError(
                    f"{type(self).__name__} expected a different name for each parameter but got {name!r} twice; "
                    "rename the attribute or dict key"
                )
            parameters[name] = parameter
        return parameters

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        bundle: dict[str, str] = importlib.import_module("chainrule.viz").mimebundle(self)
        return bundle

    def __repr__(self) -> str:
        count = len(self.parameters())
        return f"{type(self).__name__} of {count} parameter{'' if count == 1 else 's'}"


def _faults(missing: list[str], unexpected: list[str]) -> Iterator[tuple[str, list[str]]]:
    if missing:
        yield "missing", missing
    if unexpected:
        yield "unexpected", unexpected


def _listed(names: list[Any], most: int = 5) -> str:
    shown = ", ".join(repr(name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
