"""Losses of quantiles, counts and spreads, smoothed labels, probabilities and weights, as torch and SciPy have them."""

import functools
import math
import random

import chainrule
import pytest
from chainrule import Var, nn
from helpers import flat
from trained_models import NUMBERS, ROWS, model_of

PREDICTIONS = [[0.5, -1.25, 3.0], [2.0, 0.0, -4.0]]
TARGETS = [[1.5, -1.0, 0.5], [2.25, 0.0, 4.0]]
COUNTS = [[1.0, 0.0, 2.0], [3.0, 1.0, 0.0]]
SHARES = [[0.2, 0.5, 0.3], [0.0, 1.0, 0.0]]
SIGNS = [[1.0, -1.0, -1.0], [1.0, 1.0, -1.0]]
BITS = [[1.0, 0.0, 0.25], [0.0, 1.0, 1.0]]


def leaves(numbers):
    return [leaves(number) if isinstance(number, list) else Var(number) for number in numbers]


def compare(loss, theirs, predictions, rel=1e-14):
    """Compare value and derivatives of a loss of ours with those of a function of torch."""
    torch = pytest.importorskip("torch")
    ours, other = leaves(predictions), torch.tensor(predictions, dtype=torch.float64, requires_grad=True)
    value, expected = loss(ours), theirs(torch, other)
    value.backward()
    expected.backward()
    assert value.value == pytest.approx(expected.item(), rel=rel)
    assert [leaf.grad for leaf in flat(ours)] == pytest.approx(other.grad.flatten().tolist(), rel=rel, abs=1e-15)


def double(torch, numbers):
    return torch.tensor(numbers, dtype=torch.float64)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.75])
def test_quantile(q):
    def pinball(torch, p):
        error = double(torch, TARGETS) - p
        return torch.where(error >= 0, q * error, (q - 1) * error).mean()

    compare(lambda p: nn.quantile(p, TARGETS, q), pinball, [[0.5, -1.25, 3.0], [2.0, 0.1, -4.0]])


def test_the_best_constant_is_the_quantile():
    source = random.Random(0)
    targets = [source.gauss(0.0, 1.0) for _ in range(101)]
    best = min(targets, key=lambda p: nn.quantile([p] * 101, targets, 0.8))
    assert best == sorted(targets)[80]


def test_poisson():
    compare(
        lambda p: nn.poisson(p, COUNTS),
        lambda torch, p: torch.nn.functional.poisson_nll_loss(p, double(torch, COUNTS)),
        PREDICTIONS,
    )


def test_gaussian_of_several_numbers():
    predictions = [[0.5, -1.0, 0.3, -0.2], [2.0, 0.0, 1.5, -3.0]]
    targets = [[1.5, -1.0], [2.25, 0.5]]
    compare(
        lambda p: nn.gaussian(p, targets),
        lambda torch, p: torch.nn.functional.gaussian_nll_loss(p[:, :2], double(torch, targets), p[:, 2:].exp(), eps=0),
        predictions,
    )
    single = [[row[0], row[2]] for row in predictions]
    numbers = [row[0] for row in targets]
    assert nn.gaussian(single, numbers) == nn.gaussian(single, [[number] for number in numbers])


@pytest.mark.parametrize("error", [0.0, 1e-9, -1e-4, 0.5, -3.0, 19.9, 20.0, -25.0, 1e6])
def test_log_cosh_keeps_its_digits(error):
    mpmath = pytest.importorskip("mpmath")
    x = Var(error)
    value = nn.log_cosh([x], [0.0])
    value.backward()
    with mpmath.workdps(60):
        wanted = mpmath.log(mpmath.cosh(mpmath.mpf(error)))
    assert value.value == pytest.approx(float(wanted), rel=1e-15)
    assert x.grad == pytest.approx(math.tanh(error), rel=1e-15)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.6])
def test_smoothed_labels(smoothing):
    compare(
        lambda p: nn.cross_entropy(p, [2, 0], label_smoothing=smoothing),
        lambda torch, p: torch.nn.functional.cross_entropy(p, torch.tensor([2, 0]), label_smoothing=smoothing),
        PREDICTIONS,
        rel=1e-12,
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_probabilities_as_targets(smoothing):
    compare(
        lambda p: nn.cross_entropy(p, SHARES, label_smoothing=smoothing),
        lambda torch, p: torch.nn.functional.cross_entropy(p, double(torch, SHARES), label_smoothing=smoothing),
        PREDICTIONS,
        rel=1e-12,
    )


def test_a_one_among_zeros_is_its_class():
    for row, target in zip(PREDICTIONS, (1, 2), strict=True):
        one_hot = [int(k == target) for k in range(3)]
        assert nn.cross_entropy(row, one_hot) == nn.cross_entropy(row, target) == nn.cross_entropy([row], [one_hot])
    assert nn.cross_entropy([0.0, -math.inf], [1, 0]) == 0.0


@pytest.mark.parametrize(
    ("loss", "predictions", "targets"),
    [
        (nn.mse, PREDICTIONS, TARGETS),
        (nn.mae, PREDICTIONS, TARGETS),
        (nn.huber, PREDICTIONS, TARGETS),
        (nn.log_cosh, PREDICTIONS, TARGETS),
        (nn.quantile, PREDICTIONS, TARGETS),
        (nn.poisson, PREDICTIONS, COUNTS),
        (nn.gaussian, [row[:2] for row in PREDICTIONS], [1.0, 2.0]),
        (nn.hinge, PREDICTIONS, SIGNS),
        (nn.binary_cross_entropy, SHARES, BITS),
        (nn.binary_cross_entropy_with_logits, PREDICTIONS, BITS),
        (nn.cross_entropy, PREDICTIONS, [2, 0]),
        (nn.cross_entropy, PREDICTIONS, SHARES),
    ],
)
def test_weights_are_those_of_samples(loss, predictions, targets):
    single = [loss([p], [t]) for p, t in zip(predictions, targets, strict=True)]
    assert loss(predictions, targets, weights=[3, 1]) == pytest.approx((3 * single[0] + single[1]) / 4, rel=1e-15)
    assert loss(predictions, targets, weights=[0.5, 0.5]) == pytest.approx(loss(predictions, targets), rel=1e-15)
    assert loss(predictions, targets, weights=[0.0, 2.0]) == pytest.approx(single[1], rel=1e-15)
    for weights in ([1.0], [0.0, 0.0], [1.0, -1.0], [1.0, math.nan], [1.0, 1.0, 1.0]):
        with pytest.raises(ValueError, match=f"{loss.__name__} expected .* but got .*(weights|sum)"):
            loss(predictions, targets, weights=weights)


def test_what_counts_nothing_may_be_infinite():
    assert nn.binary_cross_entropy([0.0, 0.5], [1, 1], weights=[0, 1]) == pytest.approx(math.log(2.0))


def counts_of(rows):
    return [float(round(4 + 2 * a - b)) for a, b in rows]


@pytest.mark.parametrize(
    ("loss", "outputs", "targets"),
    [
        ("log_cosh", 1, NUMBERS),
        ("quantile", 1, NUMBERS),
        (functools.partial(nn.quantile, q=0.9), 1, NUMBERS),
        ("poisson", 1, counts_of(ROWS)),
        ("gaussian", 2, NUMBERS),
        ("binary_cross_entropy_with_logits", 1, [int(number > 0) for number in NUMBERS]),
        ("cross_entropy", 3, [[1.0, 0.0, 0.0] if a < b else [0.0, 0.5, 0.5] for a, b in ROWS]),
        (functools.partial(nn.cross_entropy, label_smoothing=0.1), 3, [k % 3 for k in range(20)]),
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_machine_code_knows_them(loss, outputs, targets, weighted):
    weights = [1.0 + k % 3 for k in range(20)] if weighted else None
    models = []
    for compiled in (False, True):
        models.append(model_of(outputs=outputs))
        history = nn.fit(
            models[-1], ROWS, targets, loss=loss, batch_size=6, epochs=3, seed=1, compiled=compiled,
            sample_weight=weights,
        )  # fmt: skip
        assert history.compiled is compiled
    assert models[1].state_dict() == pytest.approx(models[0].state_dict(), rel=1e-9)


def test_a_spread_is_learned():
    source = random.Random(1)
    rows = [[source.uniform(-1, 1)] for _ in range(400)]
    targets = [2.0 * x + source.gauss(0.0, 0.1 if x < 0 else 1.0) for (x,) in rows]
    model = nn.MLP(1, [8, 2], seed=1)
    nn.fit(model, rows, targets, loss="gaussian", lr=0.01, epochs=60, seed=1)
    left, right = [math.exp(0.5 * log_variance) for _, log_variance in model.predict([[-0.5], [0.5]])]
    assert 0.05 < left < 0.25
    assert 0.6 < right < 1.5


def test_losses_have_names():
    assert set(nn.losses.BY_NAME) >= {"mse", "poisson", "gaussian", "binary_cross_entropy_with_logits"}
    assert all(getattr(nn, name) is loss for name, loss in nn.losses.BY_NAME.items())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.quantile([1.0], [2.0], q=1.0), "quantile expected .* but got q=1.0"),
        (lambda: nn.poisson([1.0], [-1.0]), r"poisson expected counts, 0 or above, but got target=-1\.0"),
        (lambda: nn.gaussian([[1.0]], [1.0]), "gaussian expected a mean and a log variance for each of 1 numbers"),
        (lambda: nn.cross_entropy(PREDICTIONS, [[0.5, 0.2, 0.2], [0, 1, 0]]), "add up to 1 but got target="),
        (lambda: nn.cross_entropy(PREDICTIONS, [[1.5, -0.5, 0.0], [0, 1, 0]]), "0 or above, that add up to 1"),
        (lambda: nn.cross_entropy(PREDICTIONS, [[0.5, 0.5], [0, 1, 0]]), "a probability for each score"),
        (lambda: nn.cross_entropy([1.0, 2.0], 0, label_smoothing=1.0), "but got label_smoothing=1.0"),
    ],
)
def test_what_is_wrong_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_probabilities_may_be_traced():
    numpy = pytest.importorskip("numpy")
    compiled = chainrule.compile(chainrule.value_and_grad(lambda p, t: nn.cross_entropy(p, t)))
    value, slopes = compiled(numpy.array(PREDICTIONS[0]), numpy.array(SHARES[0]))
    ours = leaves(PREDICTIONS[0])
    found = nn.cross_entropy(ours, SHARES[0])
    found.backward()
    assert value == pytest.approx(found.value, rel=1e-14)
    assert list(slopes) == pytest.approx([leaf.grad for leaf in ours], rel=1e-14)


@pytest.mark.parametrize("compiled", [False, True])
def test_advice_names_the_loss_that_is_meant(compiled):
    classes = [k % 2 for k in range(20)]
    with pytest.raises(
        ValueError, match=r'nested alike .*; loss="cross_entropy" takes a class for each row of scores$'
    ):
        nn.fit(model_of(outputs=3), ROWS, classes, epochs=1, compiled=compiled)
    with pytest.raises(ValueError, match=r'or fit with loss="binary_cross_entropy_with_logits"$'):
        nn.fit(
            nn.Neuron(2, activation=None, seed=1),
            ROWS,
            classes,
            epochs=1,
            loss="binary_cross_entropy",
            compiled=compiled,
        )
    with pytest.raises(ValueError, match="loss='cross_entropy' and a model with an output for each class"):
        nn.fit(model_of(), ROWS, [k % 3 for k in range(20)], epochs=1, metrics="accuracy", compiled=compiled)
    with pytest.raises(ValueError, match=r"nested alike .*\(float\)$"):
        nn.fit(model_of(outputs=3), ROWS, NUMBERS, epochs=1, compiled=compiled)
