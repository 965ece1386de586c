"""Move parameters against their gradients: one scalar rule for each optimiser."""

from .descent import SGD as SGD
from .descent import Lion as Lion
from .descent import Rprop as Rprop
from .full_batch import FullBatch as FullBatch
from .groups import Together as Together
from .lbfgs import LBFGS as LBFGS
from .least_squares import LevenbergMarquardt as LevenbergMarquardt
from .moments import Adam as Adam
from .moments import Adamax as Adamax
from .moments import AdamW as AdamW
from .moments import NAdam as NAdam
from .moments import RAdam as RAdam
from .naming import optimiser_named as optimiser_named
from .optimiser import Memory as Memory
from .optimiser import Optimiser as Optimiser
from .squares import Adadelta as Adadelta
from .squares import Adagrad as Adagrad
from .squares import RMSProp as RMSProp
