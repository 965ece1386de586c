"""Optimisers over all samples: against SciPy, NumPy and closed forms; in graphs, in machine code, and resumed."""

import functools
import itertools
import math
import pickle
import random

import numpy as np
import pytest
from chainrule import NonFiniteError, Var, nn
from trained_models import NUMBERS, ROWS, Branching, model_of

KINDS = [nn.LBFGS, nn.LevenbergMarquardt]


def line(weights=1):
    """A linear model, of which the best parameters are known."""
    return nn.Neuron(2, activation=None, seed=1) if weights == 1 else nn.Layer(2, weights, None, seed=1)


def design():
    return np.hstack([np.array(ROWS), np.ones((len(ROWS), 1))])


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_line_is_fitted_as_by_least_squares(kind, compiled):
    model = line()
    history = nn.fit(model, ROWS, NUMBERS, optimiser=kind, epochs=50, batch_size=3, compiled=compiled)
    wanted = np.linalg.lstsq(design(), np.array(NUMBERS), rcond=None)[0]
    assert list(model.state_dict().values()) == pytest.approx(list(wanted), rel=1e-6)
    assert history.stopped == "converged"
    assert history.compiled is compiled
    assert len(history.loss) < (15 if kind is nn.LBFGS else 12)
    assert set(history.learning_rate) == {1.0}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_and_decay_have_their_closed_form(kind, compiled):
    model, weights = line(), [1.0 + k % 4 for k in range(len(ROWS))]
    optimiser = kind(model.parameters(), weight_decay=[0.3, 0.3, 0.0], tolerance=1e-12)
    history = nn.fit(
        model, ROWS, NUMBERS, optimiser=optimiser, epochs=60, sample_weight=weights, compiled=compiled
    )  # fmt: skip
    shares = np.array(weights) / sum(weights)
    squares = design().T @ (shares[:, None] * design()) + np.diag([0.15, 0.15, 0.0])
    wanted = np.linalg.solve(squares, design().T @ (shares * np.array(NUMBERS)))
    assert list(model.state_dict().values()) == pytest.approx(list(wanted), rel=1e-6)
    # The history has the loss alone.
    assert history.loss[-1] == pytest.approx(float(shares @ (design() @ wanted - NUMBERS) ** 2), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_graphs_and_machine_code_take_the_same_iterations(kind):
    losses = []
    for compiled in (False, True):
        model = model_of(outputs=2)
        targets = [[number, number**2] for number in NUMBERS]
        losses.append(nn.fit(model, ROWS, targets, optimiser=kind, epochs=8, compiled=compiled).loss)
    assert losses[1] == pytest.approx(losses[0], rel=1e-6)
    assert losses[0][-1] < 0.5 * losses[0][0]


def test_lbfgs_finds_what_scipy_finds():
    optimize = pytest.importorskip("scipy.optimize")
    source = np.random.default_rng(0)
    X = source.normal(size=(80, 3))
    y = (X @ [1.0, -2.0, 0.5] + source.logistic(size=80) > 0).astype(float)

    def total(w):
        scores = X @ w[:3] + w[3]
        return np.mean(np.logaddexp(0, scores) - y * scores) + 0.05 * (w @ w)

    wanted = optimize.minimize(total, np.zeros(4), method="BFGS", options={"gtol": 1e-9}).x
    model = nn.Neuron(3, activation=None, seed=0)
    optimiser = nn.LBFGS(model.parameters(), weight_decay=0.1)
    history = nn.fit(model, X, y, loss="binary_cross_entropy_with_logits", optimiser=optimiser, epochs=100)
    assert list(model.state_dict().values()) == pytest.approx(list(wanted), abs=1e-6)
    assert history.stopped == "converged"


@pytest.mark.parametrize("start", [(-1.2, 1.0), (3.0, -2.0), (0.0, 0.0)])
def test_rosenbrock(start):
    optimize = pytest.importorskip("scipy.optimize")
    x, y = map(Var, start)
    optimiser = nn.LBFGS([x, y])
    assert optimiser.minimise(lambda: (1 - x) ** 2 + 100 * (y - x**2) ** 2) < 1e-12
    assert (x.value, y.value) == pytest.approx((1.0, 1.0), abs=1e-6)
    theirs = optimize.minimize(optimize.rosen, start, jac=optimize.rosen_der, method="L-BFGS-B", tol=1e-12)
    assert optimiser.steps <= 1.5 * theirs.nit + 5
    x, y = map(Var, start)
    optimiser = nn.LevenbergMarquardt([x, y])
    assert optimiser.minimise(lambda: [1 - x, 10 * (y - x**2)]) < 1e-16
    assert (x.value, y.value) == pytest.approx((1.0, 1.0), abs=1e-9)
    assert optimiser.has_converged


def test_levenberg_marquardt_fits_a_curve_as_scipy_does():
    optimize = pytest.importorskip("scipy.optimize")
    times = np.linspace(0.0, 4.0, 25)
    source = np.random.default_rng(1)
    data = 3.0 * np.exp(-1.3 * times) + 0.5 + 0.02 * source.normal(size=25)
    wanted, _ = optimize.curve_fit(lambda t, a, b, c: a * np.exp(-b * t) + c, times, data, p0=[1.0, 1.0, 0.0])
    a, b, c = parameters = [Var(1.0), Var(1.0), Var(0.0)]
    optimiser = nn.LevenbergMarquardt(parameters)
    optimiser.minimise(lambda: [a * (-b * t).exp() + c - d for t, d in zip(times.tolist(), data, strict=True)])
    assert [p.value for p in parameters] == pytest.approx(list(wanted), rel=1e-5)


def test_few_iterations_reach_what_steps_by_gradients_do_not():
    targets = [math.sin(3 * a) * b for a, b in ROWS]
    losses = {}
    for name, options in [
        ("adam", {"lr": 0.01, "epochs": 1000}),
        ("lbfgs", {"epochs": 300}),
        ("levenbergmarquardt", {"epochs": 40}),
    ]:
        history = nn.fit(nn.MLP(2, [8, 1], seed=1), ROWS, targets, optimiser=name, batch_size=None, **options)
        losses[name] = history.loss[-1]
    assert losses["levenbergmarquardt"] < 1e-3 * losses["adam"]
    assert losses["lbfgs"] < losses["adam"]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_training_goes_on_where_it_stopped(kind, compiled, tmp_path):
    options = {"optimiser": kind, "compiled": compiled, "seed": 1, "validation": 0.2}
    whole, first = model_of(), model_of()
    wanted = nn.fit(whole, ROWS, NUMBERS, epochs=14, **options)
    nn.fit(first, ROWS, NUMBERS, epochs=6, checkpoint=tmp_path / "run", **options)
    resumed = model_of()
    found = nn.fit(resumed, ROWS, NUMBERS, epochs=14, resume_from=tmp_path / "run", **options)
    assert resumed.state_dict() == whole.state_dict()
    assert found.loss == wanted.loss


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_callback_changes_in_the_model_counts(kind):
    class Scaled(nn.Module):
        def __init__(self):
            self.inner, self.scale = model_of(), 1.0

        def __call__(self, x):
            return self.scale * self.inner(x)

    models = [Scaled(), Scaled()]
    for model, compiled in zip(models, (False, True), strict=True):

        def change(history, model=model):
            model.scale = 2.0 if len(history.loss) >= 2 else 1.0

        history = nn.fit(model, ROWS, NUMBERS, optimiser=kind, epochs=5, compiled=compiled, after_epoch=change)
        assert history.compiled is compiled
    assert models[1].state_dict() == pytest.approx(models[0].state_dict(), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_patience_callbacks_and_pickles_work(kind):
    model = model_of()
    seen = []
    history = nn.fit(
        model, ROWS, NUMBERS, optimiser=kind, epochs=9, after_epoch=lambda h: seen.append(h.loss[-1]) or len(seen) == 4,
    )  # fmt: skip
    assert history.stopped == "callback"
    assert seen == history.loss
    optimiser = kind(model.parameters())
    nn.fit(model, ROWS, NUMBERS, optimiser=optimiser, epochs=3, patience=2)
    assert pickle.loads(pickle.dumps(optimiser)).steps == optimiser.steps == 3


def test_only_some_parameters_may_move():
    model = model_of()
    moving = model.layers[1].parameters()
    before = model.state_dict()
    for kind in KINDS:
        nn.fit(model, ROWS, NUMBERS, optimiser=kind(moving), epochs=5, compiled=True)
    after = model.state_dict()
    assert {name for name in after if after[name] != before[name]} == {n for n in after if n.startswith("layers.1")}


@pytest.mark.parametrize("kind", KINDS)
def test_models_that_cannot_be_traced_are_minimised_in_graphs(kind):
    model = Branching()
    history = nn.fit(model, ROWS, [a * (3.0 if b < 0 else -1.0) for a, b in ROWS], optimiser=kind, epochs=30)
    assert not history.compiled
    assert model.state_dict() == pytest.approx({"left": 3.0, "right": -1.0}, abs=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_that_is_not_finite_is_named(kind):
    class Root(nn.Module):
        def __init__(self):
            self.w = Var(-1.0)

        def __call__(self, x):
            return (self.w * x[0]).log()

    model = Root()
    with pytest.raises(NonFiniteError, match="expected a finite loss but got nan in epoch 1"):
        nn.fit(model, [[1.0]], [0.0], optimiser=kind, epochs=3)
    assert model.w.value == -1.0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"optimiser": nn.LBFGS, "lr": 0.1}, ValueError, "LBFGS expected no learning rate, .* but got lr=0.1"),
        ({"optimiser": nn.LBFGS, "l1": 0.1}, ValueError, "expected no l1 and no clipping with LBFGS"),
        ({"optimiser": nn.LBFGS, "clip_norm": 1.0}, ValueError, "expected no l1 and no clipping with LBFGS"),
        ({"optimiser": nn.LevenbergMarquardt, "loss": "mae"}, ValueError, "expected the loss 'mse' with Levenberg"),
    ],
)
def test_what_fit_refuses(options, error, message):
    with pytest.raises(error, match=message):
        nn.fit(model_of(), ROWS, NUMBERS, epochs=2, **options)


def test_dropout_is_refused():
    model = nn.Sequential(nn.Layer(2, 4), nn.Dropout(0.5), nn.Layer(4, 1))
    with pytest.raises(ValueError, match="fit expected no Dropout with LBFGS"):
        nn.fit(model, ROWS, NUMBERS, optimiser="lbfgs", epochs=2)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: nn.LBFGS([x]).step(), TypeError, "LBFGS expected to compute the loss itself"),
        (lambda x: nn.LBFGS([x], weight_decay=[1.0, 2.0]), ValueError, "a weight_decay for each of 1 parameters"),
        (lambda x: nn.LBFGS([x], weight_decay=-1.0), ValueError, r"but got weight_decay\[0\]=-1.0"),
        (lambda x: nn.LBFGS([x], memory=0), ValueError, "LBFGS expected .* but got memory=0"),
        (lambda x: nn.LevenbergMarquardt([x], damping=0.0), ValueError, "but got damping=0.0"),
        (lambda x: nn.LBFGS([x]).minimise(lambda: 1.0), TypeError, "expected a function that returns a Var"),
        (lambda x: nn.LevenbergMarquardt([x]).minimise(lambda: x * x), TypeError, "returns a list of Vars"),
    ],
)
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call(Var(1.0))


@pytest.mark.parametrize("kind", KINDS)
def test_another_function_is_minimised_anew(kind):
    x = Var(3.0)
    optimiser = kind([x])
    for wanted in (1.0, 7.0, -2.0):
        optimiser.minimise(
            lambda wanted=wanted: [x - wanted] if kind is nn.LevenbergMarquardt else (x - wanted) * (x - wanted)
        )
        assert x.value == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_second_fit_sees_its_own_data_and_weights(kind, compiled):
    model = line()
    optimiser = kind(model.parameters())
    others, weights = [3.0 * number + 1.0 for number in NUMBERS], [1.0 + k % 4 for k in range(len(ROWS))]
    nn.fit(model, ROWS, NUMBERS, epochs=50, optimiser=optimiser, compiled=compiled)
    nn.fit(model, ROWS, others, epochs=50, optimiser=optimiser, compiled=compiled)
    wanted = np.linalg.lstsq(design(), np.array(others), rcond=None)[0]
    assert list(model.state_dict().values()) == pytest.approx(list(wanted), rel=1e-5)
    history = nn.fit(
        model, ROWS, others, epochs=50, optimiser=optimiser, sample_weight=weights, compiled=compiled
    )  # fmt: skip
    roots = np.sqrt(weights)
    wanted = np.linalg.lstsq(roots[:, None] * design(), roots * others, rcond=None)[0]
    assert list(model.state_dict().values()) == pytest.approx(list(wanted), rel=1e-5)
    assert history.loss[-1] == pytest.approx(model.evaluate(ROWS, others, sample_weight=weights)["loss"], rel=1e-6)


@pytest.mark.parametrize("compiled", [False, True])
def test_the_losses_are_those_of_the_model_that_a_callback_changed(compiled):
    class Shifted(nn.Module):
        def __init__(self):
            self.inner, self.shift = line(), 0.0

        def __call__(self, x):
            return self.inner(x) + self.shift

    model, true = Shifted(), []

    def change(history):
        model.shift = float(len(history.loss))
        true.append(model.evaluate(ROWS, NUMBERS)["loss"])

    history = nn.fit(model, ROWS, NUMBERS, optimiser="lbfgs", epochs=6, compiled=compiled, after_epoch=change)
    assert history.loss[1:] == pytest.approx(true[: len(history.loss) - 1], rel=1e-9)


def test_a_kink_in_the_way_ends_the_search():
    model = nn.MLP(1, [2, 1], activation="relu", seed=0)
    rows, targets = [[0.0], [1.0], [2.0], [3.0]], [0.0, 1.0, 0.0, 1.0]
    history = nn.fit(model, rows, targets, optimiser="lbfgs", epochs=100)
    assert history.stopped == "converged"
    assert history.loss[-1] < 0.2
    assert model.evaluate(rows, targets)["loss"] == pytest.approx(min(history.loss), rel=1e-12)


@pytest.mark.parametrize("loss", ["mse", "mae", "hinge", functools.partial(nn.quantile, q=0.8), "huber"])
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_losses_with_kinks_go_down_alone(activation, loss):
    for seed in range(6):
        source = random.Random(seed)
        rows = [[source.gauss(0, 1), source.gauss(0, 1)] for _ in range(12)]
        targets = [source.choice([-1.0, 1.0]) if loss == "hinge" else a * b for a, b in rows]
        model = nn.MLP(2, [4, 1], activation=activation, seed=seed)
        history = nn.fit(model, rows, targets, loss=loss, optimiser="lbfgs", epochs=60, compiled=False)
        losses = [*history.loss, model.evaluate(rows, targets, loss=loss)["loss"]]
        assert all(after <= before * (1 + 1e-12) for before, after in itertools.pairwise(losses))


def test_an_error_in_a_search_leaves_the_parameter_where_it_was():
    x, calls = Var(3.0), []

    def failing():
        calls.append(x.value)
        if len(calls) == 2:
            raise RuntimeError("of the user's own")
        return (x - 1.0) ** 4

    with pytest.raises(RuntimeError, match="of the user's own"):
        nn.LBFGS([x]).minimise(failing)
    assert x.value == 3.0 != calls[1]


@pytest.mark.parametrize("kind", KINDS)
def test_they_are_not_taken_together_with_others(kind):
    x, y = Var(1.0), Var(2.0)
    with pytest.raises(
        TypeError, match=r"Together expected optimisers that .* but got optimisers\[1\]=.*" + kind.__name__
    ):
        nn.Together(nn.SGD([x]), kind([y]))


@pytest.mark.parametrize("kind", KINDS)
def test_no_rate_is_reduced_where_there_is_none(kind):
    model = model_of()
    before = model.state_dict()
    with pytest.raises(
        ValueError, match=f"ReduceOnPlateau expected an optimiser with a learning rate but got .*{kind.__name__}"
    ):
        nn.fit(model, ROWS, NUMBERS, optimiser=kind, epochs=9, callbacks=nn.ReduceOnPlateau(patience=1))
    assert model.state_dict() == before
