"""Every optimiser against torch's own, or its recurrence, over 200 steps; in graphs and in machine code."""

import math
import pickle

import pytest
from chainrule import Var, nn
from trained_models import NUMBERS, ROWS, model_of

STEPS = 200
START = [1.5, -0.7, 0.3]


def bowl(step, a, b, c):
    """A function whose slopes depend on all parameters; it sways, so that no path ends where slopes are rounding."""
    still = a**4 / 4 + (a - b) ** 2 + b**2 * c**2 / 2 + (c - 1) ** 2 + 0.3 * a * c
    return still + 2.0 * math.sin(1.7 * step) * (a - b) + math.cos(step) * c


@pytest.fixture
def in_double():
    """Let torch keep what it remembers in double precision: NAdam's product of shares is 1e-10 off in single."""
    torch = pytest.importorskip("torch")
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(usual)


def our_path(make):
    parameters = [Var(value) for value in START]
    optimiser = make(parameters)
    path = []
    for step in range(STEPS):
        optimiser.zero_grad()
        bowl(step, *parameters).backward()
        optimiser.step()
        path.append([parameter.value for parameter in parameters])
    return path


def their_path(make):
    torch = pytest.importorskip("torch")
    parameters = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in START]
    optimiser = make(torch.optim, parameters)
    path = []
    for step in range(STEPS):
        optimiser.zero_grad()
        bowl(step, *parameters).backward()
        optimiser.step()
        path.append([parameter.item() for parameter in parameters])
    return path


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("SGD", {"lr": 0.02, "momentum": 0.9, "dampening": 0.3}),
        ("SGD", {"lr": 0.02, "momentum": 0.8, "dampening": 0.5, "weight_decay": 0.1}),
        ("SGD", {"lr": 0.02, "dampening": 0.5}),
        ("SGD", {"lr": 0.02, "momentum": 0.9, "nesterov": True}),
        ("Adagrad", {"lr": 0.1}),
        ("RMSProp", {"lr": 0.005, "momentum": 0.9}),
        ("RMSProp", {"lr": 0.005, "centered": True}),
        ("RMSProp", {"lr": 0.005, "centered": True, "momentum": 0.5, "alpha": 0.9, "weight_decay": 0.1, "eps": 0.1}),
        ("Adam", {"lr": 0.05}),
        ("Adam", {"lr": 0.05, "amsgrad": True}),
        ("Adam", {"lr": 0.05, "amsgrad": True, "betas": (0.8, 0.9), "weight_decay": 0.1}),
        ("AdamW", {"lr": 0.05, "amsgrad": True, "weight_decay": 0.1}),
        ("NAdam", {"lr": 0.02}),
        ("NAdam", {"lr": 0.02, "betas": (0.8, 0.9), "momentum_decay": 0.01, "weight_decay": 0.1, "eps": 1e-6}),
        ("RAdam", {"lr": 0.02}),
        ("RAdam", {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.1, "eps": 1e-6}),
        ("RAdam", {"lr": 0.02, "betas": (0.5, 0.3)}),
        ("Adamax", {"lr": 0.02}),
        ("Adamax", {"lr": 0.02, "betas": (0.8, 0.9), "weight_decay": 0.1, "eps": 1e-6}),
        ("Adadelta", {}),
        ("Adadelta", {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.1}),
        ("Rprop", {"lr": 0.01}),
        ("Rprop", {"lr": 0.01, "etas": (0.3, 1.1), "step_sizes": (1e-3, 0.2)}),
    ],
)
def test_paths_are_those_of_torch(name, options, in_double):
    theirs = their_path(lambda optim, p: getattr(optim, "RMSprop" if name == "RMSProp" else name)(p, **options))
    for ours, wanted in zip(our_path(lambda p: getattr(nn, name)(p, **options)), theirs, strict=True):
        assert ours == pytest.approx(wanted, rel=1e-12)


def test_groups_are_those_of_torch():
    torch = pytest.importorskip("torch")
    parameters = [torch.tensor(value, dtype=torch.float64, requires_grad=True) for value in START]
    both = torch.optim.SGD(parameters[:1], lr=0.02, momentum=0.9), torch.optim.Adam(parameters[1:], lr=0.05)
    ours = our_path(lambda p: nn.Together(nn.SGD(p[:1], lr=0.02, momentum=0.9), nn.Adam(p[1:], lr=0.05)))
    for step, found in enumerate(ours):
        for parameter in parameters:
            parameter.grad = None
        bowl(step, *parameters).backward()
        for optimiser in both:
            optimiser.step()
        assert found == pytest.approx([parameter.item() for parameter in parameters], rel=1e-12)


@pytest.mark.parametrize("decay", [0.0, 0.1])
def test_lion_follows_its_recurrence(decay):
    x, mean, value = Var(1.5), 0.0, 1.5
    optimiser = nn.Lion([x], lr=0.01, betas=(0.8, 0.95), weight_decay=decay)
    for _ in range(STEPS):
        slope = value**3 - 1.0
        mix = 0.8 * mean + 0.2 * slope
        value -= 0.01 * (math.copysign(1.0, mix) if mix else 0.0) + 0.01 * decay * value
        mean = 0.95 * mean + 0.05 * slope
        optimiser.zero_grad()
        (x**4 / 4 - x).backward()
        optimiser.step()
        assert x.value == pytest.approx(value, rel=1e-12)


KINDS = {
    "dampening": lambda p: nn.SGD(p, lr=0.02, momentum=0.9, dampening=0.3),
    "momentum": lambda p: nn.RMSProp(p, momentum=0.9),
    "centered": lambda p: nn.RMSProp(p, centered=True, momentum=0.5),
    "amsgrad": lambda p: nn.Adam(p, lr=0.05, amsgrad=True),
    "NAdam": lambda p: nn.NAdam(p, lr=0.05),
    "RAdam": lambda p: nn.RAdam(p, lr=0.05),
    "Adamax": lambda p: nn.Adamax(p, lr=0.05),
    "Adadelta": nn.Adadelta,
    "Rprop": lambda p: nn.Rprop(p, lr=0.01),
    "Lion": lambda p: nn.Lion(p, lr=0.01, weight_decay=0.1),
    "Together": lambda p: nn.Together(nn.SGD(p[:5], lr=0.1, momentum=0.5), nn.NAdam(p[5:], lr=0.02)),
    "Together of three": lambda p: nn.Together(nn.Adam(p[9:]), nn.Rprop(p[:4]), nn.SGD(p[4:9])),
}


@pytest.mark.parametrize("kind", KINDS)
def test_machine_code_takes_the_same_steps(kind):
    models, optimisers = [model_of(), model_of()], []
    for model, compiled in zip(models, (False, True), strict=True):
        optimisers.append(KINDS[kind](model.parameters()))
        history = nn.fit(
            model, ROWS, NUMBERS, optimiser=optimisers[-1], batch_size=6, epochs=8, seed=1, compiled=compiled
        )
        assert history.compiled is compiled
    assert models[1].state_dict() == pytest.approx(models[0].state_dict(), rel=1e-9)
    assert optimisers[0].steps == optimisers[1].steps == 32
    for graph, machine in zip(*[optimiser.memories for optimiser in optimisers], strict=True):
        assert machine == pytest.approx(graph, rel=1e-8, abs=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_optimisers_go_on_after_a_pickle(kind):
    paths = []
    for interrupted in (False, True):
        optimiser = KINDS[kind]([Var(0.1 * k - 0.6) for k in range(12)])
        for step in range(10):
            if interrupted and step == 4:
                optimiser = pickle.loads(pickle.dumps(optimiser))
            for k, parameter in enumerate(optimiser.parameters):
                parameter.grad = parameter.value**3 - 0.1 * k
            optimiser.step()
        paths.append([parameter.value for parameter in optimiser.parameters])
    assert paths[0] == paths[1]


def test_the_rate_of_a_group_is_that_of_its_first():
    first, second = nn.SGD([Var(1.0)], lr=0.1), nn.Adam([Var(1.0)], lr=0.01)
    optimiser = nn.Together(first, second)
    assert optimiser.lr == 0.1
    optimiser.lr = 0.05
    assert (first.lr, second.lr) == (0.05, pytest.approx(0.005))
    optimiser.lr = 0.0
    assert (first.lr, second.lr) == (0.0, 0.0)
    with pytest.raises(ValueError, match=r"Together expected 0, as the first has, but got lr=0.1"):
        optimiser.lr = 0.1


def test_groups_keep_their_schedules():
    x, y = Var(0.0), Var(0.0)
    optimiser = nn.Together(nn.SGD([x], lr=nn.linear_schedule(1.0, 0.0, 2)), nn.SGD([y], lr=1.0))
    for _ in range(3):
        x.grad = y.grad = -1.0
        optimiser.step()
    assert (x.value, y.value, optimiser.steps) == (1.5, 3.0, 3)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x: nn.Together(), ValueError, "Together expected at least one parameter but got none"),
        (
            lambda x: nn.Together(nn.SGD),
            TypeError,
            r"Together expected optimisers, such as .* but got optimisers\[0\]=",
        ),
        (lambda x: nn.Together(nn.SGD([x]), nn.Adam([x])), ValueError, "each parameter once but got one twice"),
        (lambda x: nn.SGD([x], momentum=0.9, nesterov=True, dampening=0.1), ValueError, "no dampening with nesterov"),
        (lambda x: nn.SGD([x], dampening=1.0), ValueError, "from 0 to below 1 but got dampening=1.0"),
        (lambda x: nn.Rprop([x], etas=(0.5, 0.9)), ValueError, r"Rprop expected etas\[1\] of at least 1"),
        (lambda x: nn.Rprop([x], step_sizes=(1.0, 0.5)), ValueError, r"step_sizes=\(1.0, 0.5\)"),
        (lambda x: nn.NAdam([x], betas=0.9), TypeError, "NAdam expected a pair of numbers but got betas=0.9"),
        (lambda x: nn.Lion([x], betas=(1.0, 0.9)), ValueError, r"Lion expected .* but got betas\[0\]=1.0"),
        (lambda x: nn.Adadelta([x], eps=0.0), ValueError, "Adadelta expected a finite number above 0 but got eps=0.0"),
    ],
)
def test_wrong_options(make, error, message):
    with pytest.raises(error, match=message):
        make(Var(1.0))
