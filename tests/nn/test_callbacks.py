"""Callbacks: what they see, change and end, in graphs and in machine code."""

import csv
import math
import os
import signal
import statistics
import threading

import chainrule as cr
import pytest
from chainrule import nn
from trained_models import NUMBERS, ROWS, model_of

BOTH = pytest.mark.parametrize("compiled", [False, True])


class Noting(nn.Callback):
    """Note every call."""

    def __init__(self):
        self.calls = []

    def on_start(self, training):
        self.calls.append(("start", training.epoch, training.step))

    def on_batch(self, training):
        self.calls.append(("batch", training.epoch, training.step))

    def on_epoch(self, training):
        self.calls.append(("epoch", training.epoch, training.step))

    def on_end(self, training):
        self.calls.append(("end", training.epoch, training.step, training.history.stopped))


@BOTH
def test_callbacks_hear_of_every_step_and_epoch(compiled):
    noting, model, plain = Noting(), model_of(), model_of()
    options = {"epochs": 2, "batch_size": 10, "seed": 0, "compiled": compiled}
    history = nn.fit(model, ROWS, NUMBERS, callbacks=[noting], **options)
    assert noting.calls == [
        ("start", 0, 0), ("batch", 0, 1), ("batch", 0, 2), ("epoch", 1, 2), ("batch", 1, 3), ("batch", 1, 4),
        ("epoch", 2, 4), ("end", 2, 4, "epochs"),
    ]  # fmt: skip
    # Listening changes nothing.
    assert history.batch_loss == pytest.approx(nn.fit(plain, ROWS, NUMBERS, **options).batch_loss, rel=1e-12)
    assert model.state_dict() == pytest.approx(plain.state_dict(), rel=1e-12)


@BOTH
@pytest.mark.parametrize("true", [True, 1, "enough"])
@pytest.mark.parametrize(("moment", "steps", "epochs"), [("on_start", 0, 0), ("on_batch", 3, 2), ("on_epoch", 2, 1)])
def test_whatever_is_true_ends_the_training(compiled, true, moment, steps, epochs):
    class Ending(nn.Callback):
        pass

    setattr(Ending, moment, lambda self, training: training.step >= steps and true)
    history = nn.fit(
        model_of(), ROWS, NUMBERS, epochs=9, batch_size=10, callbacks=[Ending()], seed=0, compiled=compiled
    )
    assert len(history.batch_loss) == steps
    assert len(history.loss) == len(history.learning_rate) == len(history.seconds) == epochs
    assert history.stopped == "callback"
    if moment == "on_batch":  # an epoch that ended early has the mean of its steps
        assert history.loss[-1] == history.batch_loss[-1]


@BOTH
def test_what_a_callback_assigns_counts(compiled):
    class Changing(nn.Callback):
        def on_batch(self, training):
            if training.step == 3:
                training.optimiser.lr = 0.001
                training.optimiser.momentum = 0.5
            for parameter in training.model.parameters():
                parameter.value *= 0.99

    model, by_hand = model_of(), model_of()
    options = {"optimiser": nn.SGD(model.parameters(), lr=0.1), "epochs": 5, "batch_size": None, "compiled": compiled}
    nn.fit(model, ROWS, NUMBERS, callbacks=Changing(), **options)
    optimiser = nn.SGD(by_hand.parameters(), lr=0.1)
    for step in range(1, 6):
        optimiser.zero_grad()
        nn.mse([by_hand(row) for row in ROWS], NUMBERS).backward()
        optimiser.step()
        if step == 3:
            optimiser.lr, optimiser.momentum = 0.001, 0.5
        for parameter in by_hand.parameters():
            parameter.value *= 0.99
    assert model.state_dict() == pytest.approx(by_hand.state_dict(), rel=1e-9)


@BOTH
def test_max_norm_holds_after_every_step(compiled):
    norms = []

    class Looking(nn.Callback):
        def on_batch(self, training):
            neurons = [neuron for layer in training.model.layers for neuron in layer.neurons]
            norms.append(max(math.hypot(*[w.value for w in neuron.weights]) for neuron in neurons))

    model = model_of()
    options = {"lr": 0.5, "epochs": 4, "batch_size": 5, "seed": 0, "compiled": compiled}
    nn.fit(model, ROWS, NUMBERS, callbacks=[nn.MaxNorm(0.7), Looking()], **options)
    assert max(norms) == pytest.approx(0.7, rel=1e-12)
    with pytest.raises(ValueError, match="MaxNorm expected a model with neurons"):
        nn.fit(nn.Sequential(Scale()), [1.0], [2.0], callbacks=nn.MaxNorm(1.0))


class Scale(nn.Module):
    def __init__(self):
        self.scale = cr.Var(1.0)

    def __call__(self, x):
        return self.scale * (x[0] if isinstance(x, list) else x)


@BOTH
@pytest.mark.parametrize("decay", [None, 0.9])
def test_the_average_of_epochs(compiled, decay):
    model = model_of()
    options = {"epochs": 6, "batch_size": 5, "seed": 0, "record": True, "compiled": compiled}
    history = nn.fit(model, ROWS, NUMBERS, callbacks=nn.Average(start=2, decay=decay), **options)
    states = history.parameters[3:]
    for name, value in model.state_dict().items():
        wanted = statistics.fmean(state[name] for state in states)
        if decay is not None:
            wanted = states[0][name]
            for state in states[1:]:
                wanted = decay * wanted + (1 - decay) * state[name]
        assert value == pytest.approx(wanted, rel=1e-12)


def test_the_rate_is_reduced_on_a_plateau_of_held_out_loss():
    rates = nn.ReduceOnPlateau(patience=2, factor=0.1, least=0.02)
    model = nn.Neuron(1, activation=None, seed=0)
    options = {"optimiser": "sgd", "lr": 1.0, "epochs": 8, "batch_size": None, "validation": ([1.0], [0.5])}
    history = nn.fit(model, [1.0], [0.0], callbacks=[rates], **options)
    best, since, rate = math.inf, 0, 1.0
    for loss, used in zip(history.validation_loss, history.learning_rate, strict=True):
        assert used == pytest.approx(rate)
        best, since = (loss, 0) if loss < best else (best, since + 1)
        if since == 2:
            since, rate = 0, max(0.02, 0.1 * rate)
    assert history.learning_rate[-1] < 0.5


def test_a_plateau_raises_no_rate_to_the_least():
    rates = nn.ReduceOnPlateau(patience=1, least=0.5)
    history = nn.fit(nn.Neuron(1, None, seed=0), [1.0], [0.0], optimiser="sgd", lr=0.0, epochs=4, callbacks=rates)
    assert history.learning_rate == [0.0] * 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nn.ReduceOnPlateau(factor=1.0), "factor=1.0"),
        (lambda: nn.ReduceOnPlateau(patience=0), "patience=0"),
        (lambda: nn.MaxNorm(0.0), "limit=0.0"),
        (lambda: nn.Average(decay=1.0), "decay=1.0"),
        (lambda: nn.Checkpoint("run", every=0), "every=0"),
        (lambda: nn.Checkpoint(3), "path=3"),
        (lambda: nn.CSVLog(3), "path=3"),
    ],
)
def test_wrong_options_are_named(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()


def table(path):
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_log_is_written_as_the_training_goes(tmp_path):
    path, lengths = tmp_path / "log.csv", []
    options = {"metrics": "mae", "validation": 0.2, "seed": 0, "batch_size": 4}

    def look(history):
        lengths.append(len(path.read_text().splitlines()))

    history = nn.fit(
        model_of(), ROWS, NUMBERS, epochs=3, callbacks=nn.CSVLog(path), after_epoch=look,
        checkpoint=tmp_path / "run", **options,
    )  # fmt: skip
    assert lengths == [2, 3, 4]
    rows = table(path)
    assert list(rows[0]) == ["epoch", "loss", "validation_loss", "mae", "learning_rate", "seconds"]
    assert [float(row["loss"]) for row in rows] == history.loss
    assert [float(row["validation_loss"]) for row in rows] == history.validation_loss
    history.to_csv(tmp_path / "same.csv")
    assert (tmp_path / "same.csv").read_bytes() == path.read_bytes()
    # One that is resumed has all epochs, wherever it is written.
    again = nn.fit(
        model_of(), ROWS, NUMBERS, epochs=5, callbacks=nn.CSVLog(tmp_path / "rest.csv"),
        resume_from=tmp_path / "run", **options,
    )  # fmt: skip
    rows = table(tmp_path / "rest.csv")
    assert [float(row["loss"]) for row in rows] == again.loss
    assert [row["epoch"] for row in rows] == ["1", "2", "3", "4", "5"]


def test_errors_of_callbacks_pass_and_leave_the_steps():
    class Failing(nn.Callback):
        def on_epoch(self, training):
            raise LookupError("own")

    for compiled in (False, True):
        model, plain = model_of(), model_of()
        with pytest.raises(LookupError, match="own"):
            nn.fit(model, ROWS, NUMBERS, callbacks=Failing(), seed=0, compiled=compiled)
        nn.fit(plain, ROWS, NUMBERS, epochs=1, seed=0, compiled=compiled)
        assert model.state_dict() == plain.state_dict()


@BOTH
def test_ctrl_c_returns_the_history_and_takes_no_step_by_half(compiled):
    pressed = []

    class Press(nn.Optimiser):
        """Ask for an interrupt in the middle of an update."""

        def scalars(self):
            if self.steps == 9 and not pressed:
                pressed.append(True)
                signal.raise_signal(signal.SIGINT)
            return (self.lr,)

        def update(self, value, grad, memory, lr):
            return value - lr * grad, memory

    assert threading.current_thread() is threading.main_thread()
    model, plain = model_of(), model_of()
    options = {"batch_size": 5, "seed": 1, "compiled": compiled}
    handler = signal.getsignal(signal.SIGINT)
    optimiser = Press(model.parameters(), 0.05)
    history = nn.fit(model, ROWS, NUMBERS, optimiser=optimiser, epochs=50, **options)
    assert signal.getsignal(signal.SIGINT) is handler
    assert history.stopped == "interrupt"
    steps = len(history.batch_loss)
    assert 10 <= steps == optimiser.steps < 20
    # As many steps by another training, all of them whole.
    nn.fit(plain, ROWS, NUMBERS, optimiser="sgd", lr=0.05, epochs=50, callbacks=Until(steps), **options)
    assert model.state_dict() == pytest.approx(plain.state_dict(), rel=1e-9)
    assert len({len(history.loss), len(history.learning_rate), len(history.seconds)}) == 1


class Until(nn.Callback):
    def __init__(self, steps):
        self.steps = steps

    def on_batch(self, training):
        return training.step >= self.steps


@BOTH
def test_an_interrupt_with_patience_takes_the_best_epoch(compiled):
    class Pressing(nn.Callback):
        def on_epoch(self, training):
            if training.epoch == 6:
                raise KeyboardInterrupt

    model = nn.Neuron(1, activation=None, seed=0)
    rates = nn.step_schedule(0.1, {3: 3.0})  # from then on the loss grows
    options = {"optimiser": nn.SGD, "lr": rates, "epochs": 99, "record": True, "compiled": compiled}
    history = nn.fit(model, [0.0, 1.0], [1.0, 3.0], callbacks=Pressing(), patience=30, **options)
    assert history.stopped == "interrupt" and len(history.loss) == 6
    assert model.state_dict() == pytest.approx(history.parameters[history.best_epoch])


@BOTH
@pytest.mark.parametrize("patience", [None, 50])
def test_a_loss_that_becomes_nan_late_leaves_the_best_parameters(compiled, patience):
    model = nn.Neuron(1, activation=None, seed=0)
    rates = nn.step_schedule(1e-6, {3: 1e30})
    options = {"optimiser": nn.SGD, "lr": rates, "epochs": 99, "batch_size": None, "compiled": compiled}
    ended = Noting()
    X, y = [0.0, 1000.0], [1000.0, 3000.0]
    with (
        pytest.warns(RuntimeWarning, match="the loss grew from .* lower the learning rate or scale the data"),
        pytest.raises(
            cr.NonFiniteError, match=r"in epoch \d+, batch 1; .* scale the data \(X reaches 1e\+03, y reaches 3e\+03\)"
        ) as caught,
    ):
        nn.fit(model, X, y, patience=patience, callbacks=ended, record=True, **options)
    history = caught.value.history
    assert history.stopped == "not finite" and ended.calls[-1][-1] == "not finite"
    assert len(history.loss) >= 3 and all(map(math.isfinite, history.loss))
    assert nn.mse(model.predict(X), y) <= min(history.loss) * (1 + 1e-9)


@BOTH
@pytest.mark.parametrize("copies", [1, 200])
def test_predictions_that_are_not_finite_end_the_training_too(compiled, copies):
    class Leaping(nn.Optimiser):
        """A rule whose sixth step leaves the range of doubles."""

        def scalars(self):
            return self.lr, 0.0 if self.steps < 5 else math.inf

        def update(self, value, grad, memory, lr, leap):
            return value - lr * grad + leap, memory

    model = nn.Neuron(1, activation="sigmoid", initialise=lambda source, nin, nout: 0.5)
    optimiser, pair = Leaping(model.parameters(), 0.1), ([0.0, 1.0] * copies, [0, 1] * copies)
    options = {"loss": "binary_cross_entropy", "batch_size": 1, "record": True, "seed": 0, "compiled": compiled}
    with pytest.raises(cr.NonFiniteError, match=r"finite predictions .* after a step: binary_cross_entropy") as caught:
        nn.fit(model, [0.0, 1.0], [0, 1], optimiser=optimiser, validation=pair, metrics="mae", **options)
    history = caught.value.history
    lists = (history.loss, history.validation_loss, history.metrics["mae"], history.learning_rate, history.seconds)
    assert [len(each) for each in lists] == [2] * 5
    assert model.state_dict() == history.parameters[1 + history.best_epoch]


def test_an_error_inside_strict_has_the_history_too():
    model = nn.Neuron(1, activation=lambda x: cr.sqrt(x), initialise=lambda source, nin, nout: 1.0)
    start = model.state_dict()
    with cr.strict(), pytest.raises(cr.NonFiniteError) as caught:
        nn.fit(model, [1.0, -2.0], [1.0, 1.0], batch_size=1, shuffle=False, compiled=False)
    assert caught.value.history.stopped == "not finite"
    assert len(caught.value.history.batch_loss) == 1
    assert model.state_dict() == start  # no epoch was finished


def test_a_sample_that_is_met_by_chance_makes_no_warning():
    model = nn.Neuron(1, activation=None, initialise=lambda source, nin, nout: 1.0)
    options = {"batch_size": 1, "shuffle": False, "optimiser": "sgd", "lr": 1e-9, "compiled": False}
    history = nn.fit(model, [1.0, 1.0, 1.0], [1.0, 9.0, 8.0], epochs=9, steps_per_epoch=1, **options)
    assert history.batch_loss[0] == 0.0 < history.batch_loss[1]


def test_a_growing_loss_is_warned_of_once():
    model = nn.Neuron(1, activation=None, seed=0)
    with pytest.warns(RuntimeWarning) as caught:
        nn.fit(model, [1.0], [1.0], optimiser="sgd", lr=10.0, epochs=20)
    assert len(caught) == 1
    assert caught[0].filename == __file__


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal of its own")
def test_a_bar_is_shown_on_a_terminal_only(capsys, monkeypatch):
    nn.fit(model_of(), ROWS, NUMBERS, epochs=3)
    assert capsys.readouterr().err == ""
    nn.fit(model_of(), ROWS, NUMBERS, epochs=3, batch_size=5, progress=True)
    shown = capsys.readouterr().err
    assert "12/12" in shown and "epoch 3 of 3, loss 0." in shown
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    nn.fit(model_of(), ROWS, NUMBERS, epochs=3)
    assert "training" in capsys.readouterr().err
