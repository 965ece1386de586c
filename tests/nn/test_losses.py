"""Losses: values and gradients as torch has them, digits kept at the extremes, errors that say what to do."""

import functools
import math

import chainrule
import pytest
from chainrule import Var, nn
from helpers import flat


def leaves(numbers):
    return [leaves(number) if isinstance(number, list) else Var(number) for number in numbers]


PREDICTIONS = [[0.5, -1.25, 3.0], [2.0, 0.0, -4.0]]
NUMBERS = [[1.5, -1.0, 0.5], [2.25, 0.0, 4.0]]
SIGNS = [[1.0, -1.0, -1.0], [1.0, 1.0, -1.0]]
SHARES = [[1.0, 0.0, 0.25], [0.0, 1.0, 1.0]]


def _map(function, nested):
    return [_map(function, item) if isinstance(item, list) else function(item) for item in nested]


@pytest.mark.parametrize(
    ("loss", "reference", "targets"),
    [
        (nn.mse, lambda torch, p, t: torch.nn.functional.mse_loss(p, t), NUMBERS),
        (nn.mae, lambda torch, p, t: torch.nn.functional.l1_loss(p, t), NUMBERS),
        (nn.huber, lambda torch, p, t: torch.nn.functional.huber_loss(p, t), NUMBERS),
        (
            lambda p, t: nn.huber(p, t, delta=0.4),
            lambda torch, p, t: torch.nn.functional.huber_loss(p, t, delta=0.4),
            NUMBERS,
        ),
        (nn.hinge, lambda torch, p, t: torch.clamp(1 - p * t, min=0).mean(), SIGNS),
        (
            functools.partial(nn.binary_cross_entropy, from_logits=True),
            lambda torch, p, t: torch.nn.functional.binary_cross_entropy_with_logits(p, t),
            SHARES,
        ),
        (
            lambda p, t: nn.binary_cross_entropy(_map(chainrule.sigmoid, p), t),
            lambda torch, p, t: torch.nn.functional.binary_cross_entropy(torch.sigmoid(p), t),
            SHARES,
        ),
    ],
    ids=["mse", "mae", "huber", "huber 0.4", "hinge", "binary_cross_entropy of logits", "binary_cross_entropy"],
)
@pytest.mark.parametrize("nested", [True, False])
def test_losses_agree_with_torch(loss, reference, targets, nested):
    torch = pytest.importorskip("torch")
    predictions, targets = (PREDICTIONS, targets) if nested else (flat(PREDICTIONS), flat(targets))
    ours, theirs = leaves(predictions), torch.tensor(predictions, dtype=torch.float64, requires_grad=True)
    value = loss(ours, targets)
    value.backward()
    expected = reference(torch, theirs, torch.tensor(targets, dtype=torch.float64))
    expected.backward()
    assert value.value == pytest.approx(expected.item(), rel=1e-14)
    assert [leaf.grad for leaf in flat(ours)] == pytest.approx(theirs.grad.flatten().tolist(), rel=1e-14, abs=1e-15)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1000.0])
def test_cross_entropy_agrees_with_torch(scale):
    torch = pytest.importorskip("torch")
    scores = [[scale * score for score in row] for row in PREDICTIONS]
    classes = [2, 0]
    ours, theirs = leaves(scores), torch.tensor(scores, dtype=torch.float64, requires_grad=True)
    value = nn.cross_entropy(ours, classes)
    value.backward()
    expected = torch.nn.functional.cross_entropy(theirs, torch.tensor(classes))
    expected.backward()
    assert value.value == pytest.approx(expected.item(), rel=1e-14)
    assert [leaf.grad for leaf in flat(ours)] == pytest.approx(theirs.grad.flatten().tolist(), rel=1e-12, abs=1e-15)


def test_cross_entropy_of_one_sample_is_the_row_of_its_batch():
    scores = PREDICTIONS[0]
    assert nn.cross_entropy(scores, 1) == nn.cross_entropy([scores], [1])
    assert nn.cross_entropy([0.0, 0.0], 0) == pytest.approx(math.log(2))


@pytest.mark.parametrize(("sure", "value"), [(1000.0, 0.0), (40.0, math.exp(-40.0)), (-1000.0, 1000.0)])
def test_confident_scores_keep_their_digits(sure, value):
    score, other = Var(sure), Var(0.0)
    loss = nn.cross_entropy([score, other], 0)
    loss.backward()
    assert loss.value == pytest.approx(value, rel=1e-12)
    share = 1 / (1 + math.exp(min(sure, 700.0))) if sure > -700 else 1.0
    if sure != 1000.0:
        assert score.grad == pytest.approx(-share, rel=1e-12)
        assert other.grad == pytest.approx(share, rel=1e-12)

    score = Var(sure)
    loss = nn.binary_cross_entropy([score], [1], from_logits=True)
    loss.backward()
    assert loss.value == pytest.approx(value, rel=1e-12)
    assert score.grad == pytest.approx(-share, rel=1e-12, abs=1e-300)


def test_losses_of_numpy_and_of_generators():
    numpy = pytest.importorskip("numpy")
    assert nn.mse([Var(1.0), Var(2.0)], numpy.array([1.0, 4.0])).value == 2.0
    assert nn.mse(numpy.array([[Var(1.0), Var(2.0)]]), numpy.array([[1, 4]])).value == 2.0
    assert nn.mse((Var(x) for x in (1.0, 2.0)), [numpy.float32(1.0), numpy.int64(4)]).value == 2.0
    assert nn.cross_entropy(numpy.array(PREDICTIONS), numpy.array([2, 0])) == nn.cross_entropy(PREDICTIONS, [2, 0])
    assert nn.cross_entropy(PREDICTIONS[0], numpy.int64(2)) == nn.cross_entropy(PREDICTIONS[0], 2)


def test_losses_of_plain_numbers_are_numbers():
    assert type(nn.mse([1.0], [2.0])) is float
    assert type(nn.cross_entropy([1.0, 2.0], 0)) is float


def test_targets_can_be_vars():
    target = Var(3.0)
    nn.mse([1.0], [target]).backward()
    assert target.grad == 4.0
    share = Var(1.0)
    nn.binary_cross_entropy([2.0], [share], from_logits=True).backward()
    assert share.grad == pytest.approx(-2.0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.mse([1.0, 2.0], [1.0]), ValueError, "mse expected as many targets as predictions but got 2 .* 1 "),
        (lambda: nn.mse([[1.0, 2.0]], [[1.0]]), ValueError, r"got 2 predictions and 1 targets at \[0\]"),
        (
            lambda: nn.mse([Var(1.0)], [[1.0]]),
            ValueError,
            r"nested alike but got predictions\[0\]=Var\(1.0, grad=0.0\) \(Var\) and targets\[0\]=\[1.0\] \(list\)",
        ),
        (lambda: nn.mse([], []), ValueError, "mse expected at least one prediction"),
        (lambda: nn.mse([[]], [[]]), ValueError, "mse expected at least one prediction"),
        (lambda: nn.mse(Var(1.0), [1.0]), TypeError, r"mse expected an iterable .* but got predictions=Var"),
        (lambda: nn.mse([1.0], 1.0), TypeError, r"mse expected an iterable .* but got targets=1.0 \(float\)"),
        (lambda: nn.mse([1.0], ["1"]), TypeError, r"mse expected a float or Var but got item='1' \(str\)"),
        (lambda: nn.mse([[[1.0]]], [[[1.0]]]), TypeError, "mse expected a float or Var"),
        (lambda: nn.mse("12", [1, 2]), TypeError, "mse expected an iterable"),
        (lambda: nn.huber([1.0], [1.0], delta=0.0), ValueError, r"huber expected .* above 0 but got delta=0.0"),
        (lambda: nn.hinge([1.0], [0.0]), ValueError, r"hinge expected targets of -1 or 1 but got target=0.0"),
        (
            lambda: nn.binary_cross_entropy([2.0], [1]),
            ValueError,
            r"predictions from 0 to 1 but got prediction=2.0 .*from_logits=True",
        ),
        (lambda: nn.binary_cross_entropy([1.0], [-1]), ValueError, r"targets from 0 to 1 but got target=-1.0"),
        (lambda: nn.cross_entropy([1.0, 2.0], 2), ValueError, r"class from 0 to 1, .* 2 scores, but got target=2"),
        (lambda: nn.cross_entropy([1.0, 2.0], -1), ValueError, r"class from 0 to 1"),
        (lambda: nn.cross_entropy([1.0, 2.0], 1.0), TypeError, r"class counted from 0 but got target=1.0 \(float\)"),
        (lambda: nn.cross_entropy([[1.0, 2.0]], 1), ValueError, "give a list of classes, one for each row"),
        (
            lambda: nn.cross_entropy([1.0, 2.0], [1]),
            ValueError,
            r"but got 2 in logits=.* and 1 in target=",
        ),
        (lambda: nn.cross_entropy([1.0], [0]), ValueError, r"that add up to 1 but got target=\[0\]"),
        (lambda: nn.cross_entropy([], []), ValueError, "at least one row"),
        (lambda: nn.cross_entropy([], 0), ValueError, "at least one score"),
    ],
)
def test_wrong_losses(call, error, message):
    with pytest.raises(error, match=message):
        call()
