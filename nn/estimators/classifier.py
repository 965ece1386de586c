"""Predict classes and labels with scikit-learn's interface: `MLPClassifier`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy
from chainrule.data import plain
from chainrule.errors import describe
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import column_or_1d, compute_sample_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, unique_labels

from .estimator import Estimator, is_stochastic
from .objectives import log_shares, one_of_several, yes_or_no


class MLPClassifier(ClassifierMixin, Estimator):  # type: ignore[misc]
    """Predict classes and their probabilities, with scikit-learn's interface; the data should be scaled.

    Args are those of `MLPRegressor` but for `loss`, and one more:
        class_weight: how much samples of each class count: a dict, "balanced" for alike in all, None for as often as
            they come; multiplied with the weights of samples.

    After `fit` there is also ``classes_``. Targets may be rows of labels, each 0 or 1: then several hold at once.

    >>> from chainrule import nn
    >>> X, y = [[0, 0], [0, 1], [1, 0], [1, 1]], ["no", "yes", "yes", "no"]
    >>> classifier = nn.MLPClassifier([8], "tanh", solver="lbfgs", random_state=0).fit(X, y)
    >>> classifier.predict(X).tolist()
    ['no', 'yes', 'yes', 'no']
    """

    classes_: Any
    _labels: LabelBinarizer

    def __init__(
        self,
        hidden_layer_sizes: Sequence[int] = (16,),
        activation: Any = "relu",
        *,
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
        class_weight: Mapping[Any, float] | str | None = None,
        record: bool | int = False,
    ) -> None:
        self._keep(locals())

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on rows `X` and classes `y`; return the estimator itself.

        Args:
            X: rows of numbers, also sparse ones.
            y: a class for each, of any type that can be compared; or a row of labels, each 0 or 1.
            sample_weight: how much each sample counts; None for alike.
        """
        anew = self._begins_anew(incremental=False)
        X, y = self._checked_classes(X, y, anew)
        if anew:
            self._know(y)
        elif set(unique_labels(y)) != set(self.classes_):
            raise ValueError(
                f"MLPClassifier expected the classes of the fit before, {self.classes_.tolist()}, for warm_start=True "
                f"but got {unique_labels(y).tolist()}"
            )
        return self._train(X, y, sample_weight, incremental=False)

    @available_if(is_stochastic)  # type: ignore[untyped-decorator]
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Self:
        """Go through these samples once, from the network as it is; return the estimator itself.

        Args:
            X, y, sample_weight: as for `fit`.
            classes: all classes there will be; needed in the first call, unless the targets are rows of labels.
        """
        anew = self._begins_anew(incremental=True)
        X, y = self._checked_classes(X, y, anew)
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"MLPClassifier expected class_weight as a dict for partial_fit but got {self.class_weight!r}; the "
                "classes to come are not known"
            )
        if anew:
            if classes is None and y.ndim == 1:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            self._know(y if y.ndim == 2 else numpy.unique(classes))
        elif classes is not None and not numpy.array_equal(numpy.unique(classes), self.classes_):
            raise ValueError(
                f"MLPClassifier expected the classes of the first call, {self.classes_.tolist()}, but got "
                f"{numpy.asarray(classes).tolist()}"
            )
        unknown = set(unique_labels(y)).difference(self.classes_)
        if unknown:
            raise ValueError(
                f"MLPClassifier expected classes of {self.classes_.tolist()} but got "
                f"{numpy.array(sorted(unknown)).tolist()} in y"
            )
        return self._train(X, y, sample_weight, incremental=True)

    def _checked_classes(self, X: Any, y: Any, reset: bool) -> tuple[Any, Any]:
        X, y = self._checked(X, y, reset)
        check_classification_targets(y)
        if hasattr(y, "toarray"):
            y = y.toarray()
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _know(self, y: Any) -> None:
        """Learn what classes there are."""
        labels = LabelBinarizer().fit(y)
        if labels.y_type_ != "multilabel-indicator" and len(labels.classes_) < 2:
            label = describe("label", plain(labels.classes_[0]))
            raise ValueError(f"MLPClassifier expected at least two classes but got one class in y: {label}")
        self._labels, self.classes_ = labels, labels.classes_

    def _train(self, X: Any, y: Any, sample_weight: Any, incremental: bool) -> Self:
        if self.class_weight is not None:
            of_classes = compute_sample_weight(self.class_weight, y)
            sample_weight = of_classes if sample_weight is None else numpy.asarray(sample_weight) * of_classes
        if self._labels.y_type_ == "multilabel-indicator":
            targets, objective = y.astype(numpy.float64), yes_or_no(y.shape[1])
        elif len(self.classes_) == 2:
            # Two classes need one score: that of the second against the first.
            targets, objective = (y == self.classes_[1]).astype(numpy.float64), yes_or_no(1)
        else:
            targets, objective = numpy.searchsorted(self.classes_, y), one_of_several(len(self.classes_))
        return self._learn(X, targets, sample_weight, objective, incremental)

    def _stratifies(self) -> bool:
        return self.n_outputs_ == 1

    def _classes_of(self, scores: Any) -> Any:
        """Return the place of the most probable class of each row, or a row of labels."""
        if self.out_activation_ == "softmax":
            return scores.argmax(axis=1)
        return (scores > 0.0).astype(int)

    def _score(self, scores: Any, targets: Any, weights: Any) -> float:
        return float(accuracy_score(targets.astype(int), self._classes_of(scores), sample_weight=weights))

    def predict_proba(self, X: Any) -> Any:
        """Return the probability of each class, in the order of ``classes_``, for each row."""
        return numpy.exp(self.predict_log_proba(X))

    def predict_log_proba(self, X: Any) -> Any:
        """Return the logarithm of each probability, also where the probability itself underflows."""
        scores = self._scores(X)
        if self.out_activation_ == "softmax":
            return log_shares(scores)
        if scores.ndim == 1:
            scores = numpy.stack([-scores, scores], axis=1)
        return -numpy.logaddexp(0.0, -scores)

    def predict(self, X: Any) -> Any:
        """Return the most probable class for each row, or a row of labels."""
        found = self._classes_of(self._scores(X))
        return found if self._labels.y_type_ == "multilabel-indicator" else self.classes_[found]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
