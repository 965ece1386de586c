"""Optimisers: the recurrence written out, torch's, and errors that say what to do."""

import importlib
import math
import pickle
import random
import re

import pytest
from chainrule import Var, nn
from trained_models import NUMBERS, ROWS, model_of


def descend(optimiser, x, steps):
    """Minimise x**4 / 4, whose slope is x**3, and return where x was."""
    path = []
    for _ in range(steps):
        optimiser.zero_grad()
        (x**4 / 4).backward()
        optimiser.step()
        path.append(x.value)
    return path


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("nesterov", [False, True])
def test_sgd_follows_the_recurrence(momentum, weight_decay, nesterov):
    if nesterov and not momentum:
        momentum = 0.5
    x = Var(1.5)
    path = descend(nn.SGD([x], 0.05, momentum, nesterov, weight_decay), x, 20)
    expected, value, velocity = [], 1.5, 0.0
    for _ in range(20):
        slope = value**3 + weight_decay * value
        velocity = momentum * velocity + slope
        value -= 0.05 * (slope + momentum * velocity if nesterov else velocity)
        expected.append(value)
    assert path == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize(
    "options",
    [{}, {"momentum": 0.9}, {"momentum": 0.9, "nesterov": True}, {"momentum": 0.5, "weight_decay": 0.1}],
    ids=str,
)
def test_sgd_agrees_with_torch(options):
    torch = pytest.importorskip("torch")
    x, theirs = Var(1.5), torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    path = descend(nn.SGD([x], lr=0.05, **options), x, 20)
    optimiser = torch.optim.SGD([theirs], lr=0.05, **options)
    for _ in range(20):
        optimiser.zero_grad()
        (theirs**4 / 4).backward()
        optimiser.step()
    assert path[-1] == pytest.approx(theirs.item(), rel=1e-13)


def test_each_parameter_has_its_own_velocity():
    a, b = Var(1.0), Var(1.0)
    optimiser = nn.SGD([a, b], lr=0.1, momentum=0.5)
    a.grad, b.grad = 1.0, 0.0
    optimiser.step()
    optimiser.zero_grad()
    optimiser.step()
    assert (a.value, b.value) == (pytest.approx(0.85), 1.0)


def test_the_learning_rate_can_be_assigned():
    x = Var(1.0)
    optimiser = nn.SGD([x], lr=1.0)
    optimiser.lr = 0.25
    x.grad = 1.0
    optimiser.step()
    assert x.value == 0.75
    with pytest.raises(ValueError, match=r"SGD expected a finite number, 0 or above, but got lr=-1\.0"):
        optimiser.lr = -1.0


def test_parameters_may_come_from_a_generator():
    model = nn.Neuron(2)
    optimiser = nn.SGD((p for p in model.parameters()), lr=0.1)
    assert len(optimiser.parameters) == 3


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x: nn.SGD([x], lr=-0.1), ValueError, r"SGD expected a finite number, 0 or above, but got lr=-0.1"),
        (lambda x: nn.SGD([x], lr=math.inf), ValueError, "lr=inf"),
        (lambda x: nn.SGD([x], lr=math.nan), ValueError, "lr=nan"),
        (lambda x: nn.SGD([x], lr="0.1"), TypeError, r"SGD expected a float or Var but got lr='0.1' \(str\)"),
        (lambda x: nn.SGD([x], momentum=1.0), ValueError, "a number from 0 to below 1 but got momentum=1.0"),
        (lambda x: nn.SGD([x], weight_decay=-1), ValueError, "weight_decay=-1"),
        (lambda x: nn.SGD([x], nesterov=True), ValueError, "momentum above 0 for nesterov=True"),
        (lambda x: nn.SGD([]), ValueError, "at least one parameter but got none"),
        (lambda x: nn.SGD(x), TypeError, "the list that model.parameters"),
        (lambda x: nn.SGD([1.0]), TypeError, r"SGD expected Vars but got parameters\[0\]=1.0 \(float\)"),
        (lambda x: nn.SGD([x * 2]), ValueError, "leaf Vars that require gradients"),
        (lambda x: nn.SGD([x.detach()]), ValueError, "leaf Vars that require gradients"),
        (lambda x: nn.SGD([x, x]), ValueError, "each parameter once but got one twice"),
        (lambda x: nn.Optimiser([x], 0.1).step(), NotImplementedError, "Optimiser expected an update method"),
    ],
)
def test_wrong_optimisers(make, error, message):
    with pytest.raises(error, match=message):
        make(Var(1.0))


@pytest.mark.parametrize(
    ("ours", "theirs", "options"),
    [
        (nn.RMSProp, "RMSprop", {}),
        (nn.RMSProp, "RMSprop", {"alpha": 0.9, "eps": 1e-6, "weight_decay": 0.1}),
        (nn.Adagrad, "Adagrad", {}),
        (nn.Adagrad, "Adagrad", {"eps": 1e-6, "weight_decay": 0.1}),
        (nn.Adam, "Adam", {}),
        (nn.Adam, "Adam", {"betas": (0.8, 0.95), "eps": 1e-6, "weight_decay": 0.1}),
        (nn.AdamW, "AdamW", {}),
        (nn.AdamW, "AdamW", {"betas": (0.8, 0.95), "weight_decay": 0.3}),
    ],
)
def test_adaptive_optimisers_agree_with_torch(ours, theirs, options):
    torch = pytest.importorskip("torch")
    x, their_x = Var(1.5), torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    path = descend(ours([x], lr=0.05, **options), x, 30)
    optimiser = getattr(torch.optim, theirs)([their_x], lr=0.05, **options)
    for place in path:
        optimiser.zero_grad()
        (their_x**4 / 4).backward()
        optimiser.step()
        assert place == pytest.approx(their_x.item(), rel=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: nn.Adam([x], betas=(0.9, 1.0)), r"Adam expected a number from 0 to below 1 but got betas\[1\]=1.0"),
        (lambda x: nn.AdamW([x], betas=0.9), "AdamW expected a pair of numbers but got betas=0.9"),
        (lambda x: nn.RMSProp([x], alpha=-0.1), "RMSProp expected a number from 0 to below 1 but got alpha=-0.1"),
        (lambda x: nn.Adagrad([x], eps=-1.0), "Adagrad expected a finite number above 0 but got eps=-1.0"),
        # A gradient of 0 would be divided by 0.
        (lambda x: nn.Adagrad([x], eps=0.0), "Adagrad expected a finite number above 0 but got eps=0.0"),
        (lambda x: nn.RMSProp([x], eps=0), "RMSProp expected a finite number above 0 but got eps=0"),
        (lambda x: nn.Adam([x], eps=0.0), "Adam expected a finite number above 0 but got eps=0.0"),
        (lambda x: nn.AdamW([x], eps=0.0), "AdamW expected a finite number above 0 but got eps=0.0"),
    ],
)
def test_numbers_out_of_range_are_named(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make(Var(1.0))


@pytest.mark.parametrize(
    "schedule",
    [
        nn.linear_schedule(1, 0, 3),
        nn.cosine_schedule(1.0, 0.5, 3),
        nn.exponential_schedule(1.0, 0.5, 3),
        nn.step_schedule(1.0, {3: 0.1, 2: 0.5}),
        nn.warm_up(1.0, 3),
        nn.warm_up(nn.linear_schedule(1.0, 0.0, 3), 2),
    ],
    ids=repr,
)
def test_optimisers_are_pickled_with_their_schedules(schedule):
    optimiser = pickle.loads(pickle.dumps(nn.Adam([Var(1.0)], lr=schedule)))
    rates = []
    for _ in range(6):
        rates.append(optimiser.lr)
        optimiser.step()
    assert rates == [schedule(step) for step in range(6)]


def test_a_rate_beyond_doubles_is_infinite():
    assert nn.exponential_schedule(1, 2)(5000) == math.inf
    assert nn.exponential_schedule(0, 2)(5000) == 0.0
    optimiser = nn.SGD([Var(1.0)], lr=nn.exponential_schedule(1, 2))
    optimiser.steps = 5000
    with pytest.raises(ValueError, match=r"finite number, 0 or above, but got lr\(5000\)=inf"):
        optimiser.step()


@pytest.mark.parametrize("betas", [(0.9, 0.999), (0.0, 0.0), (0.5, 0.999999)])
def test_adam_is_exact_over_many_steps(betas):
    mpmath = pytest.importorskip("mpmath")
    source = random.Random(4)
    x = Var(1.5)
    optimiser = nn.Adam([x], lr=1e-4, betas=betas)
    with mpmath.workdps(50):
        value, first, second = mpmath.mpf(1.5), mpmath.mpf(0), mpmath.mpf(0)
        b1, b2, rate, eps = map(mpmath.mpf, (*betas, 1e-4, 1e-8))
        for step in range(1, 1001):
            x.grad = source.uniform(0.5, 2.0)
            optimiser.step()
            first = b1 * first + (1 - b1) * x.grad
            second = b2 * second + (1 - b2) * mpmath.mpf(x.grad) ** 2
            value -= rate * (first / (1 - b1**step)) / (mpmath.sqrt(second / (1 - b2**step)) + eps)
            assert abs(x.value - value) <= 1e-14 * abs(value)
            # The corrections too, whose error the small rate would hide.
            for found, share in zip(optimiser_corrections(optimiser, step), (b1, b2), strict=True):
                assert abs(found - (1 - share**step)) <= 1e-15 * (1 - share**step)
    assert len(optimiser.memories[0]) == 2


def optimiser_corrections(optimiser, step):
    """Return what Adam divided its means by in this step."""
    optimiser.steps, now = step - 1, optimiser.steps
    corrections = optimiser.scalars()[-2:]
    optimiser.steps = now
    return corrections


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (lambda p: nn.SGD(p, 0.05, momentum=0.9), {"lr": 0.01, "momentum": 0.5, "weight_decay": 0.2}),
        (nn.RMSProp, {"alpha": 0.5, "eps": 1e-3, "weight_decay": 0.2}),
        (nn.Adagrad, {"eps": 0.1, "weight_decay": 0.2}),
        (nn.Adam, {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.2}),
        (nn.AdamW, {"betas": (0.5, 0.9), "lr": 0.01, "weight_decay": 0.2}),
    ],
)
def test_what_is_assigned_between_epochs_counts_in_machine_code(make, changes):
    models, unchanged = [model_of(), model_of()], model_of()
    for model, compiled in zip(models, (False, True), strict=True):
        optimiser = make(model.parameters())

        def change(history, optimiser=optimiser):
            if len(history.loss) == 2:
                for name, value in changes.items():
                    setattr(optimiser, name, value)

        nn.fit(model, ROWS, NUMBERS, optimiser=optimiser, epochs=5, seed=1, compiled=compiled, after_epoch=change)
    assert models[1].state_dict() == pytest.approx(models[0].state_dict(), rel=1e-9)
    nn.fit(unchanged, ROWS, NUMBERS, optimiser=make(unchanged.parameters()), epochs=5, seed=1)
    assert models[0].state_dict() != pytest.approx(unchanged.state_dict(), rel=1e-5)


def test_own_scalars_reach_machine_code():
    class Fading(nn.Optimiser):
        def scalars(self):
            return self.lr, 1.0 / (1 + self.steps)

        def update(self, value, grad, memory, lr, share):
            return value - lr * share * grad, memory

    models = [model_of(), model_of()]
    for model, compiled in zip(models, (False, True), strict=True):
        history = nn.fit(
            model, ROWS, NUMBERS, optimiser=Fading(model.parameters(), 0.1), batch_size=6, epochs=3, seed=1,
            compiled=compiled,
        )  # fmt: skip
        assert history.compiled is compiled
    assert models[1].state_dict() == pytest.approx(models[0].state_dict(), rel=1e-12)


def test_every_optimiser_of_parameters_is_known_by_its_name_and_no_other():
    pytest.importorskip("sklearn")
    importlib.import_module("chainrule.nn.estimators")  # has optimisers of its own, which are none of fit's
    kinds = [kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Optimiser)]
    names = sorted({kind.__name__.lower() for kind in kinds} - {"optimiser", "together", "fullbatch"})
    known = f"fit expected one of {', '.join(names)} but got optimiser='x'"
    with pytest.raises(ValueError, match=re.escape(known)):
        nn.fit(nn.Neuron(1), [[1.0]], [1.0], optimiser="x")
    for name in names:
        assert nn.fit(nn.Neuron(1, seed=1), [[1.0]], [1.0], optimiser=name, epochs=1).loss
