"""For random models, losses, optimisers, weights, bounds and callbacks, `fit` gives the same compiled as in graphs."""

import chainrule as cr
import pytest
from chainrule import Var, nn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("numpy")

ROWS = [[k / 10 - 1, (7 * k % 20) / 10 - 1, (3 * k % 11) / 5 - 1] for k in range(22)]
NUMBERS = [0.5 * a - 2 * b + a * c for a, b, c in ROWS]
CLASSES = [(k * k + 1) % 3 for k in range(22)]
SHARES = [[0.25 * (c == 0), 0.5 * (c > 0) + 0.75 * (c == 0), 0.5 * (c > 0)] for c in CLASSES]
MORE_LOSSES = ["log_cosh", "quantile", "poisson", "gaussian", "binary_cross_entropy_with_logits"]
TRUTHS = [float(number > 0.1) for number in NUMBERS]


class Gated(nn.Module):
    """A module with parameters of its own, one of them used twice, and a constant."""

    def __init__(self, inner):
        self.inner, self.gate, self.shift = inner, Var(0.7), Var(0.1, requires_grad=False)
        self.scale = 1.0

    def __call__(self, x):
        output = self.inner(x)
        outputs = output if isinstance(output, list) else [output]
        found = [self.scale * self.gate * o + self.shift * self.gate for o in outputs]
        return found if isinstance(output, list) else found[0]


def halve_rate(model, optimiser, epoch):
    optimiser.lr *= 0.5


def bound(model, optimiser, epoch):
    for parameter in model.parameters():
        parameter.value = max(-0.3, min(0.3, parameter.value))


def forget(model, optimiser, epoch):
    optimiser.memories = [tuple(0.5 * m for m in memory) for memory in optimiser.memories]


def decay(model, optimiser, epoch):
    optimiser.weight_decay = 0.05 * epoch


def rescale(model, optimiser, epoch):
    if hasattr(model, "scale"):
        model.scale = 1.0 + 0.5 * (epoch == 2)


CHANGES = [None, halve_rate, bound, forget, decay, rescale]
OPTIMISERS = [
    nn.SGD,
    lambda p: nn.SGD(p, 0.05, momentum=0.9, nesterov=True),
    lambda p: nn.RMSProp(p, 0.01),
    lambda p: nn.Adagrad(p, 0.05),
    lambda p: nn.Adam(p, 0.02),
    lambda p: nn.Adam(p, 0.02, amsgrad=True, weight_decay=0.01),
    lambda p: nn.AdamW(p, 0.02),
    lambda p: nn.NAdam(p, 0.02),
    lambda p: nn.Together(nn.SGD(p[:3], 0.05), nn.Adam(p[3:], 0.02)),
]


@st.composite
def trainings(draw):
    """Return what makes a model anew, its samples, and the options of `fit`."""
    loss = draw(st.sampled_from(["mse", "mae", "huber", "binary_cross_entropy", "cross_entropy", *MORE_LOSSES]))
    sizes = draw(st.lists(st.integers(1, 6), max_size=2))
    nouts = [*sizes, {"cross_entropy": 3, "gaussian": 2}.get(loss, 1)]
    activation = draw(st.sampled_from(["tanh", "sigmoid", "softplus", "gelu", cr.sin]))
    output = "sigmoid" if loss == "binary_cross_entropy" else None
    seed = draw(st.integers(0, 5))
    wrap = draw(st.booleans()) and loss != "binary_cross_entropy"
    dropout = draw(st.sampled_from([0.0, 0.0, 0.3]))

    def make():
        model = nn.MLP(3, nouts, activation, output, seed=seed)
        if dropout:
            model = nn.Sequential(nn.Dropout(dropout), model)
        return Gated(model) if wrap else model

    targets = {"cross_entropy": draw(st.sampled_from([CLASSES, SHARES]))}.get(loss, NUMBERS)
    if loss in ("binary_cross_entropy", "binary_cross_entropy_with_logits", "poisson"):
        targets = TRUTHS
    options = {
        "loss": loss,
        "optimiser": draw(st.sampled_from(OPTIMISERS)),
        "epochs": draw(st.integers(1, 4)),
        "batch_size": draw(st.sampled_from([1, 5, 8, None])),
        # Steps of equal sizes may end at 0 or a rounding beside it, where the slope of l1 jumps.
        "l1": 0.0 if loss in ("mae", "quantile") else draw(st.sampled_from([0.0, 0.01])),
        "clip_value": draw(st.sampled_from([None, 0.1])),
        "clip_norm": draw(st.sampled_from([None, 0.2])),
        "shuffle": draw(st.booleans()),
        "validation": draw(st.sampled_from([None, 0.2])),
        "patience": draw(st.sampled_from([None, 1])),
        "seed": draw(st.integers(0, 3)),
    }
    if draw(st.booleans()):
        options["sample_weight"] = [float(k % 4) for k in range(22)]
    return make, targets, options, draw(st.sampled_from(CHANGES))


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(trainings())
def test_machine_code_trains_as_graphs_do(training):
    make, targets, options, change = training
    found = []
    for compiled in (False, True):
        model = make()
        optimiser = options["optimiser"](model.parameters())

        def act(history, model=model, optimiser=optimiser):
            if change is not None:
                change(model, optimiser, len(history.loss))

        own = {**options, "optimiser": optimiser, "compiled": compiled, "after_epoch": act}
        history = nn.fit(model, ROWS, targets, **own)
        assert history.compiled is compiled, history.reason
        found.append((history.batch_loss, history.loss, history.validation_loss, list(model.state_dict().values())))
    for compiled, graphs in zip(found[1], found[0], strict=True):
        assert compiled == pytest.approx(graphs, rel=1e-6, abs=1e-9)
