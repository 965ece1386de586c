"""What a step makes of losses and gradients: weights of samples, l1 and bounds, through graphs and as machine code."""

import math

import pytest
from chainrule import nn
from chainrule.nn.eager_steps import EagerSteps
from chainrule.nn.machine_steps import MachineSteps
from chainrule.nn.recipe import Recipe
from trained_models import NUMBERS, ROWS, model_of

WEIGHTS = [k % 4 for k in range(20)]
OPTIONS = [
    {"weights": WEIGHTS},
    {"l1": 0.3},
    {"clip_value": 0.05},
    {"clip_norm": 0.1},
    {"clip_norm": 1e6},
    {"weights": WEIGHTS, "l1": 0.3, "clip_value": 0.2, "clip_norm": 0.3},
]


def steps_of(**options):
    model = model_of()
    return model, EagerSteps(model, Recipe(nn.mse, nn.SGD(model.parameters(), 0.1), 8, **options), ROWS, NUMBERS)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_machine_code_follows_the_recipe(options):
    pytest.importorskip("numpy")
    batches = [range(8), range(8, 16), range(16, 20)]
    model, eager = steps_of(**options)
    wanted = list(eager.run(batches))
    other, start = steps_of(**options)
    compiled = MachineSteps(start)
    assert list(compiled.run(batches)) == pytest.approx(wanted, rel=1e-9)
    compiled.write_back()
    assert other.state_dict() == pytest.approx(model.state_dict(), rel=1e-9)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_are_those_of_the_definition(options):
    model, plain = steps_of()
    weights = options.get("weights", [1] * 20)
    gradients, total = [0.0] * len(model.parameters()), sum(weights[:8])
    for k in range(8):
        plain.take([k])
        gradients = [g + weights[k] / total * p.grad for g, p in zip(gradients, model.parameters(), strict=True)]
    pull, bound = options.get("l1", 0.0), options.get("clip_value", math.inf)
    pairs = zip(gradients, model.parameters(), strict=True)
    gradients = [g + pull * math.copysign(p.value != 0, p.value) for g, p in pairs]
    gradients = [max(-bound, min(bound, g)) for g in gradients]
    norm = math.hypot(*gradients)
    gradients = [g * min(1.0, options.get("clip_norm", math.inf) / norm) for g in gradients]
    steps_model, steps = steps_of(**options)
    steps.take(range(8))
    assert [p.grad for p in steps_model.parameters()] == pytest.approx(gradients, rel=1e-9, abs=1e-15)


def test_a_batch_in_which_no_sample_counts_moves_nothing():
    model, steps = steps_of(weights=[0.0] * 20)
    before = model.state_dict()
    assert list(steps.run([range(8)])) == [0.0]
    assert model.state_dict() == before


def test_derivatives_that_are_zero_or_whose_squares_overflow_are_bounded():
    recipe = Recipe(nn.mse, None, 1, clip_norm=0.5)
    assert recipe.scale(0.0) == 1.0
    assert recipe.scale(2.0) == 0.25
    model, steps = steps_of(clip_norm=0.5)
    steps.take(range(8))
    for parameter in model.parameters():
        parameter.grad = 1e200
    steps._bound()
    assert math.hypot(*[p.grad for p in model.parameters()]) == pytest.approx(0.5, rel=1e-12)


@pytest.mark.parametrize("options", [{"l1": 0.3}, {"clip_value": 0.01}, {"clip_norm": 0.01}, {"threads": 2}], ids=str)
def test_fit_hands_the_options_to_both_kinds_of_steps(options):
    pytest.importorskip("numpy")
    found = []
    for compiled in (False, True):
        model = model_of()
        nn.fit(model, ROWS, NUMBERS, epochs=3, batch_size=8, seed=2, lr=0.1, compiled=compiled, **options)
        found.append(model.state_dict())
    assert found[1] == pytest.approx(found[0], rel=1e-9)
    model = model_of()
    nn.fit(model, ROWS, NUMBERS, epochs=3, batch_size=8, seed=2, lr=0.1, compiled=False)
    assert (model.state_dict() != found[0]) is ("threads" not in options)


@pytest.mark.parametrize("options", [{"l1": -1.0}, {"clip_value": 0.0}, {"clip_norm": "1"}, {"threads": 0}], ids=str)
def test_options_out_of_range_are_refused(options):
    with pytest.raises((TypeError, ValueError), match=f"fit expected .*{next(iter(options))}="):
        nn.fit(model_of(), ROWS, NUMBERS, epochs=1, **options)


def test_a_schedule_is_asked_for_the_steps_that_are_taken_alone():
    pytest.importorskip("numpy")
    rates = [0.01] * 9  # of three epochs of three batches
    for compiled in (False, True):
        model = model_of()
        nn.fit(
            model, ROWS, NUMBERS, epochs=3, batch_size=8, lr=rates.__getitem__, patience=9, compiled=compiled, seed=0
        )
