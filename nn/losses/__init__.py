"""Losses: functions of predictions and targets, each one scalar to call `backward()` on."""

from .classes import binary_cross_entropy as binary_cross_entropy
from .classes import binary_cross_entropy_with_logits as binary_cross_entropy_with_logits
from .classes import cross_entropy as cross_entropy
from .classes import hinge as hinge
from .naming import BY_NAME as BY_NAME
from .naming import Loss as Loss
from .naming import find_loss as find_loss
from .numbers import gaussian as gaussian
from .numbers import huber as huber
from .numbers import log_cosh as log_cosh
from .numbers import mae as mae
from .numbers import mse as mse
from .numbers import poisson as poisson
from .numbers import quantile as quantile
