"""Schedules of one cycle, of powers, of restarts and of plateaus: torch's rates, and what `fit` makes of them."""

import pickle

import pytest
from chainrule import Var, nn
from trained_models import NUMBERS, ROWS, model_of


def rates_of_torch(make, rate, count):
    """Return the rates of a scheduler of torch."""
    torch = pytest.importorskip("torch")
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)
    scheduler = make(torch.optim.lr_scheduler, optimiser)
    found = []
    for _ in range(count):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("power", [1.0, 2.0, 0.5])
def test_polynomial(power):
    wanted = rates_of_torch(lambda s, o: s.PolynomialLR(o, total_iters=20, power=power), 0.3, 25)
    rate = nn.polynomial_schedule(0.3, 0.0, 20, power)
    assert [rate(step) for step in range(25)] == pytest.approx(wanted, rel=1e-12, abs=1e-15)


def test_one_cycle():
    # torch counts the first step with the others, and puts its top one before the share of them.
    wanted = rates_of_torch(
        lambda s, o: s.OneCycleLR(o, max_lr=0.5, total_steps=41, pct_start=13 / 41, cycle_momentum=False), 0.5, 40
    )
    rate = nn.one_cycle_schedule(0.5, 40, rise=0.3)
    assert [rate(step) for step in range(40)] == pytest.approx(wanted, rel=1e-12)
    assert rate(40) == rate(1000) == 0.5 / 25 / 1e4
    other = nn.one_cycle_schedule(0.5, 10, first=0.1, last=0.2)
    assert (other(0), other(3), other(10)) == (pytest.approx(0.1), 0.5, 0.2)


@pytest.mark.parametrize("factor", [1, 2, 3])
def test_restarts(factor):
    wanted = rates_of_torch(lambda s, o: s.CosineAnnealingWarmRestarts(o, 3, factor, eta_min=0.01), 0.3, 45)
    rate = nn.restart_schedule(0.3, 0.01, 3, factor)
    assert [rate(step) for step in range(45)] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("patience", [1, 3])
def test_plateau(patience):
    torch = pytest.importorskip("torch")
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    # torch reduces after more than `patience` epochs, and looks for relative descents unless told.
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=0.5, patience=patience - 1, threshold=0.1, threshold_mode="abs", min_lr=0.1
    )
    rate = nn.plateau_schedule(1.0, patience, 0.5, least=0.1, tolerance=0.1)
    for loss in [3.0, 2.0, 1.95, 1.95, 1.93, 2.2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2]:
        rate.measure(loss)
        theirs.step(loss)
        assert rate(0) == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-15)


@pytest.mark.parametrize("compiled", [False, True])
def test_fit_tells_a_plateau_its_losses(compiled):
    model = model_of()
    rate = nn.plateau_schedule(1.5, patience=2, factor=0.1)
    history = nn.fit(model, ROWS, NUMBERS, optimiser=nn.SGD, lr=rate, epochs=20, seed=1, compiled=compiled)
    again, expected = nn.plateau_schedule(1.5, patience=2, factor=0.1), []
    for loss in history.loss:
        expected.append(again(0))
        again.measure(loss)
    assert history.learning_rate == expected
    assert history.learning_rate[-1] < 1.5


def test_a_plateau_goes_on_from_a_checkpoint(tmp_path):
    def options():
        rates = [nn.plateau_schedule(rate, patience=2, factor=0.1) for rate in (1.5, 1.0)]
        layers = models[-1].layers
        optimiser = nn.Together(*[nn.SGD(part.parameters(), rate) for part, rate in zip(layers, rates, strict=True)])
        return {"optimiser": optimiser, "seed": 1, "validation": 0.2}

    models = [model_of()]
    wanted = nn.fit(models[-1], ROWS, NUMBERS, epochs=20, **options())
    models.append(model_of())
    nn.fit(models[-1], ROWS, NUMBERS, epochs=8, checkpoint=tmp_path / "run", **options())
    models.append(model_of())
    found = nn.fit(models[-1], ROWS, NUMBERS, epochs=20, resume_from=tmp_path / "run", **options())
    assert found.learning_rate == wanted.learning_rate
    assert len(set(found.learning_rate)) > 1
    assert models[-1].state_dict() == models[0].state_dict()


@pytest.mark.parametrize(
    "schedule",
    [
        nn.polynomial_schedule(1.0, 0.1, 4),
        nn.one_cycle_schedule(1.0, 4),
        nn.restart_schedule(1.0, 0.1, 2, 2),
        nn.plateau_schedule(1.0),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_optimisers_are_pickled_with_them(schedule):
    optimiser = pickle.loads(pickle.dumps(nn.Adam([Var(1.0)], lr=schedule)))
    for step in range(6):
        assert optimiser.lr == schedule(step)
        optimiser.step()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.one_cycle_schedule(1.0, 10, rise=1.0), "one_cycle_schedule expected .* but got rise=1.0"),
        (lambda: nn.polynomial_schedule(1.0, 0.0, 10, power=0.0), "polynomial_schedule expected .* but got power=0.0"),
        (lambda: nn.restart_schedule(1.0, 0.0, 10, factor=0), "restart_schedule expected .* but got factor=0"),
        (lambda: nn.plateau_schedule(1.0, patience=0), "plateau_schedule expected .* but got patience=0"),
        (lambda: nn.plateau_schedule(1.0, factor=1.0), "plateau_schedule expected .* but got factor=1.0"),
    ],
)
def test_wrong_numbers_are_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()
