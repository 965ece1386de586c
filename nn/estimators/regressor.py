"""Predict numbers with scikit-learn's interface: `MLPRegressor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import column_or_1d
from sklearn.utils.metaestimators import available_if

from .estimator import Estimator, is_stochastic
from .objectives import Objective, poisson, squared_error


class MLPRegressor(RegressorMixin, Estimator):  # type: ignore[misc]
    """Predict numbers, with scikit-learn's interface; the data should be scaled, as by its `StandardScaler`.

    Parameters and attributes mean what they do in scikit-learn's class of that name: the same data, parameters and
    `random_state` start from the same weights, take the same batches and give the same losses, but for rounding.
    Other than there, the defaults are a hidden layer of 16 and a rate of 0.01, `loss` comes by keyword, and ``loss_``
    is that of the model that is kept (the last of ``loss_curve_`` was measured before the last steps).

    Args:
        hidden_layer_sizes: the number of neurons of each hidden layer.
        activation: theirs: a name or function as for `MLP`, or one of scikit-learn's names.
        loss: "squared_error", halved, or "poisson", half the deviance, for counts: then predictions are above 0.
        solver: "adam", "sgd", "lbfgs" (all samples at once, by SciPy), "lm" (the same by `LevenbergMarquardt`, which
            finds the least squared errors of small networks in few iterations), "adamw", "rmsprop" or "adagrad".
        alpha: how strongly weights, not biases, are drawn to 0: half of it times the sum of their squares, divided by
            the samples of a batch, is added to the loss.
        batch_size: how many samples one step takes; "auto" for 200, or all if they are fewer.
        learning_rate: with "sgd" "constant"; "invscaling", divided by the samples seen to the power `power_t`; or
            "adaptive", divided by 5 where training would stop, until it is 1e-6.
        learning_rate_init: the learning rate.
        max_iter: the greatest number of epochs; of iterations with "lbfgs" and "lm".
        shuffle: whether each epoch takes the samples in another order.
        random_state: a whole number for the same result every time.
        tol, n_iter_no_change: stop after more than so many epochs without a loss lower by `tol`, or with early
            stopping a score higher by it.
        verbose: whether to print losses.
        warm_start: whether `fit` goes on from the network as it is.
        momentum, nesterovs_momentum: the share of the velocity that "sgd" keeps, from 0 to 1; whether it looks ahead.
        early_stopping, validation_fraction: whether to stop by the score over a share of samples held out for it, and
            keep the weights of the best.
        beta_1, beta_2, epsilon: of "adam" and "adamw".
        max_fun: how often "lbfgs" may compute the loss.
        record: whether to keep parameters and gradients in ``history_`` for drawing: True for each epoch, a whole
            number for every so many.

    After `fit`: ``coefs_``, ``intercepts_`` (arrays; lists of such can be assigned), ``loss_``, ``loss_curve_``,
    ``best_loss_``, ``validation_scores_``, ``best_validation_score_``, ``n_iter_``, ``t_``, ``n_layers_``,
    ``n_outputs_``, ``out_activation_``, ``n_features_in_``, ``feature_names_in_``; and of ours ``model_`` (an `MLP`,
    which gives what comes before the output activation) and ``history_`` (a `History`). Needs scikit-learn.

    Errors: `ValueError` and `TypeError` that name the parameter; `NonFiniteError` where the loss becomes nan or
    infinite. `ConvergenceWarning` of scikit-learn where `max_iter` ends the training.

    >>> from chainrule import nn
    >>> X = [[k / 10] for k in range(20)]
    >>> y = [2 * row[0] - 1 for row in X]
    >>> regressor = nn.MLPRegressor([4], "tanh", solver="lbfgs", random_state=0).fit(X, y)
    >>> regressor.score(X, y) > 0.99
    True
    """

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (16,),
        activation: Any = "relu",
        *,
        loss: str = "squared_error",
        solver: str = "adam",
        alpha: float = 0.0001,
        batch_size: int | str = "auto",
        learning_rate: str = "constant",
        learning_rate_init: float = 0.01,
        power_t: float = 0.5,
        max_iter: int = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: float = 1e-4,
        verbose: bool = False,
        warm_start: bool = False,
        momentum: float = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        n_iter_no_change: float = 10,
        max_fun: int = 15000,
        record: bool | int = False,
    ) -> None:
        self._keep(locals())

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows `X` and targets `y`, numbers or rows of them; return the estimator itself.

        Args:
            X: rows of numbers, also sparse ones.
            y: a number, or a row of numbers, for each.
            sample_weight: how much each sample counts; None for alike.
        """
        return self._train(X, y, sample_weight, incremental=False)

    @available_if(is_stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Go through these samples once, from the network as it is; return the estimator itself."""
        return self._train(X, y, sample_weight, incremental=True)

    def _train(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Self:
        X, y = self._checked(X, y, self._begins_anew(incremental), y_numeric=True)
        if y.ndim == 2 and y.shape[1] == 1:
            y = column_or_1d(y, warn=True)
        return self._learn(X, y.astype(numpy.float64), sample_weight, self._objective(y), incremental)

    def _objective(self, y: Any) -> Objective:
        known = {"squared_error": squared_error, "poisson": poisson}
        if not isinstance(self.loss, str) or self.loss not in known:
            raise ValueError(f"MLPRegressor expected loss to be one of {', '.join(known)} but got {self.loss!r}")
        if self.loss == "poisson" and not (y >= 0).all():
            raise ValueError("MLPRegressor expected targets of 0 or above for loss='poisson' but got others in y")
        return known[self.loss](1 if y.ndim == 1 else y.shape[1])

    def _predictions(self, scores: Any) -> Any:
        return numpy.exp(scores) if self.out_activation_ == "exp" else scores

    def _score(self, scores: Any, targets: Any, weights: Any) -> float:
        return float(r2_score(targets, self._predictions(scores), sample_weight=weights))

    def predict(self, X: Any) -> Any:
        """Return the prediction for each row, an array of numbers or of rows."""
        return self._predictions(self._scores(X))
