"""Which samples a step takes, in which order, and how much each counts."""

import random
import sys

import chainrule as cr
import pytest
from chainrule import nn
from chainrule.nn.data import Batches, shuffled
from trained_models import NUMBERS, ROWS, model_of

BOTH = pytest.mark.parametrize("compiled", [False, True])


@BOTH
def test_samples_in_their_order(compiled):
    model, by_hand = model_of(), model_of()
    history = nn.fit(
        model, ROWS, NUMBERS, optimiser="sgd", lr=0.1, epochs=2, batch_size=8, shuffle=False, compiled=compiled
    )
    optimiser, losses = nn.SGD(by_hand.parameters(), lr=0.1), []
    for _ in range(2):
        for part in (slice(0, 8), slice(8, 16), slice(16, 20)):
            loss = nn.mse([by_hand(row) for row in ROWS[part]], NUMBERS[part])
            losses.append(loss.value)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    assert history.batch_loss == pytest.approx(losses, rel=1e-9)
    assert model.state_dict() == pytest.approx(by_hand.state_dict(), rel=1e-9)


@pytest.mark.parametrize("each", [1, 2, 3, 7])
def test_epochs_of_so_many_steps_go_on_through_all_samples(each):
    order = Batches(10, 4, random.Random(0), each)
    found = [position for _ in range(6) for batch in order.epoch() for position in batch]
    for start in range(0, len(found) - 9, 10):
        assert sorted(found[start : start + 10]) == list(range(10))


@BOTH
def test_two_steps_an_epoch(compiled):
    history = nn.fit(
        model_of(), ROWS, NUMBERS, epochs=5, batch_size=3, steps_per_epoch=2, metrics="mae", seed=0, compiled=compiled
    )
    assert [len(history.loss), len(history.batch_loss), len(history.metrics["mae"])] == [5, 10, 5]
    assert history.loss[1] == pytest.approx(sum(history.batch_loss[2:4]) / 2)
    more = nn.fit(model_of(), ROWS, NUMBERS, epochs=2, batch_size=None, steps_per_epoch=3, compiled=compiled)
    assert len(more.batch_loss) == 6


@BOTH
def test_a_weight_counts_as_repeating_the_sample(compiled):
    weights = [k % 3 for k in range(20)]
    repeated = [k for k in range(20) for _ in range(weights[k])]
    weighed, plain = model_of(), model_of()
    options = {"optimiser": "adam", "epochs": 4, "batch_size": None, "compiled": compiled}
    one = nn.fit(weighed, ROWS, NUMBERS, sample_weight=weights, **options)
    other = nn.fit(plain, [ROWS[k] for k in repeated], [NUMBERS[k] for k in repeated], **options)
    assert one.loss == pytest.approx(other.loss, rel=1e-9)
    assert weighed.state_dict() == pytest.approx(plain.state_dict(), rel=1e-8)


@BOTH
def test_class_weights_are_weights_of_samples(compiled):
    classes = [int(k % 5 == 0) for k in range(20)]
    each = [20 / (2 * 16), 20 / (2 * 4)]
    states = []
    for options in (
        {"class_weight": "balanced"},
        {"class_weight": {0: each[0], 1: each[1]}},
        {"sample_weight": [each[t] for t in classes]},
        {"sample_weight": [2.0] * 20, "class_weight": "balanced"},
    ):
        model = model_of(outputs=2)
        options |= {"loss": "cross_entropy", "epochs": 3, "batch_size": 8, "seed": 0, "compiled": compiled}
        nn.fit(model, ROWS, classes, **options)
        states.append(model.state_dict())
    for state in states[1:]:
        assert state == pytest.approx(states[0], rel=1e-12)
    theirs = pytest.importorskip("sklearn.utils.class_weight")
    numpy = pytest.importorskip("numpy")
    balanced = theirs.compute_class_weight("balanced", classes=numpy.array([0, 1]), y=classes)
    assert each == pytest.approx(list(balanced), rel=1e-15)


def test_held_out_samples_keep_their_weights():
    weights = [float(k) for k in range(20)]
    model = model_of()
    history = nn.fit(
        model, ROWS, NUMBERS, sample_weight=weights, validation=0.4, metrics=["rmse"], epochs=2, seed=0, record=True
    )
    held = [k for k in range(20) if ROWS[k] not in history.rows]
    assert len(held) == 8
    errors = [(model(ROWS[k]).value - NUMBERS[k]) ** 2 for k in held]
    wanted = sum(weights[k] * e for k, e in zip(held, errors, strict=True)) / sum(weights[k] for k in held)
    assert history.validation_loss[-1] == pytest.approx(wanted, rel=1e-12)
    assert history.metrics["rmse"][-1] == pytest.approx(wanted**0.5, rel=1e-12)
    # Those of a pair have none.
    pair = (ROWS[:3], NUMBERS[:3])
    history = nn.fit(model, ROWS, NUMBERS, sample_weight=weights, validation=pair, epochs=1, seed=0)
    assert history.validation_loss[-1] == pytest.approx(nn.mse(model.predict(ROWS[:3]), NUMBERS[:3]), rel=1e-12)


@BOTH
@pytest.mark.parametrize(
    ("loss", "wrong", "message"),
    [
        ("cross_entropy", 3, "class from 0 to 2, as there are 3 scores, but got target=3"),
        ("cross_entropy", -1, "but got target=-1"),
        ("hinge", 0, "targets of -1 or 1"),
        ("binary_cross_entropy", 2, "targets from 0 to 1"),
    ],
)
def test_targets_out_of_range_are_refused_before_the_first_step(compiled, loss, wrong, message):
    right = -1 if loss == "hinge" else 0
    model = model_of(outputs=3 if loss == "cross_entropy" else 1, output_activation="sigmoid")
    before, steps = model.state_dict(), nn.SGD(model.parameters())
    options = {"loss": loss, "optimiser": steps, "batch_size": 1, "shuffle": False, "compiled": compiled}
    with pytest.raises(ValueError, match=message):
        nn.fit(model, ROWS, [1] * 18 + [right, wrong], **options)
    with pytest.raises(ValueError, match=message):
        nn.fit(model, ROWS, [1] * 20, validation=(ROWS, [1] * 19 + [wrong]), **options)
    assert steps.steps == 0 and model.state_dict() == before


@pytest.mark.parametrize("count", [1_000, 4_097, 70_000])
def test_orders_are_the_same_with_numpy_as_without(count, monkeypatch):
    numpy = pytest.importorskip("numpy")
    source, other = random.Random(1), random.Random(1)
    found = [int(position) for position in shuffled(count, source)]
    monkeypatch.delitem(sys.modules, "numpy")
    assert shuffled(count, other) == found
    monkeypatch.setitem(sys.modules, "numpy", numpy)
    assert sorted(found) == list(range(count))
    assert source.random() == other.random()


def total(predictions, targets):
    return cr.sum([(p - t) ** 2 for p, t in zip(predictions, targets, strict=True)])


def root(predictions, targets):
    return cr.sqrt(nn.mse(predictions, targets))


def spread(predictions, targets):
    errors = [p - t for p, t in zip(predictions, targets, strict=True)]
    mean = cr.sum(errors) / len(errors)
    return cr.sum([(error - mean) ** 2 for error in errors]) / (len(errors) - 1)


def by_hand(predictions, targets):
    return total(predictions, targets) / len(targets)


@pytest.mark.parametrize("compiled", [False, True, "auto"])
@pytest.mark.parametrize("loss", [total, root, spread])
@pytest.mark.parametrize("weigh", [{"sample_weight": [1.0] * 20}, {"class_weight": "balanced"}])
def test_weights_need_a_loss_that_is_a_mean(weigh, loss, compiled):
    model, classes = model_of(), [k % 2 for k in range(20)]
    before = model.state_dict()
    with pytest.raises(ValueError, match="fit expected a loss that is a mean over samples, as there are weights, but"):
        nn.fit(model, ROWS, classes, loss=loss, epochs=2, compiled=compiled, **weigh)
    assert model.state_dict() == before
    with pytest.raises(ValueError, match="evaluate expected a loss that is a mean over samples"):
        model.evaluate(ROWS, classes, loss, sample_weight=[2.0] * 20)


@pytest.mark.parametrize("compiled", [False, True])
def test_a_mean_of_the_users_own_is_weighed(compiled):
    losses = []
    for loss in (by_hand, "mse"):
        for weights in (None, [1.0] * 20, [1.0 + k % 3 for k in range(20)]):
            model = model_of()
            history = nn.fit(
                model, ROWS, NUMBERS, loss=loss, epochs=3, seed=1, compiled=compiled, sample_weight=weights
            )
            losses.append(history.loss)
    for k in range(3):
        assert losses[k] == pytest.approx(losses[3 + k], rel=1e-9)
    assert losses[1] == pytest.approx(losses[0], rel=1e-9)
