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

from . import copying as copying
from . import long_rows as long_rows
from . import loop_series as loop_series
from . import uncompiled as _uncompiled
from .branches import cond as cond
from .branches import switch as switch
from .checkpointing import checkpoint as checkpoint
from .compile import compile as compile
from .custom import custom_primitive as custom_primitive
from .errors import BackendError as BackendError
from .errors import GraphError as GraphError
from .errors import MissingDependencyError as MissingDependencyError
from .errors import NonFiniteError as NonFiniteError
from .errors import TraceError as TraceError
from .functions import hardtanh as hardtanh
from .functions import log_softmax as log_softmax
from .functions import prod as prod
from .functions import selu as selu
from .functions import softmax as softmax
from .functions import take as take
from .loops import fori_loop as fori_loop
from .loops import function as function
from .loops import map as map
from .loops import scan as scan
from .loops import while_loop as while_loop
from .modes import no_grad as no_grad
from .modes import strict as strict
from .primitive import PRIMITIVES as PRIMITIVES
from .primitive import Interval as Interval
from .primitive import Primitive as Primitive
from .program import Program as Program
from .series import taylor as taylor
from .structure import array as array
from .table import *  # noqa: F403  # the rows, by table.__all__
from .tracing import trace as trace
from .transforms import grad as grad
from .transforms import hessian as hessian
from .transforms import hvp as hvp
from .transforms import jacobian as jacobian
from .transforms import jvp as jvp
from .transforms import value_and_grad as value_and_grad
from .transforms import vjp as vjp
from .var import Var as Var
from .var import core as core

primitive = custom_primitive  # the decorator; the module of that name stays importable

__version__ = "0.1.0"

_ON_DEMAND = ("nn", "testing", "viz")


def __getattr__(name: str) -> ModuleType:
    """Import nn, testing or viz when it is first used, so that ``import chainrule`` stays light."""
    if name in _ON_DEMAND:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if core() == "interpreted":
    _uncompiled.tell_once()
