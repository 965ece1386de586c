"""The estimators do all that scikit-learn's own checks ask of one, and work in its pipelines and searches."""

import importlib.util
import pickle
import sys

import pytest

if importlib.util.find_spec("sklearn") is None:
    pytest.skip("scikit-learn is not installed", allow_module_level=True)

import numpy
from chainrule import MissingDependencyError, nn
from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_moons
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

KINDS = ("regressor", "classifier")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.mark.filterwarnings("ignore")  # scikit-learn's checks warn of what they skip
@pytest.mark.parametrize(
    "estimator", [nn.MLPRegressor(max_iter=300, random_state=0), nn.MLPClassifier(max_iter=300, random_state=0)]
)
def test_scikit_learns_own_checks(estimator):
    results = check_estimator(estimator, on_fail=None)
    skipped = {result["check_name"] for result in results if result["status"] == "skipped"}
    # The first asks for an environment variable, the next ones for pandas, the last for a method that no network has.
    assert skipped <= {
        "check_array_api_input",
        *(f"check_{kind}_data_not_an_array" for kind in KINDS),
        "check_sample_weights_pandas_series",
        "check_classifiers_multilabel_output_format_decision_function",
    }
    failed = [f"{result['check_name']}: {result['exception']}" for result in results if result["status"] == "failed"]
    assert not failed, "\n".join(failed)


def test_regression_in_a_pipeline():
    X, y = load_diabetes(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), nn.MLPRegressor([4], alpha=0.1, learning_rate_init=0.05, random_state=0))
    pipeline.fit(X, (y - y.mean()) / y.std())
    assert pipeline.score(X, (y - y.mean()) / y.std()) > 0.5
    assert numpy.array_equal(pickle.loads(pickle.dumps(pipeline)).predict(X), pipeline.predict(X))


def test_search_and_clone():
    X, y = make_moons(100, noise=0.1, random_state=0)
    search = GridSearchCV(nn.MLPClassifier([8], random_state=1), {"learning_rate_init": [1e-5, 0.1]}, cv=2)
    search.fit(X, y)
    assert search.best_params_ == {"learning_rate_init": 0.1}
    assert clone(search.best_estimator_).get_params()["learning_rate_init"] == 0.1
    assert cross_val_score(search.best_estimator_, X, y, cv=2).mean() > 0.9


def test_several_outputs_and_labels():
    X = numpy.linspace(-1, 1, 30)[:, None]
    regressor = nn.MLPRegressor([8], "tanh", learning_rate_init=0.05, max_iter=300, n_iter_no_change=50, random_state=0)
    y = numpy.hstack([X, -X])
    assert regressor.fit(X, y).predict(X).shape == (30, 2)
    assert regressor.score(X, y) > 0.98
    labels = numpy.array(["low", "middle", "high"])[numpy.digitize(X[:, 0], [-0.3, 0.3])]
    classifier = nn.MLPClassifier([8], learning_rate_init=0.05, max_iter=300, random_state=0).fit(X, labels)
    assert classifier.score(X, labels) > 0.9
    assert classifier.predict_proba(X).sum(axis=1) == pytest.approx(numpy.ones(30))
    far = classifier.predict_log_proba(1e6 * X)
    assert numpy.isfinite(far).all() and far.min() < -1e4
    assert numpy.log(classifier.predict_proba(X)) == pytest.approx(classifier.predict_log_proba(X))
    assert classifier.loss_curve_ == classifier.history_.loss
    assert classifier.n_iter_ == len(classifier.loss_curve_)


def test_names_of_scikit_learn():
    X, y = make_moons(20, random_state=0)
    same = [nn.MLPClassifier([2], name, max_iter=2, random_state=0).fit(X, y) for name in ("logistic", "sigmoid")]
    assert same[0].loss_ == same[1].loss_
    with pytest.raises(
        ValueError, match="solver to be one of adam, adamw, sgd, rmsprop, adagrad, lbfgs, lm but got 'bfgs'"
    ):
        nn.MLPClassifier(solver="bfgs").fit(X, y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_iter": 0}, "whole number, 1 or above, but got max_iter=0"),
        ({"n_iter_no_change": 0}, "n_iter_no_change=0"),
        ({"tol": -1.0}, "finite number, 0 or above, but got tol=-1.0"),
        ({"solver": ["adam"]}, r"solver to be one of adam, .* but got \['adam'\]"),
        ({"hidden_layer_sizes": "abc"}, "whole number, 1 or above, but got hidden_layer_sizes='abc'"),
        ({"hidden_layer_sizes": [2, 2.7]}, r"hidden_layer_sizes\[1\]=2.7"),
        ({"early_stopping": True}, "leaves samples on both sides of 4 but got validation_fraction=0.1"),
        ({"alpha": -1.0}, "alpha=-1.0"),
        ({"momentum": 1.5}, "number from 0 to below 1 but got momentum=1.5"),
        ({"beta_1": 1.0}, "beta_1=1.0"),
        ({"epsilon": 0.0}, "epsilon=0.0"),
        ({"learning_rate_init": 0.0}, "learning_rate_init=0.0"),
        ({"learning_rate": "falling"}, "learning_rate to be one of constant, invscaling, adaptive but got 'falling'"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"max_fun": 0}, "max_fun=0"),
        ({"record": -1}, "record=-1"),
    ],
)
def test_wrong_arguments_are_named_as_they_were_given(options, message):
    with pytest.raises(ValueError, match=f"MLPClassifier expected .*{message}"):
        nn.MLPClassifier(**options).fit([[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1])


def test_one_class_is_named():
    with pytest.raises(ValueError, match=r"at least two classes but got one class in y: label=1 \(int\)"):
        nn.MLPClassifier().fit([[0.0], [1.0]], [1, 1])


def test_searches_over_numbers_of_numpy():
    X, y = make_moons(8, random_state=0)
    grid = {"max_iter": numpy.arange(1, 3), "hidden_layer_sizes": [numpy.int64(2), numpy.array([2, 2])]}
    search = GridSearchCV(nn.MLPClassifier(random_state=0), grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_estimator_.n_iter_ == search.best_params_["max_iter"]


def test_early_stopping_holds_samples_out():
    X, y = make_moons(60, random_state=0)
    classifier = nn.MLPClassifier([2], early_stopping=True, max_iter=5, random_state=0).fit(X, y)
    assert len(classifier.history_.validation_loss) == classifier.n_iter_


def test_without_scikit_learn_the_message_says_what_to_install(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "sklearn"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "chainrule.nn.estimators", raising=False)
    monkeypatch.delattr(nn, "estimators", raising=False)
    with pytest.raises(
        MissingDependencyError, match=r"^nn.MLPRegressor needs scikit-learn, .* pip install scikit-learn$"
    ):
        nn.MLPRegressor()
    assert not hasattr(nn, "MLPregressor")
