"""Derivatives of functions: `grad` and its kin, and how they pass through graphs and loops."""

from . import loop_rules as loop_rules  # gives loops their derivatives
from . import loop_series as loop_series  # gives loops their series
from .checkpointing import checkpoint as checkpoint
from .checkpointing import run_again as run_again
from .expanding import taylor as taylor
from .transforms import grad as grad
from .transforms import hessian as hessian
from .transforms import hvp as hvp
from .transforms import jacobian as jacobian
from .transforms import jvp as jvp
from .transforms import value_and_grad as value_and_grad
from .transforms import vjp as vjp
