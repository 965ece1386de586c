"""Build and train networks of scalars: modules, layers, losses and optimisers.

>>> from chainrule import nn
>>> model = nn.MLP(2, [4, 1], seed=0)
>>> optimiser = nn.SGD(model.parameters(), lr=0.1)
>>> rows, targets = [[0.0, 1.0], [1.0, 0.0]], [1.0, -1.0]
>>> for _ in range(50):
...     loss = nn.mse([model(row) for row in rows], targets)
...     optimiser.zero_grad()
...     loss.backward()
...     optimiser.step()
>>> loss.value < 0.01
True

`fit` does the same, with mini-batches, validation and a history, in graphs or in machine code.
"""

import importlib as _importlib
from typing import TYPE_CHECKING, Any

from chainrule import misspelt as _misspelt
from chainrule.errors import needing as _needing

from .blocks import GRU as GRU
from .blocks import LSTM as LSTM
from .blocks import RNN as RNN
from .blocks import Attention as Attention
from .blocks import Conv1d as Conv1d
from .blocks import Dropout as Dropout
from .blocks import Embedding as Embedding
from .blocks import LayerNorm as LayerNorm
from .blocks import PReLU as PReLU
from .blocks import Residual as Residual
from .blocks import RMSNorm as RMSNorm
from .callbacks import Average as Average
from .callbacks import Callback as Callback
from .callbacks import Checkpoint as Checkpoint
from .callbacks import CSVLog as CSVLog
from .callbacks import MaxNorm as MaxNorm
from .callbacks import ReduceOnPlateau as ReduceOnPlateau
from .callbacks import Training as Training
from .history import History as History
from .layers import MLP as MLP
from .layers import Layer as Layer
from .layers import Neuron as Neuron
from .layers import Sequential as Sequential
from .losses import binary_cross_entropy as binary_cross_entropy
from .losses import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from .losses import cross_entropy as cross_entropy
from .losses import gaussian as gaussian
from .losses import hinge as hinge
from .losses import huber as huber
from .losses import log_cosh as log_cosh
from .losses import mae as mae
from .losses import mse as mse
from .losses import poisson as poisson
from .losses import quantile as quantile
from .metrics import accuracy as accuracy
from .metrics import r2 as r2
from .metrics import rmse as rmse
from .module import Module as Module
from .optimisers import LBFGS as LBFGS
from .optimisers import SGD as SGD
from .optimisers import Adadelta as Adadelta
from .optimisers import Adagrad as Adagrad
from .optimisers import Adam as Adam
from .optimisers import Adamax as Adamax
from .optimisers import AdamW as AdamW
from .optimisers import FullBatch as FullBatch
from .optimisers import LevenbergMarquardt as LevenbergMarquardt
from .optimisers import Lion as Lion
from .optimisers import NAdam as NAdam
from .optimisers import Optimiser as Optimiser
from .optimisers import RAdam as RAdam
from .optimisers import RMSProp as RMSProp
from .optimisers import Rprop as Rprop
from .optimisers import Together as Together
from .saving import load as load
from .saving import save as save
from .schedules import cosine_schedule as cosine_schedule
from .schedules import exponential_schedule as exponential_schedule
from .schedules import linear_schedule as linear_schedule
from .schedules import one_cycle_schedule as one_cycle_schedule
from .schedules import plateau_schedule as plateau_schedule
from .schedules import polynomial_schedule as polynomial_schedule
from .schedules import restart_schedule as restart_schedule
from .schedules import step_schedule as step_schedule
from .schedules import warm_up as warm_up
from .training import fit as fit

if TYPE_CHECKING:
    from .converting import from_sklearn as from_sklearn
    from .converting import from_torch as from_torch
    from .converting import to_torch as to_torch
    from .estimators import MLPClassifier as MLPClassifier
    from .estimators import MLPRegressor as MLPRegressor
    from .export import export_c as export_c
    from .export import export_onnx as export_onnx

# Imported when they are first used: scikit-learn takes a second, and most programs need none of these.
_ON_DEMAND = {
    "MLPClassifier": "estimators",
    "MLPRegressor": "estimators",
    "export_c": "export",
    "export_onnx": "export",
    "from_sklearn": "converting",
    "from_torch": "converting",
    "to_torch": "converting",
}


def __getattr__(name: str) -> Any:
    """Import what is needed on demand only."""
    if name not in _ON_DEMAND:
        advice = _misspelt.advice(name, _misspelt.LAYERS, __dir__(), "nn.")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{advice}")
    with _needing(f"nn.{name}", "scikit-learn"):  # the estimators alone import anything from outside
        module = _importlib.import_module(f"{__name__}.{_ON_DEMAND[name]}")
    return getattr(module, name)


def __dir__() -> list[str]:
    """List the public names, also those that are not imported yet."""
    return sorted({name for name in globals() if not name.startswith("_")}.union(_ON_DEMAND))
