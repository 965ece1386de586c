"""What both estimators share: parameters, the network and its attributes, and training from data that is checked."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..chain import set_dense
from ..data import held_out
from ..history import History
from ..layers import MLP
from .moves import Penalised, mover
from .objectives import Objective
from .settings import STOCHASTIC, Settings, batch_size_of, settings_of
from .solving import Progress, Samples, Solver, scores_of, weights_of


def is_stochastic(estimator: Any) -> bool:
    """Return True; `AttributeError` for a solver that takes all samples at once, and can't go on with others."""
    if estimator.solver not in STOCHASTIC:
        raise AttributeError(
            f"{type(estimator).__name__} has no partial_fit with solver={estimator.solver!r}; take one of "
            f"{', '.join(STOCHASTIC)}"
        )
    return True


class Estimator(BaseEstimator):  # type: ignore[misc]
    """A network with scikit-learn's interface; subclasses say what they predict."""

    model_: MLP
    history_: History
    n_outputs_: int
    _progress: Progress
    _optimiser: Penalised | None

    def _keep(self, parameters: Mapping[str, Any]) -> None:
        """Set the parameters, as they came, as attributes of the same names.

        Each class lists its own in full, since scikit-learn reads their names from the signature of its ``__init__``.
        """
        self.__dict__.update({name: value for name, value in parameters.items() if name != "self"})

    # ---- attributes ----

    @property
    def coefs_(self) -> list[Any]:
        """The weights of each layer as an array of (inputs, neurons); assign a list of such arrays to set them."""
        return [
            numpy.array([[weight.value for weight in neuron.weights] for neuron in layer.neurons]).T
            for layer in self._network("coefs_").layers
        ]

    @coefs_.setter
    def coefs_(self, arrays: Sequence[Any]) -> None:
        self._set(arrays, self.intercepts_)

    @property
    def intercepts_(self) -> list[Any]:
        """The biases of each layer as an array; assign a list of such arrays to set them."""
        return [
            numpy.array([neuron.bias.value for neuron in layer.neurons])
            for layer in self._network("intercepts_").layers
        ]

    @intercepts_.setter
    def intercepts_(self, arrays: Sequence[Any]) -> None:
        self._set(self.coefs_, arrays)

    @property
    def n_layers_(self) -> int:
        """The number of layers, that of the inputs included."""
        return len(self._network("n_layers_").layers) + 1

    @property
    def loss_curve_(self) -> list[float]:
        """The loss of each epoch, with the penalty; each batch's is measured before its step."""
        self._network("loss_curve_")
        return self.history_.loss

    @property
    def n_iter_(self) -> int:
        """The epochs of the last call of fit, or the iterations of a solver that takes all samples at once."""
        self._network("n_iter_")
        return self._progress.n_iter

    @property
    def t_(self) -> int:
        """The number of samples that steps were taken over."""
        self._network("t_")
        return self._progress.t

    @property
    def best_loss_(self) -> float | None:
        """The least loss of an epoch; None with early stopping."""
        self._network("best_loss_")
        return self._progress.best_loss

    @property
    def validation_scores_(self) -> list[float] | None:
        """The score over the samples held out after each epoch; None without early stopping."""
        self._network("validation_scores_")
        return self._progress.scores

    @property
    def best_validation_score_(self) -> float | None:
        """The greatest of these; None without early stopping."""
        self._network("best_validation_score_")
        return self._progress.best_score

    def _network(self, name: str) -> MLP:
        if "model_" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has {name} after fit only")
        return self.model_

    def _set(self, weights: Sequence[Any], biases: Sequence[Any]) -> None:
        arrays = [[numpy.asarray(array, dtype=numpy.float64) for array in part] for part in (weights, biases)]
        found = [[array.shape for array in part] for part in arrays]
        wanted = [[array.shape for array in part] for part in (self.coefs_, self.intercepts_)]
        if found != wanted:
            raise ValueError(
                f"{type(self).__name__} expected coefs_ and intercepts_ of shapes {wanted} but got {found}"
            )
        for layer, matrix, vector in zip(self.model_.layers, *arrays, strict=True):
            set_dense(layer, matrix.T.tolist(), vector.tolist())

    # ---- training ----

    def _checked(self, X: Any, y: Any, reset: bool, **options: Any) -> tuple[Any, Any]:
        """Return rows and targets as arrays."""
        X, y = self._validated(X, y, multi_output=True, reset=reset, **options)
        return _dense(X), y

    def _validated(self, *data: Any, **options: Any) -> Any:
        return validate_data(self, *data, accept_sparse=["csr", "csc"], dtype=numpy.float64, **options)

    def _begins_anew(self, incremental: bool) -> bool:
        return "model_" not in vars(self) or not (self.warm_start or incremental)

    def _learn(self, X: Any, targets: Any, sample_weight: Any, objective: Objective, incremental: bool) -> Self:
        settings = settings_of(self)
        if settings.solver == "lm" and objective.out_activation != "identity":
            raise ValueError(
                f"{settings.kind} expected a solver other than 'lm', which minimises squared errors alone; 'lbfgs' "
                "takes all samples at once, too"
            )
        weights = None
        if sample_weight is not None:
            weights = _check_sample_weight(sample_weight, X, dtype=numpy.float64, ensure_non_negative=True)
        samples, source = Samples(X, targets, weights), check_random_state(self.random_state)
        if settings.early_stopping:
            held_out(settings.kind, "validation_fraction", self.validation_fraction, len(X))
            if incremental:
                raise ValueError(f"{settings.kind} expected early_stopping=False for partial_fit but got True")
        if self._begins_anew(incremental):
            self._begin(settings, X.shape[1], objective, source)
        elif objective.outputs != self.n_outputs_:
            raise ValueError(
                f"{settings.kind} expected targets of {self.n_outputs_} outputs, as before, but got {objective.outputs}"
            )
        self._solve(settings, objective, samples, source, incremental)
        return self

    def _begin(self, settings: Settings, nin: int, objective: Objective, source: Any) -> None:
        """Make a new network; its weights and biases are drawn as scikit-learn draws them."""
        sizes = [*settings.hidden, objective.outputs]
        model = MLP(nin, sizes, settings.activation, initialise="zeros")
        for layer in model.layers:
            # Glorot and Bengio 2010, for biases as well; sigmoids get less.
            bound = math.sqrt((2.0 if settings.activation == "sigmoid" else 6.0) / (layer.nin + layer.nout))
            matrix = source.uniform(-bound, bound, (layer.nin, layer.nout))
            set_dense(layer, matrix.T.tolist(), source.uniform(-bound, bound, layer.nout).tolist())
        self.model_, self.n_outputs_, self.out_activation_ = model, objective.outputs, objective.out_activation
        self.history_, self._progress = History(model), Progress(settings.early_stopping)
        self._optimiser = None

    def _solve(
        self, settings: Settings, objective: Objective, samples: Samples, source: Any, incremental: bool
    ) -> None:
        kept: Samples | None = None
        stochastic = settings.solver in STOCHASTIC
        if settings.early_stopping and stochastic:
            samples, kept = self._divided(settings, samples, source)
        solver = Solver(settings, self.model_, objective, samples, self.history_, self._progress)
        if stochastic:
            size = batch_size_of(settings.kind, self.batch_size, len(samples.rows))
            if self._optimiser is None or not incremental:
                self._optimiser = mover(settings, list(weights_of(self.model_)), self.model_.parameters())
            epochs = 1 if incremental else settings.max_iter
            solver.stochastic(self._optimiser, size, source, epochs, kept, self._score)
        elif settings.solver == "lm":
            solver.least_squares()
        else:
            solver.lbfgs()
        self.loss_ = solver.loss()

    def _divided(self, settings: Settings, samples: Samples, source: Any) -> tuple[Samples, Samples]:
        """Return the samples to train on and those held out, chosen as scikit-learn chooses them."""
        places = numpy.arange(len(samples.rows))
        stratify = samples.targets if self._stratifies() else None
        training, others = train_test_split(
            places, random_state=source, test_size=self.validation_fraction, stratify=stratify
        )
        if len(others) < 2:
            raise ValueError(
                f"{settings.kind} expected at least 2 samples to hold out but got 1 of {len(places)}; raise "
                "validation_fraction"
            )
        rows, targets, weights = samples
        training_part, others_part = (
            Samples(rows[part], targets[part], None if weights is None else weights[part])
            for part in (training, others)
        )
        return training_part, others_part

    def _stratifies(self) -> bool:
        return False

    @abstractmethod
    def _score(self, scores: Any, targets: Any, weights: Any) -> float:
        """Return the score of scores of the network, as ``score`` has it of predictions."""

    # ---- predicting ----

    def _scores(self, X: Any) -> Any:
        """Return what the network gives for each row: a number, or a row of several."""
        check_is_fitted(self)
        return scores_of(self.model_, _dense(self._validated(X, reset=False)), self.history_.compiled)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def _dense(X: Any) -> Any:
    return X.toarray() if hasattr(X, "toarray") else X
