"""Machine code of steps: shared by trainings that are alike, and true to whatever is changed between epochs."""

import math

import chainrule as cr
import pytest
from chainrule import Var, nn
from chainrule.nn import step_functions
from trained_models import NUMBERS, ROWS, model_of

pytest.importorskip("numpy")


class Bent(nn.Module):
    """A model with attributes of its own."""

    def __init__(self):
        self.inner, self.scale, self.options = model_of(), 1.0, {"shift": 0.0}

    def __call__(self, x):
        return self.scale * self.inner(x) + self.options["shift"]


def max_norm(model, optimiser, epoch):
    norm = math.hypot(*[p.value for p in model.parameters()])
    for parameter in model.parameters():
        parameter.value *= min(1.0, 0.8 / norm)


def rate(model, optimiser, epoch):
    optimiser.lr *= 0.7
    optimiser.momentum, optimiser.weight_decay = 0.9 / (epoch + 1), 0.01 * epoch


def memories(model, optimiser, epoch):
    optimiser.memories = [(0.0,)] * len(optimiser.parameters)


def rule(model, optimiser, epoch):
    optimiser.nesterov = epoch % 2 == 1


def attributes(model, optimiser, epoch):
    if epoch == 2:
        model.scale = 0.5
    if epoch == 3:
        model.options["shift"] = 2.0


def activation(model, optimiser, epoch):
    if epoch == 2:
        for neuron in model.inner.layers[0].neurons:
            neuron.activation = cr.sigmoid


@pytest.mark.parametrize("change", [max_norm, rate, memories, rule, attributes, activation])
def test_what_is_changed_after_an_epoch_counts(change):
    found = []
    for compiled in (False, True):
        model = Bent()
        optimiser = nn.SGD(model.parameters(), 0.05, momentum=0.9)

        def act(history, model=model, optimiser=optimiser):
            change(model, optimiser, len(history.loss))

        options = {"optimiser": optimiser, "batch_size": 8, "epochs": 6, "seed": 0, "compiled": compiled}
        history = nn.fit(model, ROWS, NUMBERS, **options, after_epoch=act)
        assert history.compiled is compiled
        found.append([*history.batch_loss, *model.state_dict().values(), *[p.grad for p in model.parameters()]])
    assert found[1] == pytest.approx(found[0], rel=1e-9, abs=1e-12)


def branching(x):
    return 2.0 * x if x > 0.0 else x


def branch(neuron):
    neuron.activation = branching


def freeze(neuron):
    neuron.bias.requires_grad = False


@pytest.mark.parametrize(("change", "reason"), [(branch, "TraceError"), (freeze, "one of them is frozen")])
def test_a_change_that_cannot_be_compiled_goes_on_through_graphs(change, reason):
    found = []
    for compiled in (False, "auto"):
        model = model_of()

        def act(history, model=model):
            if len(history.loss) == 2:
                for neuron in model.layers[0].neurons:
                    change(neuron)

        history = nn.fit(
            model, ROWS * 40, NUMBERS * 40, loss="mae", epochs=6, seed=0, compiled=compiled, after_epoch=act
        )
        found.append([*history.batch_loss, *model.state_dict().values()])
    assert not history.compiled
    assert reason in history.reason
    assert found[1] == pytest.approx(found[0], rel=1e-9)


def test_a_model_that_branches_is_refused():
    with pytest.raises(cr.TraceError):
        nn.fit(model_of(activation=branching), ROWS, NUMBERS, compiled=True)


def fit(model, optimiser=nn.SGD, count=20, **options):
    return nn.fit(model, ROWS[:count], NUMBERS[:count], optimiser=optimiser, epochs=2, seed=0, compiled=True, **options)


def test_trainings_that_are_alike_share_their_machine_code(monkeypatch):
    made, compile_ = [], cr.compile
    monkeypatch.setattr(step_functions, "_functions", step_functions.Latest(8))
    monkeypatch.setattr(cr, "compile", lambda f, **options: made.append(f) or compile_(f, **options))
    for seed, rate in ((1, 0.1), (2, 0.2)):
        fit(model_of(seed=seed), lambda p, rate=rate: nn.SGD(p, rate, momentum=rate))
    assert len(made) == 1
    fit(model_of(), batch_size=8, count=17)
    fit(model_of(), batch_size=8, count=20)
    (plans,) = [functions.steps._plans for functions in step_functions._functions._found.values()]
    assert len(made) == 1
    assert len(plans) == 2, "one for all samples in a batch, one for batches of 8 of any number of samples"
    for change in (
        {"model": model_of(activation="relu")},
        {"loss": "mae"},
        {"optimiser": nn.Adam},
        {"optimiser": lambda p: nn.SGD(p, momentum=0.5, nesterov=True)},
        {"l1": 0.1},
        {"clip_norm": 0.1},
    ):
        before = len(made)
        fit(**{"model": model_of(), **change})
        assert len(made) == before + 1, change


def test_shared_machine_code_is_not_changed_by_the_model_it_was_made_of():
    first, second = Bent(), Bent()
    fit(first)
    first.scale, first.options["shift"] = 3.0, 4.0
    history = fit(second)
    other = nn.fit(Bent(), ROWS, NUMBERS, optimiser=nn.SGD, epochs=2, seed=0, compiled=False)
    assert history.batch_loss == pytest.approx(other.batch_loss, rel=1e-9)


class Global(nn.Module):
    """A model that depends on a variable of its class."""

    factor = 1.0

    def __init__(self):
        self.weight = Var(2.0)

    def __call__(self, x):
        return Global.factor * self.weight * x[0]


def test_what_changed_elsewhere_is_found_by_the_trial(monkeypatch):
    fit(Global())
    monkeypatch.setattr(Global, "factor", 3.0)
    history = fit(Global())
    other = nn.fit(Global(), ROWS, NUMBERS, optimiser=nn.SGD, epochs=2, seed=0, compiled=False)
    assert history.compiled
    assert history.batch_loss == pytest.approx(other.batch_loss, rel=1e-9)


class Slowing(nn.Optimiser):
    """A rule that counts the steps itself."""

    def update(self, value, grad, memory, lr):
        return value - lr / (1 + self.steps) * grad, memory


def test_a_rule_that_reads_the_number_of_steps_is_refused():
    with pytest.raises(TypeError, match=r"reads self\.steps"):
        fit(model_of(), lambda p: Slowing(p, 0.1))
    model, other = model_of(), model_of()
    nn.fit(model, ROWS * 20, NUMBERS * 20, optimiser=lambda p: Slowing(p, 0.1), epochs=8, seed=0)
    nn.fit(other, ROWS * 20, NUMBERS * 20, optimiser=lambda p: Slowing(p, 0.1), epochs=8, seed=0, compiled=False)
    assert model.state_dict() == other.state_dict()
