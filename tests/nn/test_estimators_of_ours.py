"""What the estimators do besides what scikit-learn's do, and what they say where something is wrong."""

import pickle

import pytest

numpy = pytest.importorskip("numpy")
pytest.importorskip("sklearn")

from chainrule import NonFiniteError, nn, no_grad  # noqa: E402
from scipy import sparse  # noqa: E402
from sklearn import neural_network as theirs  # noqa: E402
from sklearn.datasets import load_diabetes, make_moons, make_multilabel_classification  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.preprocessing import StandardScaler  # noqa: E402

ignoring = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def diabetes(count=120):
    X, y = load_diabetes(return_X_y=True)
    X, y = StandardScaler().fit_transform(X)[:count], y[:count]
    return X, (y - y.mean()) / y.std()


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
@pytest.mark.parametrize("activation", ["identity", "relu", "tanh", "logistic", "softplus", lambda x: x * abs(x)])
def test_predictions_are_those_of_the_model(activation):
    X, y = diabetes()
    for targets in (y, numpy.column_stack([y, X[:, 0]])):
        regressor = nn.MLPRegressor([5, 3], activation, max_iter=3, random_state=0).fit(X, targets)
        X[0] = 1e300
        with no_grad():
            outputs = [regressor.model_(row) for row in X]
        wanted = numpy.array([[o.value for o in row] if isinstance(row, list) else row.value for row in outputs])
        assert numpy.asarray(regressor.predict(X)) == pytest.approx(wanted, rel=1e-12, nan_ok=True)
        X[0] = 0.0
        assert regressor.predict(X[:1]) == pytest.approx(regressor.model_.predict(X[:1]), rel=1e-12)
        assert regressor.predict(X[:1]).shape == targets[:1].shape
    regressor.model_.layers[0] = nn.Layer(10, 5, seed=1)  # what is changed in the model counts
    assert regressor.predict(X) == pytest.approx(regressor.model_.predict(X), rel=1e-12)


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
