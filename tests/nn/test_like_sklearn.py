"""The estimators give what scikit-learn's own networks give, number by number, and have all that those have."""

import inspect
import pickle
import warnings

import pytest

numpy = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from chainrule import nn  # noqa: E402
from sklearn import neural_network as theirs  # noqa: E402
from sklearn.datasets import load_diabetes, load_iris, make_moons, make_multilabel_classification  # noqa: E402
from sklearn.exceptions import ConvergenceWarning, NotFittedError  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

ignoring = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
ATTRIBUTES = ["n_iter_", "t_", "n_layers_", "n_outputs_", "out_activation_", "n_features_in_"]


def diabetes(count=120):
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[:count], y[:count]
    return X, (y - y.mean()) / y.std()


def pair(kind, **options):
    options = {"hidden_layer_sizes": (6, 4), "random_state": 3, "max_iter": 12, "learning_rate_init": 0.01} | options
    return getattr(nn, kind)(**options), getattr(theirs, kind)(**options)


def check_same(ours, other, X):
    """Compare all that a fit leaves."""
    assert ours.loss_curve_ == pytest.approx(other.loss_curve_, rel=1e-11)
    for name in ATTRIBUTES:
        assert getattr(ours, name) == getattr(other, name), name
    for name in ("best_loss_", "best_validation_score_", "validation_scores_"):
        one, two = getattr(ours, name), getattr(other, name)
        assert one == (None if two is None else pytest.approx(two, rel=1e-11)), name
    for one, two in zip(ours.coefs_ + ours.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        assert one == pytest.approx(two, rel=1e-9, abs=1e-12)
    assert numpy.asarray(ours.predict(X)) == pytest.approx(other.predict(X), rel=1e-9, abs=1e-12)
    if hasattr(other, "predict_proba"):
        assert ours.predict_proba(X) == pytest.approx(other.predict_proba(X), rel=1e-9, abs=1e-12)


@ignoring
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"batch_size": 32, "alpha": 1.0, "activation": "logistic"},
        {"batch_size": 50, "shuffle": False, "activation": "identity"},
        {"early_stopping": True, "max_iter": 60, "tol": 0.01, "n_iter_no_change": 3},
        {"tol": 0.05, "n_iter_no_change": 2, "max_iter": 100},
        {"solver": "sgd", "activation": "tanh"},
        {"solver": "sgd", "nesterovs_momentum": False, "batch_size": 25, "alpha": 0.5},
        {"solver": "sgd", "momentum": 0.0},
        {"solver": "sgd", "momentum": 1, "learning_rate_init": 1e-4},
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.3, "learning_rate_init": 0.2},
        {
            "solver": "sgd",
            "learning_rate": "adaptive",
            "learning_rate_init": 0.2,
            "n_iter_no_change": 2,
            "max_iter": 80,
        },
        {"solver": "adam", "beta_1": 0.5, "beta_2": 0.8, "epsilon": 1e-3},
        {"solver": "adam", "n_iter_no_change": numpy.inf},
    ],
    ids=str,
)
def test_regression_equals_theirs(options):
    X, y = diabetes()
    ours, other = pair("MLPRegressor", **options)
    check_same(ours.fit(X, y), other.fit(X, y), X)
    assert ours.score(X, y) == pytest.approx(other.score(X, y), rel=1e-9)


@ignoring
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_weighted_several_and_counted_targets_equal_theirs(solver):
    X, y = diabetes()
    weights = numpy.random.default_rng(0).uniform(0.0, 2.0, len(X))
    ours, other = pair("MLPRegressor", solver=solver, batch_size=50, alpha=0.5)
    check_same(ours.fit(X, y, sample_weight=weights), other.fit(X, y, sample_weight=weights), X)
    several = numpy.column_stack([y, X[:, 0] * y, X[:, 1]])
    ours, other = pair("MLPRegressor", solver=solver, batch_size=50)
    check_same(ours.fit(X, several), other.fit(X, several), X)
    counts = numpy.random.default_rng(0).poisson(numpy.exp(0.5 * X[:, 0]))
    ours, other = pair("MLPRegressor", solver=solver, loss="poisson")
    check_same(ours.fit(X, counts), other.fit(X, counts), X)
    with pytest.raises(ValueError, match="MLPRegressor expected targets of 0 or above for loss='poisson'"):
        ours.fit(X, y)


@ignoring
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_classification_equals_theirs(solver):
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    ours, other = pair("MLPClassifier", solver=solver, batch_size=40)
    check_same(ours.fit(X, y), other.fit(X, y), X)
    X, y = make_moons(90, noise=0.2, random_state=0)
    ours, other = pair("MLPClassifier", solver=solver, early_stopping=True, max_iter=30, n_iter_no_change=4)
    check_same(ours.fit(X, y), other.fit(X, y), X)
    X, y = make_multilabel_classification(80, 6, n_classes=4, random_state=0)
    ours, other = pair("MLPClassifier", solver=solver)
    check_same(ours.fit(X, y), other.fit(X, y), X)
    assert ours.classes_.tolist() == other.classes_.tolist()
    assert ours.predict_log_proba(X) == pytest.approx(other.predict_log_proba(X))


@ignoring
def test_graphs_and_machine_code_give_the_same():
    X, y = diabetes(20)
    ours, other = pair("MLPRegressor", hidden_layer_sizes=(3,), max_iter=4, batch_size=8, alpha=0.3)
    check_same(ours.fit(X, y), other.fit(X, y), X)
    assert not ours.history_.compiled and "graphs are done sooner" in ours.history_.reason
    ours, other = pair("MLPRegressor", hidden_layer_sizes=(3,), max_iter=400, batch_size=8, alpha=0.3)
    check_same(ours.fit(X, y), other.fit(X, y), X)
    assert ours.history_.compiled


@ignoring
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_the_same_weights_and_all_samples_at_once_give_the_same_losses(solver):
    X, y = diabetes()
    ours, other = pair("MLPRegressor", solver=solver, batch_size=len(X), warm_start=True, max_iter=1, shuffle=False)
    ours.fit(X, y)
    other.fit(X, y)
    source = numpy.random.default_rng(1)
    coefs, intercepts = (
        [source.normal(0.0, 0.5, a.shape) for a in arrays] for arrays in (ours.coefs_, ours.intercepts_)
    )
    ours.coefs_, ours.intercepts_ = coefs, intercepts
    other.coefs_, other.intercepts_ = [a.copy() for a in coefs], [a.copy() for a in intercepts]
    assert ours.predict(X) == pytest.approx(other.predict(X), rel=1e-12)
    for estimator in (ours, other):
        estimator.set_params(max_iter=30).fit(X, y)
    assert ours.loss_curve_ == pytest.approx(other.loss_curve_, rel=1e-9)
    assert len(ours.loss_curve_) == 31
    with pytest.raises(ValueError, match="MLPRegressor expected coefs_ and intercepts_ of shapes"):
        ours.coefs_ = coefs[:1]


@ignoring
def test_all_samples_at_once_by_lbfgs():
    X, y = diabetes()
    for options in ({"alpha": 1.0, "max_iter": 30}, {"activation": "tanh", "max_iter": 10}, {"max_fun": 7}):
        ours, other = pair("MLPRegressor", solver="lbfgs", **options)
        ours.fit(X, y)
        other.fit(X, y)
        assert ours.loss_ == pytest.approx(other.loss_, rel=1e-6)
        assert ours.n_iter_ == other.n_iter_
        assert ours.predict(X) == pytest.approx(other.predict(X), rel=1e-4, abs=1e-4)
    with pytest.warns(ConvergenceWarning, match="MLPRegressor has not converged: lbfgs stopped after 2 iterations"):
        nn.MLPRegressor(solver="lbfgs", max_iter=2, random_state=0).fit(X, y)
    assert not hasattr(ours, "partial_fit")
    with pytest.raises(AttributeError, match="'MLPRegressor' has no attribute 'partial_fit'") as caught:
        ours.partial_fit  # noqa: B018
    assert "MLPRegressor has no partial_fit with solver='lbfgs'; take one of adam" in str(caught.value.__cause__)
    # Its minimum is one: the gradient of the penalised loss is next to nothing.
    best = nn.MLPRegressor([3], "tanh", solver="lbfgs", alpha=1.0, tol=1e-7, max_iter=5000, random_state=0).fit(X, y)
    assert best.loss_ < 0.5 * numpy.mean(y**2)
    start = [array.copy() for array in best.coefs_]
    for k in range(len(start)):
        moved = [array + (1e-4 if place == k else 0.0) for place, array in enumerate(start)]
        best.coefs_ = moved
        error = 0.5 * numpy.mean((best.predict(X) - y) ** 2)
        assert error + 0.5 * sum((array**2).sum() for array in moved) / len(X) > best.loss_


@ignoring
def test_parts_one_after_another_equal_theirs():
    X, y = load_iris(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    for solver in ("adam", "sgd"):
        ours, other = pair("MLPClassifier", solver=solver, batch_size=16)
        for part in range(6):
            for estimator in (ours, other):
                estimator.partial_fit(X[part::6], y[part::6], classes=[0, 1, 2])
        check_same(ours, other, X)
    with pytest.raises(ValueError, match="classes must be passed on the first call to partial_fit"):
        nn.MLPClassifier().partial_fit(X, y)
    with pytest.raises(ValueError, match=r"MLPClassifier expected classes of .* but got \[7\] in y"):
        ours.partial_fit(X[:2], [0, 7])
    with pytest.raises(ValueError, match="MLPClassifier expected early_stopping=False for partial_fit"):
        ours.set_params(early_stopping=True).partial_fit(X, y)
    X, y = diabetes()
    ours, other = pair("MLPRegressor")
    for _ in range(3):
        ours, other = pickle.loads(pickle.dumps(ours)).partial_fit(X, y), other.partial_fit(X, y)
    check_same(ours, other, X)


@ignoring
def test_warm_start_goes_on():
    X, y = make_moons(60, noise=0.2, random_state=0)
    ours, other = pair("MLPClassifier", warm_start=True)
    for _ in range(3):
        ours.fit(X, y)
        other.fit(X, y)
    check_same(ours, other, X)
    assert len(ours.loss_curve_) == 36
    with pytest.raises(ValueError, match="MLPClassifier expected the classes of the fit before"):
        ours.fit(X, y + 1)
    regressor = nn.MLPRegressor(warm_start=True, max_iter=2, random_state=0).fit(X, X[:, 0])
    with pytest.raises(ValueError, match="MLPRegressor expected targets of 1 outputs, as before, but got 2"):
        regressor.fit(X, X)


def test_all_of_their_parameters_and_attributes_are_there():
    for kind in ("MLPRegressor", "MLPClassifier"):
        ours, other = (inspect.signature(getattr(module, kind)).parameters for module in (nn, theirs))
        assert set(other) <= set(ours)
        for name, parameter in other.items():
            if name not in ("hidden_layer_sizes", "learning_rate_init"):
                assert ours[name].default == parameter.default, name
    X, y = make_moons(40, random_state=0)
    ours, other = pair("MLPClassifier", early_stopping=True, max_iter=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours.fit(X, y)
        other.fit(X, y)
    for name in vars(other):
        if name.endswith("_") and not name.startswith("_"):
            assert hasattr(ours, name), name
    fresh = nn.MLPClassifier()
    assert not any(hasattr(fresh, name) for name in [*ATTRIBUTES, "coefs_", "loss_", "loss_curve_", "best_loss_"])
    with pytest.raises(NotFittedError):
        fresh.predict(X)


@ignoring
def test_verbose_prints_each_loss(capsys):
    X, y = diabetes()
    ours, other = pair("MLPRegressor", verbose=True, max_iter=4, early_stopping=True)
    ours.fit(X, y)
    printed = capsys.readouterr().out
    other.fit(X, y)
    assert printed == capsys.readouterr().out
