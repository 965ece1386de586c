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
