"""The estimators give what scikit-learn's own networks give, number by number, and have all that those have."""

import inspect
import pickle
import warnings

import pytest

numpy = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from chainrule import NonFiniteError, nn  # noqa: E402
from scipy import sparse  # noqa: E402
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
def test_least_squares_of_small_networks_in_few_iterations():
    X = numpy.linspace(-2.0, 2.0, 50)[:, None]
    y = numpy.sin(3.0 * X[:, 0])
    options = {"hidden_layer_sizes": [8], "activation": "tanh", "random_state": 0, "tol": 1e-9, "max_iter": 300}
    few = nn.MLPRegressor(**options, solver="lm", alpha=1e-6).fit(X, y)
    assert few.loss_ < 1e-5
    assert few.loss_curve_[0] > few.loss_curve_[-1] >= few.loss_ > 0.0
    assert few.n_iter_ == len(few.loss_curve_) <= 300
    # Of several outputs and weighted samples it is the same minimum that lbfgs finds.
    X, y = diabetes()
    several, weights = numpy.column_stack([y, X[:, 0] * y]), numpy.linspace(0.0, 2.0, len(X))
    options |= {"hidden_layer_sizes": [2], "alpha": 20.0, "max_iter": 5000, "tol": 1e-8}
    found = [nn.MLPRegressor(**options, solver=solver).fit(X, several, weights) for solver in ("lm", "lbfgs")]
    assert found[0].history_.stopped == found[1].history_.stopped == "converged"
    for estimator in found:
        start = estimator.loss_
        for k, array in enumerate(estimator.coefs_):
            for sign in (1e-4, -1e-4):
                moved = estimator.coefs_
                moved[k] = array + sign
                nudged = nn.MLPRegressor(**options, solver="lm", warm_start=True)
                vars(nudged).update(vars(pickle.loads(pickle.dumps(estimator))))
                nudged.coefs_ = moved
                squares = sum((part**2).sum() for part in moved)
                errors = ((nudged.predict(X) - several) ** 2).sum(axis=1)
                penalised = 0.5 * numpy.average(errors, weights=weights) + 10.0 * squares / weights.sum()
                before = ((estimator.predict(X) - several) ** 2).sum(axis=1)
                old = sum((part**2).sum() for part in estimator.coefs_)
                assert penalised > 0.5 * numpy.average(before, weights=weights) + 10.0 * old / weights.sum()
        errors = 0.5 * numpy.average(((estimator.predict(X) - several) ** 2).mean(axis=1), weights=weights)
        penalty = 10.0 * sum((part**2).sum() for part in estimator.coefs_) / weights.sum()
        assert start == pytest.approx(errors + penalty) == pytest.approx(estimator.loss_curve_[-1], rel=1e-6)
    with pytest.warns(ConvergenceWarning, match="MLPRegressor has not converged: .* max_iter=2 iterations"):
        nn.MLPRegressor(solver="lm", max_iter=2, tol=0, random_state=0).fit(X, y)
    for kind, options in ((nn.MLPRegressor, {"loss": "poisson"}), (nn.MLPClassifier, {})):
        with pytest.raises(ValueError, match=f"{kind.__name__} expected a solver other than 'lm'"):
            kind(solver="lm", **options).fit(X, (y > 0).astype(int))


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


@ignoring
@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
def test_sparse_rows_are_rows(kind):
    X, y = make_multilabel_classification(60, 10, n_classes=3, random_state=0)
    whole, other = (nn.MLPClassifier([4], max_iter=5, random_state=0) for _ in range(2))
    whole.fit(X, y)
    other.fit(kind(X), sparse.csr_matrix(y))
    assert whole.loss_curve_ == other.loss_curve_
    assert numpy.array_equal(whole.predict(X), other.predict(kind(X)))


@ignoring
def test_classes_count_as_they_are_weighted():
    X, y = make_moons(60, noise=0.3, random_state=0)
    X, y = X[y + numpy.arange(60) % 3 > 0], y[y + numpy.arange(60) % 3 > 0]
    by_hand = numpy.where(y == 1, 3.0, 0.5)
    options = {"hidden_layer_sizes": [4], "max_iter": 10, "random_state": 0}
    weighted = nn.MLPClassifier(**options).fit(X, y, sample_weight=by_hand)
    named = nn.MLPClassifier(**options, class_weight={0: 0.5, 1: 3.0}).fit(X, y)
    assert weighted.loss_curve_ == named.loss_curve_
    both = nn.MLPClassifier(**options, class_weight={0: 0.25, 1: 1.0}).fit(X, y, numpy.where(y == 1, 3.0, 2.0))
    assert both.loss_curve_ == weighted.loss_curve_
    balanced = nn.MLPClassifier(**options, class_weight="balanced").fit(X, y)
    counts = numpy.bincount(y)
    same = nn.MLPClassifier(**options).fit(X, y, sample_weight=(len(y) / (2 * counts))[y])
    assert balanced.loss_curve_ == pytest.approx(same.loss_curve_)
    with pytest.raises(ValueError, match="MLPClassifier expected class_weight as a dict for partial_fit"):
        balanced.partial_fit(X, y, classes=[0, 1])
    with pytest.raises(ValueError, match="at least one non-zero"):
        weighted.fit(X, y, sample_weight=numpy.zeros(len(y)))


@ignoring
@pytest.mark.parametrize("solver", ["adam", "adamw", "sgd", "rmsprop", "adagrad", "lbfgs", "lm"])
def test_the_loss_is_that_of_the_model_kept(solver):
    X, y = diabetes()
    weights = numpy.linspace(0.0, 2.0, len(X))
    regressor = nn.MLPRegressor([5], "tanh", solver=solver, alpha=2.0, max_iter=20, random_state=0)
    for given in (None, weights):
        regressor.fit(X, y, sample_weight=given)
        loss = 0.5 * numpy.average((regressor.predict(X) - y) ** 2, weights=given)
        squares = sum((array**2).sum() for array in regressor.coefs_)
        penalty = 0.0 if solver == "adamw" else squares / (len(X) if given is None else given.sum())
        assert regressor.loss_ == pytest.approx(loss + penalty, rel=1e-12)
    assert regressor.loss_curve_[-1] < regressor.loss_curve_[0]


@ignoring
def test_decay_apart_from_the_gradient_shrinks_weights_alone():
    X, y = diabetes()
    ours = nn.MLPRegressor(
        [4], "tanh", solver="adamw", alpha=3.0, batch_size=40, shuffle=False, max_iter=3, random_state=0
    )
    ours.fit(X, y)
    by_hand = nn.MLPRegressor([4], "tanh", solver="adamw", max_iter=1, random_state=0)
    start = theirs.MLPRegressor(
        hidden_layer_sizes=[4], activation="tanh", max_iter=1, random_state=0, learning_rate_init=1e-300
    ).fit(X, y)
    model = by_hand.fit(X, y).model_
    by_hand.coefs_, by_hand.intercepts_ = start.coefs_, start.intercepts_
    biases = [neuron.bias for layer in model.layers for neuron in layer.neurons]
    weights = [weight for layer in model.layers for neuron in layer.neurons for weight in neuron.weights]
    optimisers = nn.AdamW(weights, lr=0.01, weight_decay=3.0 / 40), nn.AdamW(biases, lr=0.01, weight_decay=0.0)
    for _ in range(3):
        for k in range(0, len(X), 40):
            loss = nn.mse([model(row) for row in X[k : k + 40]], y[k : k + 40]) * 0.5
            model.zero_grad()
            loss.backward()
            for optimiser in optimisers:
                optimiser.step()
    for one, two in zip(ours.coefs_ + ours.intercepts_, by_hand.coefs_ + by_hand.intercepts_, strict=True):
        assert one == pytest.approx(two, rel=1e-9)


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


def test_training_that_has_not_converged_warns_and_says_so():
    X, y = diabetes()
    with pytest.warns(
        ConvergenceWarning, match="^MLPRegressor has not converged: .* max_iter=3 epochs; raise max_iter"
    ) as seen:
        nn.MLPRegressor(max_iter=3, random_state=0).fit(X, y)
    assert seen[0].filename == __file__
    with pytest.warns(UserWarning, match="MLPRegressor takes all 20 samples at once: batch_size=50 is more") as seen:
        nn.MLPRegressor(batch_size=50, random_state=0, tol=10.0).fit(*diabetes(20))
    assert seen[0].filename == __file__
    nn.MLPRegressor(max_iter=100, tol=10.0, random_state=0).fit(X, y)  # and else it does not


def test_a_loss_that_grows_beyond_all_bounds_is_an_error_of_the_estimator():
    X, y = diabetes()
    with pytest.raises(
        NonFiniteError, match=r"^MLPRegressor expected a finite loss but got (nan|inf) in epoch \d+; scale"
    ):
        nn.MLPRegressor(solver="sgd", learning_rate_init=1e9, activation="identity", random_state=0).fit(1e3 * X, y)


@ignoring
def test_history_keeps_what_record_asks_for():
    X, y = diabetes(40)
    regressor = nn.MLPRegressor([3], max_iter=6, random_state=0, record=2, early_stopping=True).fit(X, y)
    history = regressor.history_
    assert history.recorded == [0, 2, 4, 6]
    assert len(history.parameters) == 4 and len(history.gradients) == 3
    assert history.parameters[0]["layers.0.neurons.0.bias"] != 0.0
    assert len(history.rows) == 36 and len(history.targets) == 36
    assert history.model is regressor.model_
    assert len(history.learning_rate) == len(history.seconds) == len(history.validation_loss) == 6
    assert nn.MLPRegressor([3], max_iter=2, random_state=0).fit(X, y).history_.recorded == []


@ignoring
def test_verbose_prints_each_loss(capsys):
    X, y = diabetes()
    ours, other = pair("MLPRegressor", verbose=True, max_iter=4, early_stopping=True)
    ours.fit(X, y)
    printed = capsys.readouterr().out
    other.fit(X, y)
    assert printed == capsys.readouterr().out


@ignoring
def test_an_interrupted_training_keeps_what_it_has():
    class Source(numpy.random.RandomState):
        times = 0

        def shuffle(self, x):
            self.times += 1
            if self.times == 4:
                raise KeyboardInterrupt
            super().shuffle(x)

    X, y = diabetes()
    with pytest.warns(UserWarning, match="MLPRegressor: training was interrupted after 3 epochs") as seen:
        regressor = nn.MLPRegressor(max_iter=9, random_state=Source(0)).fit(X, y)
    assert seen[0].filename == __file__
    assert regressor.n_iter_ == 3 and len(regressor.loss_curve_) == 3
    assert numpy.isfinite(regressor.predict(X)).all()
