"""Use networks as scikit-learn estimators: in pipelines, grid searches and cross-validation."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy
from chainrule.data import number_within, plain, whole_number
from chainrule.errors import describe
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from . import losses
from .data import held_out
from .layers import MLP
from .optimisers import SGD, Adagrad, Adam, AdamW, RMSProp
from .training import fit

_SOLVERS = {"adam": Adam, "adamw": AdamW, "sgd": SGD, "rmsprop": RMSProp, "adagrad": Adagrad}
_ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid"}  # scikit-learn's names


class _MLPEstimator(BaseEstimator):  # type: ignore[misc]
    """What both estimators share: the arguments, which scikit-learn reads from the signature, and training."""

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (16,),
        activation: Any = "relu",
        *,
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate_init: float = 0.01,
        max_iter: int = 200,
        random_state: Any = None,
        tol: float = 1e-4,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        verbose: bool = False,
    ) -> None:
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate_init = learning_rate_init
        self.max_iter = max_iter
        self.random_state = random_state
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.verbose = verbose

    def _train(self, X: Any, y: Any, nout: int, loss: Any) -> None:
        kind = type(self).__name__
        if not isinstance(self.solver, str) or self.solver not in _SOLVERS:
            raise ValueError(f"{kind} expected solver to be one of {', '.join(_SOLVERS)} but got {self.solver!r}")
        # fit has other names for these.
        epochs = whole_number(kind, "max_iter", self.max_iter)
        patience = whole_number(kind, "n_iter_no_change", self.n_iter_no_change)
        tolerance = number_within(kind, "tol", self.tol)
        if self.early_stopping:
            held_out(kind, "validation_fraction", self.validation_fraction, len(X))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        activation = self.activation
        if isinstance(activation, str):
            activation = _ACTIVATIONS.get(activation, activation)
        batch_size: Any = min(200, len(X)) if self.batch_size == "auto" else self.batch_size
        model = MLP(X.shape[1], [*self._hidden_sizes(), nout], activation, seed=seed)
        optimiser = _SOLVERS[self.solver](model.parameters(), lr=self.learning_rate_init, weight_decay=self.alpha)
        self.history_ = fit(
            model,
            X,
            y,
            loss=loss,
            optimiser=optimiser,
            epochs=epochs,
            batch_size=batch_size,
            validation=self.validation_fraction if self.early_stopping else None,
            patience=patience,
            tolerance=tolerance,
            seed=seed,
            progress=bool(self.verbose),
        )
        self.model_ = model
        self.loss_curve_ = self.history_.loss
        self.n_iter_ = len(self.loss_curve_)
        self.loss_ = self.loss_curve_[-1]

    def _hidden_sizes(self) -> list[int]:
        sizes, reader = plain(self.hidden_layer_sizes), type(self).__name__
        if isinstance(sizes, Iterable) and not isinstance(sizes, str):
            return [whole_number(reader, f"hidden_layer_sizes[{k}]", size) for k, size in enumerate(sizes)]
        return [whole_number(reader, "hidden_layer_sizes", sizes)]

    def _outputs(self, X: Any) -> Any:
        check_is_fitted(self)
        return self.model_.predict(validate_data(self, X, dtype=numpy.float64, reset=False))


class MLPRegressor(RegressorMixin, _MLPEstimator):  # type: ignore[misc]
    """Predict numbers, with scikit-learn's interface; the data should be scaled, as by its `StandardScaler`.

    Args:
        hidden_layer_sizes: the number of neurons of each hidden layer.
        activation: theirs: a name or function as for `MLP`, or one of scikit-learn's names.
        solver: "adam", "adamw", "sgd", "rmsprop" or "adagrad".
        alpha: the weight decay.
        batch_size: how many samples one step takes; "auto" for 200, or all if they are fewer.
        learning_rate_init: the learning rate.
        max_iter: the greatest number of epochs.
        random_state: a whole number for the same result every time.
        tol, n_iter_no_change: stop after so many epochs without a loss lower by more than `tol`.
        early_stopping, validation_fraction: whether that loss is one over a share of samples held out for it.
        verbose: whether to show a bar.

    After `fit`: ``model_`` (an `MLP`), ``history_`` (a `History`), ``loss_``, ``loss_curve_``, ``n_iter_``,
    ``n_features_in_``. Needs scikit-learn.

    >>> from chainrule import nn
    >>> X = [[k / 10] for k in range(20)]
    >>> y = [2 * row[0] - 1 for row in X]
    >>> regressor = nn.MLPRegressor([4], "tanh", solver="adam", max_iter=1000, tol=0, random_state=0).fit(X, y)
    >>> regressor.score(X, y) > 0.99
    True
    """

    def fit(self, X: Any, y: Any) -> MLPRegressor:
        """Train on rows `X` and targets `y`, numbers or rows of them; return the estimator itself."""
        X, y = validate_data(self, X, y, dtype=numpy.float64, multi_output=True, y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        self._train(X, y, 1 if y.ndim == 1 else y.shape[1], "mse")
        return self

    def predict(self, X: Any) -> Any:
        """Return the prediction for each row, an array of numbers or of rows."""
        return self._outputs(X)


class MLPClassifier(ClassifierMixin, _MLPEstimator):  # type: ignore[misc]
    """Predict classes and their probabilities, with scikit-learn's interface; the data should be scaled.

    Args are those of `MLPRegressor`. After `fit` there is also ``classes_``.

    >>> from chainrule import nn
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["no", "yes", "yes", "no"]
    >>> classifier = nn.MLPClassifier([8], "tanh", max_iter=500, learning_rate_init=0.1, random_state=0).fit(X, y)
    >>> classifier.predict(X).tolist()
    ['no', 'yes', 'yes', 'no']
    """

    def fit(self, X: Any, y: Any) -> MLPClassifier:
        """Train on rows `X` and labels `y`, of any type that can be compared; return the estimator itself."""
        X, y = validate_data(self, X, y, dtype=numpy.float64)
        check_classification_targets(y)
        self.classes_, classes = numpy.unique(column_or_1d(y, warn=True), return_inverse=True)
        count = len(self.classes_)
        if count == 1:
            label = describe("label", plain(self.classes_[0]))
            raise ValueError(f"MLPClassifier expected at least two classes but got one class in y: {label}")
        # Two classes need one score: that of the second against the first.
        self._train(X, classes, 1 if count == 2 else count, _two_classes if count == 2 else losses.cross_entropy)
        return self

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, in the order of ``classes_``, for each row."""
        return numpy.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of each probability, also where the probability itself underflows."""
        scores = self._outputs(X)
        if scores.ndim == 1:
            scores = numpy.stack([numpy.zeros_like(scores), scores], axis=1)
        below = scores - scores.max(axis=1, keepdims=True)
        return below - numpy.log(numpy.exp(below).sum(axis=1, keepdims=True))

    def predict(self, X: Any) -> Any:
        """Return the most probable class for each row."""
        most_probable = self.predict_proba(X).argmax(axis=1)
        return self.classes_[most_probable]


def _two_classes(predictions: Any, targets: Any) -> Any:
    return losses.binary_cross_entropy(predictions, targets, from_logits=True)
