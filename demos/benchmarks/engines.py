"""How `benchmark.py` drives each engine through a workload: as its users would, in the same phases."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib import import_module, machinery
from typing import Any

from .workloads import Functions, Value


class Engine:
    """Drive `Value` through a workload, as its users would, in phases that can be timed separately."""

    name = "plain Value class"
    package = ""  # where its version is looked up
    sized = True  # whether its nodes are Python objects of one class

    def __init__(self) -> None:
        self.number: Any = Value
        self.functions = Functions(Value.relu, Value.exp, Value.log, value=lambda x: x.data)

    def start(self, workload: Any) -> None:
        self.workload = workload
        self.parameters = [self.number(value) for value in workload.start]
        self.model = workload.model(self.parameters)

    def build(self) -> None:
        self.loss = self.workload.loss(self.model, self.functions)

    def sweep(self) -> None:
        for parameter in self.parameters:
            parameter.grad = 0.0
        self.loss.backward()

    def gradients(self) -> list[float]:
        return [parameter.grad for parameter in self.parameters]

    def assign(self, values: list[float]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.data = value

    def free(self) -> None:
        self.loss = None

    def value(self) -> float:
        return self.functions.value(self.loss)

    def root(self) -> Any:
        return self.loss

    def below(self, node: Any) -> Iterable[Any]:
        """Return what a node was computed from; nothing for a leaf."""
        return node.children

    def nodes(self) -> int | None:
        """Count the computed nodes of the graph."""
        found, seen, stack = 0, set(), [self.root()]
        while stack:
            node = stack.pop()
            if node not in seen:
                seen.add(node)
                children = list(self.below(node))
                found += bool(children)
                stack.extend(children)
        return found


class Micrograd(Engine):
    name = package = "micrograd"
    sized = False

    def __init__(self) -> None:
        self.number = import_module("micrograd.engine").Value
        # Its demo makes Values of the inputs too.
        self.functions = Functions(self.number.relu, value=lambda x: x.data, constant=self.number)

    def below(self, node: Any) -> Iterable[Any]:
        return node._prev


class Chainrule(Engine):
    """Drive chainrule as it is installed."""

    package = "chainrule"

    def __init__(self) -> None:
        cr = import_module("chainrule")
        self.core = getattr(cr, "core", lambda: "interpreted")()
        self.name = f"chainrule {self.core}"
        self.number = cr.Var
        self.functions = Functions(cr.relu, cr.exp, cr.log, value=lambda x: x.value)

    def sweep(self) -> None:
        for parameter in self.parameters:
            parameter.zero_grad()
        self.loss.backward()

    def assign(self, values: list[float]) -> None:
        for parameter, value in zip(self.parameters, values, strict=True):
            parameter.value = value

    def below(self, node: Any) -> Iterable[Any]:
        return [arg for arg in node.args if isinstance(arg, self.number)]


class Pure(Chainrule):
    """Drive the same installed package, interpreted."""

    def __init__(self) -> None:
        sys.meta_path.insert(0, SourceFirst())
        super().__init__()
        file = str(sys.modules["chainrule.graph.var"].__file__)
        if self.core != "interpreted" or not file.endswith(".py"):
            raise RuntimeError(f"expected chainrule to run interpreted but it is {self.core}, from {file}")


class SourceFirst:
    """Find chainrule's modules by their .py files, even if compiled ones lie beside them.

    Python itself prefers the compiled file; a finder in front of `sys.meta_path` is asked before it.
    """

    def find_spec(self, name: str, path: Any, target: Any = None) -> machinery.ModuleSpec | None:
        loader = (machinery.SourceFileLoader, machinery.SOURCE_SUFFIXES)
        folders = path if name.startswith("chainrule.") else ()
        return next(filter(None, (machinery.FileFinder(folder, loader).find_spec(name) for folder in folders)), None)


class Torch(Engine):
    """Drive PyTorch by tensors of one float64."""

    name, package = "torch scalars", "torch"
    sized = False

    def __init__(self) -> None:
        self.torch = torch = import_module("torch")
        self.number = lambda value: torch.tensor(value, dtype=torch.float64, requires_grad=True)
        self.functions = Functions(torch.relu, torch.exp, torch.log, value=torch.Tensor.item)

    def sweep(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None
        self.loss.backward()

    def gradients(self) -> list[float]:
        return [0.0 if parameter.grad is None else parameter.grad.item() for parameter in self.parameters]

    def assign(self, values: list[float]) -> None:
        with self.torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                parameter.fill_(value)

    def nodes(self) -> None:
        """Count nothing: freeing a long graph whose nodes Python has seen overflows PyTorch's stack."""


class Autograd(Engine):
    """Drive HIPS autograd: the vjp of a function of an array of all parameters, as its `value_and_grad` does."""

    name = package = "autograd"
    sized = False

    def __init__(self) -> None:
        self.make_vjp = import_module("autograd").make_vjp
        self.np = np = import_module("autograd.numpy")
        value = import_module("autograd.tracer").getval
        self.functions = Functions(lambda x: np.maximum(0.0, x), np.exp, np.log, value=value)

    def start(self, workload: Any) -> None:
        self.workload = workload
        self.assign(workload.start)

    def function(self, values: Any) -> Any:
        self.loss = self.workload.loss(self.workload.model([values[k] for k in range(len(values))]), self.functions)
        return self.loss

    def build(self) -> None:
        self.vjp, _ = self.make_vjp(self.function)(self.values)

    def sweep(self) -> None:
        self.found = self.vjp(1.0)

    def gradients(self) -> list[float]:
        return self.found.tolist()

    def assign(self, values: list[float]) -> None:
        self.values = self.np.array(values)  # a list of them would be copied for each gradient

    def free(self) -> None:
        self.vjp = self.loss = None

    def root(self) -> Any:
        return self.loss._node

    def below(self, node: Any) -> Iterable[Any]:
        return node.parents


class XAD(Engine):
    """Drive XAD in adjoint mode; its numbers cannot be assigned to, so every recording has new ones."""

    name, package = "XAD", "xad"
    sized = False

    def __init__(self) -> None:
        adjoint, functions = import_module("xad.adj_1st"), import_module("xad.math")
        self.number, self.tape = adjoint.Real, adjoint.Tape()
        self.tape.activate()
        value = adjoint.Real.getValue
        self.functions = Functions(lambda x: functions.max(x, 0.0), functions.exp, functions.log, value=value)

    def start(self, workload: Any) -> None:
        self.workload, self.values = workload, workload.start

    def build(self) -> None:
        self.parameters = [self.number(value) for value in self.values]
        self.tape.registerInputs(self.parameters)
        self.tape.newRecording()
        self.loss = self.workload.loss(self.workload.model(self.parameters), self.functions)

    def sweep(self) -> None:
        self.tape.registerOutput(self.loss)
        self.loss.derivative = 1.0
        self.tape.computeAdjoints()

    def gradients(self) -> list[float]:
        return [parameter.derivative for parameter in self.parameters]

    def assign(self, values: list[float]) -> None:
        self.values = values

    def free(self) -> None:
        self.loss = self.parameters = None
        self.tape.clearAll()  # without it, the tape grows from recording to recording

    def nodes(self) -> int:
        return self.tape.getPosition()


# In the order of their turns.
ENGINES = {
    "chainrule": Chainrule,
    "pure": Pure,
    "value": Engine,
    "micrograd": Micrograd,
    "torch": Torch,
    "autograd": Autograd,
    "xad": XAD,
}
