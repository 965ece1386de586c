"""Metrics: what they compute, against scikit-learn, and how they agree with the loss a model is trained with."""

import functools
import random

import pytest
from chainrule import Var, nn
from chainrule.nn.evaluating import loss_of
from chainrule.nn.losses import find_loss
from chainrule.nn.metrics import border
from trained_models import ROWS, model_of

CORNERS, XOR = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]


def from_logits(predictions, targets):
    return nn.binary_cross_entropy(predictions, targets, from_logits=True)


def test_metrics_equal_those_of_scikit_learn():
    theirs = pytest.importorskip("sklearn.metrics")
    source = random.Random(0)
    for width in (1, 3):
        t = [[source.gauss(0, 1) for _ in range(width)] for _ in range(30)]
        p = [[a + source.gauss(0, 1) for a in row] for row in t]
        weights = [source.random() for _ in range(30)]
        for w in (None, weights):
            assert nn.r2(t, p, sample_weight=w) == pytest.approx(theirs.r2_score(t, p, sample_weight=w), rel=1e-12)
            squared = theirs.mean_squared_error(t, p, sample_weight=w)
            assert nn.rmse(t, p, sample_weight=w) == pytest.approx(squared**0.5, rel=1e-12)
    classes = [source.randrange(3) for _ in range(30)]
    scores = [[source.random() for _ in range(3)] for _ in range(30)]
    found = [row.index(max(row)) for row in scores]
    for w in (None, weights):
        assert nn.accuracy(classes, scores, sample_weight=w) == pytest.approx(
            theirs.accuracy_score(classes, found, sample_weight=w), rel=1e-12
        )
    for t, p in (([2.0, 2.0], [2.0, 2.0]), ([2.0, 2.0], [2.0, 3.0])):
        assert nn.r2(t, p) == theirs.r2_score(t, p)


def test_accuracy_of_thresholds_rows_and_columns():
    assert nn.accuracy([1, 1], [0.4, 0.6], threshold=0.5) == 0.5
    assert nn.accuracy([1, 0], [0.4, 0.3]) == 0.5  # probabilities
    assert nn.accuracy([1, 0], [0.4, -0.3]) == 1.0  # scores
    assert nn.accuracy([1], [[Var(1.0), Var(2.0)]]) == 1.0
    assert nn.accuracy([1, 0], [[0.3], [-0.2]]) == 1.0
    assert nn.accuracy([[1], [1], [-1]], [[0.3], [-0.2], [0.1]]) == pytest.approx(1 / 3)
    assert nn.accuracy([[1], [1]], [[1.0, 2.0], [3.0, 1.0]]) == 0.5
    assert nn.accuracy([1.0, False], [[1.0, 2.0], [3.0, 1.0]]) == 1.0
    assert nn.accuracy([[0.1, 0.9], [0, 1]], [[1.0, 2.0], [3.0, 1.0]]) == 0.5  # probabilities as targets


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.accuracy(["b"], [[1.0, 2.0]]), ValueError, r"class from 0 to 1, .* but got targets\[0\]='b'"),
        (lambda: nn.accuracy([0, 2], [[1.0, 2.0]] * 2), ValueError, r"class from 0 to 1, .* but got targets\[1\]=2"),
        (lambda: nn.accuracy([0.5], [[1.0, 2.0]]), ValueError, r"class from 0 to 1, .* but got targets\[0\]=0.5"),
        (lambda: nn.accuracy([[2, 1]], [[1, 2]]), ValueError, r"class from 0 to 1, .* but got targets\[0\]=\[2, 1\]"),
        (lambda: nn.accuracy(["b"], [1.0]), TypeError, r"accuracy expected a float or Var but got targets\[0\]='b'"),
        (lambda: nn.accuracy([0], [[]]), ValueError, r"at least one score but got predictions\[0\]=\[\]"),
        (lambda: nn.accuracy([1, 0], [1.0]), ValueError, "as many targets as predictions"),
        (lambda: nn.accuracy([], []), ValueError, "at least one prediction"),
        (lambda: nn.accuracy([0, 1, 2], [0.1, 0.9, 2.1]), ValueError, "two classes, .* but got 3 different targets"),
        (lambda: nn.accuracy(3, [0.1]), TypeError, "an iterable of numbers or rows but got targets=3"),
        (lambda: nn.r2([1.0, [1.0, 2.0]], [1.0, 2.0]), ValueError, "nested alike"),
        (lambda: nn.r2([1.0, 2.0], [1.0, 2.0], sample_weight=[0, 0]), ValueError, "for each of 2 samples, not all 0"),
    ],
)  # fmt: skip
def test_wrong_metrics(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("loss", "targets", "wanted"),
    [
        (nn.mse, [0, 1, 1], 0.5),
        (nn.mse, [-1, 1, 1], 0.0),
        (nn.mse, [1, 2, 2], 1.5),
        (nn.mae, [0, 1], 0.5),
        (nn.huber, [0, 1], 0.5),
        (nn.hinge, [-1, 1], 0.0),
        (nn.binary_cross_entropy, [0, 1], 0.5),
        (from_logits, [0, 1], 0.0),
        (functools.partial(nn.binary_cross_entropy, from_logits=True), [0, 1], 0.0),
        (nn.binary_cross_entropy, [1, 1], 0.5),
        (from_logits, [0, 0], 0.0),
        (nn.hinge, [1, 1], 0.0),
        (nn.mse, [0.1, 0.2, 0.3], None),
        (nn.mse, [[0, 1], [1, 0]], None),
        (nn.cross_entropy, [0, 1], None),
    ],
)
def test_the_border_is_where_the_loss_does_not_care(loss, targets, wanted):
    assert border(loss, targets, None) == wanted


def test_the_last_function_of_a_model_tells_where_the_loss_does_not():
    def own(predictions, targets):
        return nn.mse([p - 0.1 for p in predictions], targets)

    for activation, wanted in (("sigmoid", 0.5), ("tanh", 0.0), ("relu", None)):
        model = nn.Sequential(nn.MLP(2, [2, 1], output_activation=activation))
        assert border(own, [0, 1], model) == wanted
    assert border(nn.mse, [1, 1], nn.MLP(2, [1], output_activation="tanh")) == 0.0


@pytest.mark.parametrize(
    ("loss", "activation", "targets"),
    [
        ("mse", None, XOR),
        ("mse", "sigmoid", XOR),
        ("mse", "tanh", [2 * t - 1 for t in XOR]),
        ("binary_cross_entropy", "sigmoid", XOR),
        (from_logits, None, XOR),
        ("hinge", None, [2 * t - 1 for t in XOR]),
    ],
)
@pytest.mark.parametrize("compiled", [False, True])
def test_accuracy_agrees_with_the_loss(loss, activation, targets, compiled):
    model = nn.MLP(2, [8, 1], output_activation=activation, seed=1)
    metrics = {"accuracy": nn.accuracy, "named": "accuracy"}
    options = {"lr": 0.1, "epochs": 150, "seed": 0, "compiled": compiled}
    history = nn.fit(model, CORNERS, targets, loss=loss, metrics=metrics, **options)
    assert history.metrics["accuracy"][-1] == history.metrics["named"][-1] == 1.0
    found = model.evaluate(CORNERS, targets, loss, "accuracy")
    assert found["accuracy"] == 1.0
    # Of a part in which one class alone occurs, too.
    assert model.evaluate(CORNERS[1:3], targets[1:3], loss, "accuracy")["accuracy"] == 1.0


def test_metrics_get_targets_first_and_may_be_named_or_not():
    seen = []

    def own(targets, predictions):
        seen.append((targets, predictions))
        return 1.5

    targets = [k % 3 for k in range(20)]
    model = model_of(outputs=3)
    history = nn.fit(model, ROWS, targets, loss="cross_entropy", epochs=2, metrics=[own, "accuracy", "cross_entropy"])
    assert list(history.metrics) == ["own", "accuracy", "cross_entropy"]
    assert history.metrics["own"] == [1.5, 1.5]
    assert seen[-1] == (targets, model.predict(ROWS))
    # A loss is given its predictions first wherever it stands.
    wanted = nn.cross_entropy(model.predict(ROWS), targets)
    assert history.metrics["cross_entropy"][-1] == pytest.approx(wanted, rel=1e-14)
    again = nn.fit(model, ROWS, targets, loss="cross_entropy", epochs=1, metrics={"it": nn.cross_entropy})
    assert again.metrics["it"][-1] == nn.cross_entropy(model.predict(ROWS), targets)


def test_evaluate_weighs_samples():
    theirs = pytest.importorskip("sklearn.metrics")
    model = model_of()
    targets, weights = [k % 2 for k in range(20)], [k % 4 for k in range(20)]
    found = model.evaluate(ROWS, targets, from_logits, [nn.accuracy, theirs.mean_absolute_error], weights)
    predictions = model.predict(ROWS)
    whole = sum(w * from_logits([p], [t]) for w, p, t in zip(weights, predictions, targets, strict=True))
    assert found["loss"] == pytest.approx(whole / sum(weights), rel=1e-12)
    classes = [int(p > 0) for p in predictions]
    assert found["accuracy"] == pytest.approx(theirs.accuracy_score(targets, classes, sample_weight=weights), rel=1e-12)
    plain = model.evaluate(ROWS, targets, "mse", {"error": theirs.mean_absolute_error})
    assert plain == {
        "loss": nn.mse(predictions, targets),
        "error": pytest.approx(theirs.mean_absolute_error(targets, predictions), rel=1e-12),
    }
    with pytest.raises(ValueError, match="evaluate expected a weight for each of 20 samples but got 2"):
        model.evaluate(ROWS, targets, sample_weight=[1, 2])
    with pytest.raises(ValueError, match="evaluate expected a function or one of mse"):
        model.evaluate(ROWS, targets, "nse")


def test_many_samples_are_measured_as_arrays_with_the_same_result():
    numpy = pytest.importorskip("numpy")
    source = random.Random(1)
    few = 60
    for width, loss in ((1, "mse"), (1, from_logits), (3, "cross_entropy"), (2, "mse")):
        scores = [[source.gauss(0, 1) for _ in range(width)] for _ in range(4 * few)]
        targets = [[source.gauss(0, 1) for _ in range(width)] for _ in range(4 * few)]
        if loss != "mse":
            targets = [source.randrange(max(2, width)) for _ in range(4 * few)]
        elif width == 1:
            targets = [k % 2 for k in range(4 * few)]
        predictions = [row[0] for row in scores] if width == 1 else scores
        metrics = [nn.rmse, nn.r2] if loss == "mse" else [nn.accuracy]
        weights = [source.random() for _ in range(4 * few)]
        for w in (None, weights):
            for metric in metrics:
                whole = metric(targets, predictions, sample_weight=w)
                # Of parts, each too small for arrays, and as arrays that are given.
                assert whole == pytest.approx(
                    metric(numpy.array(targets), numpy.array(predictions), sample_weight=w), rel=1e-14
                )
                parts = [slice(k, k + few) for k in range(0, 4 * few, few)]
                if metric is not nn.r2:
                    shares = [sum(weights[p]) if w else few for p in parts]
                    values = [
                        metric(targets[p], predictions[p], sample_weight=None if w is None else w[p]) for p in parts
                    ]
                    power = 2 if metric is nn.rmse else 1
                    mean = sum(s * v**power for s, v in zip(shares, values, strict=True)) / sum(shares)
                    assert whole**power == pytest.approx(mean, rel=1e-12)
        found = find_loss(loss)
        wanted = sum(w * found([p], [t]) for w, p, t in zip(weights, predictions, targets, strict=True)) / sum(weights)
        assert loss_of(found, predictions, targets, weights) == pytest.approx(wanted, rel=1e-12)
        assert loss_of(found, predictions, targets) == pytest.approx(found(predictions, targets), rel=1e-12)


def test_what_is_wrong_among_many_is_named_too():
    pytest.importorskip("numpy")
    rows, classes = [[1.0, 2.0]] * 300, [0] * 300
    with pytest.raises(ValueError, match=r"class from 0 to 1, .* but got targets\[299\]=2"):
        nn.accuracy([*classes[1:], 2], rows)
    with pytest.raises(ValueError, match=r"two classes, .* but got 3 different targets"):
        nn.accuracy([*classes[2:], 1, 2], [0.5] * 300)
    with pytest.raises(TypeError, match=r"but got targets\[0\]='0'"):
        nn.accuracy(["0"] * 300, [0.5] * 300)
    with pytest.raises(ValueError, match="as many targets as predictions"):
        nn.r2(classes[1:], [0.5] * 300)
    model = model_of(outputs=2)
    with pytest.raises(ValueError, match="class from 0 to 1, as there are 2 scores, but got target=2"):
        model.evaluate(ROWS * 20, [0] * 399 + [2], "cross_entropy")
    with pytest.raises(ValueError, match="predictions from 0 to 1"):
        loss_of(nn.binary_cross_entropy, [0.5] * 299 + [1.5], classes)
    assert model.evaluate(ROWS * 20, [0, 1] * 200, "cross_entropy", lambda t, p: type(t) is type(p) is list) == {
        "loss": pytest.approx(model.evaluate(ROWS, [0, 1] * 10, "cross_entropy")["loss"], rel=1e-12),
        "<lambda>": 1.0,
    }


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ([lambda t, p: 1.0, lambda t, p: 2.0], "different name for each metric but got '<lambda>' twice; give a dict"),
        ([functools.partial(nn.quantile, q=0.1), functools.partial(nn.quantile, q=0.9)], "but got 'quantile' twice"),
        (["mae", lambda t, p: 1.0, functools.partial(nn.mae)], "but got 'mae' twice"),
        ({1: "mae", "1": "mse"}, "but got '1' twice"),
        ({"loss": "mae"}, "other names of metrics than epoch, .*, seconds but got 'loss'; give a dict"),
        ({"seconds": "mae"}, "but got 'seconds'"),
        ({"learning_rate": "mae"}, "but got 'learning_rate'"),
        ({"validation_loss": "mae"}, "but got 'validation_loss'"),
        ({"epoch": "mae"}, "but got 'epoch'"),
    ],
)
def test_no_metric_hides_another_or_a_column(metrics, message):
    model = nn.Neuron(2, seed=0)
    before = model.state_dict()
    with pytest.raises(ValueError, match=message):
        nn.fit(model, CORNERS, XOR, epochs=2, metrics=metrics)
    with pytest.raises(ValueError, match=message):
        model.evaluate(CORNERS, XOR, metrics=metrics)
    assert model.state_dict() == before


def test_a_function_with_options_has_its_name():
    model = nn.Neuron(2, seed=0)
    assert list(model.evaluate(CORNERS, XOR, metrics=functools.partial(nn.quantile, q=0.9))) == ["loss", "quantile"]
    assert list(model.evaluate(CORNERS, XOR, metrics=["mae", nn.mae])) == ["loss", "mae"]
