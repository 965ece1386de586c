"""Use networks as scikit-learn estimators: in pipelines, grid searches and cross-validation."""

import sklearn as _sklearn  # noqa: F401  where it is missing, that is said before any file of this folder is read

from .classifier import MLPClassifier as MLPClassifier
from .regressor import MLPRegressor as MLPRegressor
