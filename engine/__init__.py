"""Differentiate scalar Python code: `Var` records it, `backward()` applies the chain rule.

>>> from chainrule import Var
>>> x = Var(3.0)
>>> y = x**2 + x.sin()
>>> y.backward()
>>> print(f"{x.grad:.6f}")
5.010008

Record, then differentiate
    Var, with value, grad, backward(), zero_grad(), detach(), label; no_grad, stop_gradient, strict
Derivatives of functions
    grad, value_and_grad, jacobian, hessian, jvp, vjp, hvp, taylor; checkpoint saves memory
Speed: the same code as machine code, for arrays of arguments too
    compile, trace, Program, core
Networks (chainrule.nn) and their training
    Neuron, Layer, MLP, Sequential, Module; fit, losses, optimisers; MLPRegressor, MLPClassifier; save, load
Pictures (chainrule.viz)
    draw, render, explain, formula, chain, plot_history, plot_fit, plot_decision_boundary
Functions of numbers, which are also methods of Var, and serve as a module math that can be differentiated
    abs sign sqrt cbrt square reciprocal rsqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos atan sinh cosh
    tanh asinh acosh atanh sinc degrees radians erf erfc erfinv gamma lgamma digamma polygamma normal_pdf normal_cdf
    floor ceil trunc round; of two or three: pow hypot atan2 maximum minimum clip where fmod remainder copysign fma
    logaddexp xlogy; of many: sum prod mean dot norm logsumexp softmax log_softmax take array
Activations
    relu leaky_relu elu selu celu gelu silu mish sigmoid log_sigmoid softplus softsign tanh hardtanh
Loops and branches that stay loops when compiled
    map, scan, fori_loop, while_loop, cond, switch, function
Operations of your own, and tests of derivatives (chainrule.testing)
    custom_primitive, Primitive, Interval, PRIMITIVES; check_grads, check_primitive
What is raised
    GraphError, TraceError, NonFiniteError, BackendError, MissingDependencyError
The operators as functions, and what else Python's math has
    add sub mul div floor_divide neg pos less less_equal equal not_equal; pi e tau inf nan isfinite isinf isnan isclose
    fabs frexp ldexp modf fsum dist comb perm factorial gcd lcm isqrt nextafter ulp
"""

import importlib as _importlib
from types import FunctionType as _FunctionType
from types import ModuleType as _ModuleType
from typing import Any as _Any

from . import misspelt as _misspelt
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
from .operations import PARTS as _PARTS
from .operations import PRIMITIVES as PRIMITIVES
from .operations import Interval as Interval
from .operations import Primitive as Primitive
from .operations import array as array
from .operations import comb as comb
from .operations import custom_primitive as custom_primitive
from .operations import dist as dist
from .operations import e as e
from .operations import factorial as factorial
from .operations import frexp as frexp
from .operations import fsum as fsum
from .operations import gcd as gcd
from .operations import hardtanh as hardtanh
from .operations import inf as inf
from .operations import isclose as isclose
from .operations import isfinite as isfinite
from .operations import isinf as isinf
from .operations import isnan as isnan
from .operations import isqrt as isqrt
from .operations import lcm as lcm
from .operations import ldexp as ldexp
from .operations import modf as modf
from .operations import nan as nan
from .operations import nextafter as nextafter
from .operations import perm as perm
from .operations import pi as pi
from .operations import prod as prod
from .operations import selu as selu
from .operations import take as take
from .operations import tau as tau
from .operations import ulp as ulp
from .operations.table import *  # noqa: F403  # the rows, by table.__all__
from .pickling import unpickled as unpickled
from .programs import Program as Program
from .programs import trace as trace

primitive = custom_primitive  # the decorator
fabs = abs  # the row: Python's math has it under this name

for _item in list(globals().values()):
    if isinstance(_item, _FunctionType):
        _item.__module__ = __name__  # by which pickles find it

__version__ = "0.1.0"

_ON_DEMAND = ("nn", "testing", "viz")


def __getattr__(name: str) -> _ModuleType:
    """Import nn, testing or viz when it is first used, so that ``import chainrule`` stays light."""
    if name in _ON_DEMAND:
        return _importlib.import_module(f"{__name__}.{name}")
    advice = _misspelt.advice(name, _misspelt.FUNCTIONS, __dir__(), "chainrule.")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}{advice}")


def __dir__() -> list[str]:
    """List the public names; the modules behind them are no part of the interface."""
    return sorted({name for name, item in globals().items() if _is_public(name, item)}.union(_ON_DEMAND))


def _is_public(name: str, item: _Any) -> bool:
    is_inside = name.startswith("_") or name == "unpickled" or name in _PARTS or isinstance(item, _ModuleType)
    return name == "__version__" or not is_inside


if core() == "interpreted":
    _uncompiled.tell_once()
