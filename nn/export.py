"""Write a trained model as a file that runs without chainrule: C99 source or ONNX."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chainrule
from chainrule.data import write_whole
from chainrule.errors import describe, needing

from .chain import Dense, chain_of, known
from .module import Module

_OPSET, _IR = 17, 8  # since 2022; runtimes of later years read them


def export_c(model: Module, path: str | os.PathLike[str], example: Any = None) -> Path:
    """Write ``void predict(const double *a0, double *out)``, with the parameters in it; return the path of the C file.

    Args:
        model: any module that can be compiled.
        path: the file, ending in ``.c``; a header is written beside it.
        example: a row of inputs, which tells how many there are; None for models of `nn`, which say so.

    Errors: `TypeError` for None where the model doesn't tell, `BackendError` for a function that C's library lacks.

    >>> import tempfile
    >>> from chainrule import nn
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = nn.export_c(nn.MLP(2, [3, 1], seed=1), f"{folder}/model.c")
    ...     "void predict(const double *a0, double *out);" in path.with_suffix(".h").read_text()
    True
    """
    if not isinstance(model, Module):
        raise TypeError(f"export_c expected a Module but got {describe('model', model)}")
    if example is None:
        first = chain_of(model, "export_c without an example")[0]
        if not isinstance(first, Dense):
            raise TypeError(f"export_c expected an example of a row, as {first.name} comes before any layer")
        example = [0.5] * len(first.weights[0])
    fixed = model.with_parameters([parameter.value for parameter in model.parameters()])

    def predict(x: Any) -> Any:
        return fixed(x)

    compiled = chainrule.compile(predict)
    compiled(example)
    return compiled.export_c(path)


def export_onnx(model: Module, path: str | os.PathLike[str]) -> Path:
    """Write an ONNX model of doubles, from ``X``, rows of inputs, to ``Y``, rows of outputs; return the path.

    Args:
        model: of `Neuron`, `Layer`, `MLP`, `Sequential`, and functions that ONNX can express.
        path: the file, which appears whole or not at all.

    Errors: `TypeError` that names the layer that ONNX cannot express. Needs the package onnx.
    """
    links = chain_of(model, "export_onnx")
    written = [known("export_onnx", link, _ONNX) for link in links]
    with needing("nn.export_onnx", "onnx"):
        onnx = importlib.import_module("onnx")
        numpy = importlib.import_module("numpy")
    graph = _Graph(onnx.helper, numpy, onnx.numpy_helper)
    value = "X"
    for link, write in zip(links, written, strict=True):
        if isinstance(link, Dense):
            weights = graph.constant(numpy.array(link.weights, dtype=numpy.float64).T)
            product = graph.add("MatMul", value, weights)
            value = graph.add("Add", product, graph.constant(numpy.array(link.biases, dtype=numpy.float64)))
        value = write(graph, value)
    graph.nodes.append(onnx.helper.make_node("Identity", [value], ["Y"]))
    dense = [link for link in links if isinstance(link, Dense)]
    ends = [("X", len(dense[0].weights[0])), ("Y", len(dense[-1].biases))]
    inputs, outputs = (
        [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, ["rows", size])] for name, size in ends
    )
    whole = onnx.helper.make_model(
        onnx.helper.make_graph(graph.nodes, "chainrule", inputs, outputs, graph.constants),
        opset_imports=[onnx.helper.make_opsetid("", _OPSET)],
        ir_version=_IR,
        producer_name="chainrule",
    )
    onnx.checker.check_model(whole)
    target = Path(path)
    write_whole(target, whole.SerializeToString())
    return target


class _Graph:
    """Collect the nodes and constants of an ONNX graph."""

    def __init__(self, helper: Any, numpy: Any, numpy_helper: Any) -> None:
        self.helper, self.numpy, self.numpy_helper = helper, numpy, numpy_helper
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(self.numpy_helper.from_array(self.numpy.array(value, dtype=self.numpy.float64), name))
        return name

    def add(self, operation: str, *inputs: str | float, **attributes: Any) -> str:
        """Add a node, numbers among its inputs as constants; return the name of its output."""
        names = [item if isinstance(item, str) else self.constant(item) for item in inputs]
        name = f"v{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(operation, names, [name], **attributes))
        return name


_Write = Callable[[_Graph, str], str]


def _node(operation: str, **attributes: Any) -> _Write:
    return lambda graph, x: graph.add(operation, x, **attributes)


def _softplus(graph: _Graph, x: str) -> str:
    # log1p(e) as log(1 + e) * e / ((1 + e) - 1), which keeps the digits of a small e.
    e = graph.add("Exp", graph.add("Neg", graph.add("Abs", x)))
    u = graph.add("Add", e, 1.0)
    lost = graph.add("Sub", u, 1.0)
    is_small = graph.add("Equal", lost, 0.0)
    ratio = graph.add("Div", e, graph.add("Where", is_small, 1.0, lost))
    log = graph.add("Where", is_small, e, graph.add("Mul", graph.add("Log", u), ratio))
    return graph.add("Add", graph.add("Max", x, 0.0), log)


def _negative(graph: _Graph, x: str) -> str:
    return graph.add("Min", x, 0.0)


def _joined(slope: Callable[[_Graph, str], str]) -> _Write:
    """Return max(x, 0) plus something of min(x, 0)."""
    return lambda graph, x: graph.add("Add", graph.add("Max", x, 0.0), slope(graph, _negative(graph, x)))


def _expm1(graph: _Graph, x: str) -> str:
    # 2 * tanh(x/2) / (1 - tanh(x/2)), which keeps the digits of a small x; x is at most 0.
    t = graph.add("Tanh", graph.add("Mul", x, 0.5))
    return graph.add("Div", graph.add("Mul", t, 2.0), graph.add("Sub", 1.0, t))


def _selu(graph: _Graph, x: str) -> str:
    below = graph.add("Mul", _expm1(graph, _negative(graph, x)), -chainrule.selu(-math.inf) / chainrule.selu(1.0))
    return graph.add("Mul", graph.add("Add", graph.add("Max", x, 0.0), below), chainrule.selu(1.0))


# (1 + 2z) exp(z**2) erfc(z) as a polynomial in t = (z - 3.75) / (z + 3.75), to 4e-16 for all z above 0: the form of
# Shepherd and Laframboise 1981, "Chebyshev Approximation of (1 + 2x) exp(x^2) erfc x", computed anew by mpmath.
_CENTRE = 3.75
_TAIL = (
    1.2375126308378264,
    -0.1402405985855061,
    0.003585415485781718,
    0.08227673848712364,
    -0.10880393015455231,
    0.09230432122630407,
    -0.058693398387769276,
    0.028362276757789878,
    -0.009746581194305737,
    0.0017556295098350434,
    0.0002937214295671746,
    -0.00029016629854870584,
    5.162601622259853e-05,
    2.2410019228612918e-05,
    -1.1399726074447365e-05,
    -1.0083452170479683e-06,
    1.6959958079430478e-06,
    -2.7749611122883763e-08,
    -2.143069227582364e-07,
    8.526359817483033e-09,
    1.7552176307433927e-08,
)


def _gelu(graph: _Graph, x: str) -> str:
    # max(x, 0) - a * normal_cdf(-a) with a = |x|: runtimes have no erf of doubles. Beyond 100 the tail is 0.
    a = graph.add("Min", graph.add("Abs", x), 100.0)
    z = graph.add("Mul", a, math.sqrt(0.5))
    t = graph.add("Sub", 1.0, graph.add("Div", 2.0 * _CENTRE, graph.add("Add", z, _CENTRE)))
    value = graph.constant(_TAIL[-1])
    for coefficient in reversed(_TAIL[:-1]):
        value = graph.add("Add", graph.add("Mul", value, t), coefficient)
    falling = graph.add("Exp", graph.add("Neg", graph.add("Mul", z, z)))
    divisor = graph.add("Add", graph.add("Mul", z, 4.0), 2.0)
    tail = graph.add("Div", graph.add("Mul", value, falling), divisor)
    return graph.add("Sub", graph.add("Max", x, 0.0), graph.add("Mul", a, tail))


_ONNX: dict[str, _Write] = {
    "linear": lambda graph, x: x,
    "relu": lambda graph, x: graph.add("Max", x, 0.0),
    "tanh": _node("Tanh"),
    "sigmoid": _node("Sigmoid"),
    "exp": _node("Exp"),
    "abs": _node("Abs"),
    "square": lambda graph, x: graph.add("Mul", x, x),
    "softplus": _softplus,
    "log_sigmoid": lambda graph, x: graph.add("Neg", _softplus(graph, graph.add("Neg", x))),
    "leaky_relu": _joined(lambda graph, x: graph.add("Mul", x, 0.01)),
    "elu": _joined(_expm1),
    "celu": _joined(_expm1),
    "selu": _selu,
    "gelu": _gelu,
    "silu": lambda graph, x: graph.add("Mul", x, graph.add("Sigmoid", x)),
    "mish": lambda graph, x: graph.add("Mul", x, graph.add("Tanh", _softplus(graph, x))),
    "softsign": lambda graph, x: graph.add("Div", x, graph.add("Add", graph.add("Abs", x), 1.0)),
    "hardtanh": lambda graph, x: graph.add("Max", graph.add("Min", x, 1.0), -1.0),
    "softmax": _node("Softmax", axis=-1),
    "log_softmax": _node("LogSoftmax", axis=-1),
}
