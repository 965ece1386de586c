"""Differentiate scalar Python code: `Var` records it, `backward()` applies the chain rule.

>>> from chainrule import Var
>>> x = Var(3.0)
>>> y = x**2 + x.sin()
>>> y.backward()
>>> print(f"{x.grad:.6f}")
5.010008
"""

import importlib
from types import FunctionType, ModuleType

from . import uncompiled as _uncompiled
from .compilation import compile as compile
from .derivatives import checkpoint as checkpoint
from .derivatives import grad as grad
from .derivatives import hessian as hessian
from .derivatives import hvp as hvp
from .derivatives import jacobian as jacobian
from .derivatives import jvp as jvp
from .derivatives import taylor as taylor
from .derivatives import value_and_grad as value_and_grad
from .derivatives import vjp as vjp
from .errors import BackendError as BackendError
from .errors import GraphError as GraphError
from .errors import MissingDependencyError as MissingDependencyError
from .errors import NonFiniteError as NonFiniteError
from .errors import TraceError as TraceError
from .graph import Var as Var
from .graph import core as core
from .graph import no_grad as no_grad
from .graph import strict as strict
from .loops import cond as cond
from .loops import fori_loop as fori_loop
from .loops import function as function
from .loops import log_softmax as log_softmax
from .loops import map as map
from .loops import scan as scan
from .loops import softmax as softmax
from .loops import switch as switch
from .loops import while_loop as while_loop
from .operations import PRIMITIVES as PRIMITIVES
from .operations import Interval as Interval
from .operations import Primitive as Primitive
from .operations import array as array
from .operations import custom_primitive as custom_primitive
from .operations import hardtanh as hardtanh
from .operations import prod as prod
from .operations import selu as selu
from .operations import take as take
from .operations.table import *  # noqa: F403  # the rows, by table.__all__
from .pickling import unpickled as unpickled
from .programs import Program as Program
from .programs import trace as trace

primitive = custom_primitive  # the decorator

for _item in list(globals().values()):
    if isinstance(_item, FunctionType):
        _item.__module__ = __name__  # by which pickles find it

__version__ = "0.1.0"

_ON_DEMAND = ("nn", "testing", "viz")


def __getattr__(name: str) -> ModuleType:
    """Import nn, testing or viz when it is first used, so that ``import chainrule`` stays light."""
    if name in _ON_DEMAND:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if core() == "interpreted":
    _uncompiled.tell_once()
