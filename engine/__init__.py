"""Differentiate scalar Python code: `Var` records it, `backward()` applies the chain rule.

>>> from chainrule import Var
>>> x = Var(3.0)
>>> y = x**2 + x.sin()
>>> y.backward()
>>> print(f"{x.grad:.6f}")
5.010008
"""

import importlib
from types import ModuleType

from . import uncompiled as _uncompiled
from .compilation.compiled import compile as compile
from .data.structure import array as array
from .derivatives import loop_series as loop_series
from .derivatives.checkpointing import checkpoint as checkpoint
from .derivatives.series import taylor as taylor
from .derivatives.transforms import grad as grad
from .derivatives.transforms import hessian as hessian
from .derivatives.transforms import hvp as hvp
from .derivatives.transforms import jacobian as jacobian
from .derivatives.transforms import jvp as jvp
from .derivatives.transforms import value_and_grad as value_and_grad
from .derivatives.transforms import vjp as vjp
from .errors import BackendError as BackendError
from .errors import GraphError as GraphError
from .errors import MissingDependencyError as MissingDependencyError
from .errors import NonFiniteError as NonFiniteError
from .errors import TraceError as TraceError
from .graph import copying as copying
from .graph.modes import no_grad as no_grad
from .graph.modes import strict as strict
from .graph.var import Var as Var
from .graph.var import core as core
from .loops import long_sums as long_sums
from .loops.branches import cond as cond
from .loops.branches import switch as switch
from .loops.control_flow import fori_loop as fori_loop
from .loops.control_flow import function as function
from .loops.control_flow import map as map
from .loops.control_flow import scan as scan
from .loops.control_flow import while_loop as while_loop
from .operations.custom import custom_primitive as custom_primitive
from .operations.functions import hardtanh as hardtanh
from .operations.functions import log_softmax as log_softmax
from .operations.functions import prod as prod
from .operations.functions import selu as selu
from .operations.functions import softmax as softmax
from .operations.functions import take as take
from .operations.primitive import PRIMITIVES as PRIMITIVES
from .operations.primitive import Interval as Interval
from .operations.primitive import Primitive as Primitive
from .operations.table import *  # noqa: F403  # the rows, by table.__all__
from .programs.program import Program as Program
from .programs.tracing import trace as trace

primitive = custom_primitive  # the decorator

__version__ = "0.1.0"

_ON_DEMAND = ("nn", "testing", "viz")


def __getattr__(name: str) -> ModuleType:
    """Import nn, testing or viz when it is first used, so that ``import chainrule`` stays light."""
    if name in _ON_DEMAND:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if core() == "interpreted":
    _uncompiled.tell_once()
