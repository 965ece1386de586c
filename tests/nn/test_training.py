"""fit: what it trains, records, stops and refuses; graphs and machine code take the same steps."""

import math
import random
import re

import chainrule as cr
import pytest
from chainrule import Var, nn
from trained_models import NUMBERS, ROWS, Branching, Dropping, model_of


def test_fit_takes_the_steps_that_a_loop_by_hand_takes():
    model, by_hand = model_of(), model_of()
    nn.fit(model, ROWS, NUMBERS, optimiser=nn.SGD, lr=0.1, epochs=5, batch_size=None)
    optimiser = nn.SGD(by_hand.parameters(), lr=0.1)
    for _ in range(5):
        loss = nn.mse([by_hand(row) for row in ROWS], NUMBERS)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert model.state_dict() == by_hand.state_dict()


@pytest.mark.parametrize("make", [nn.SGD, nn.Adam, nn.AdamW, nn.RMSProp, nn.Adagrad], ids=lambda make: make.__name__)
def test_machine_code_takes_the_same_steps(make):
    graphs, code = model_of(), model_of()
    eager = nn.fit(graphs, ROWS, NUMBERS, optimiser=make, epochs=6, batch_size=8, validation=0.25, seed=1)
    compiled = nn.fit(
        code, ROWS, NUMBERS, optimiser=make, epochs=6, batch_size=8, validation=0.25, seed=1, compiled=True
    )
    assert compiled.batch_loss == pytest.approx(eager.batch_loss, rel=1e-9)
    assert compiled.validation_loss == pytest.approx(eager.validation_loss, rel=1e-9)
    assert code.state_dict() == pytest.approx(graphs.state_dict(), rel=1e-9)
    assert [p.grad for p in code.parameters()] == pytest.approx([p.grad for p in graphs.parameters()], rel=1e-8)


@pytest.mark.parametrize(
    ("loss", "outputs", "targets"),
    [
        ("mae", 1, NUMBERS),
        ("huber", 1, NUMBERS),
        ("hinge", 1, [1 if t > 0 else -1 for t in NUMBERS]),
        ("cross_entropy", 3, [k % 3 for k in range(20)]),
        ("mse", 2, [[t, -t] for t in NUMBERS]),
        (lambda p, t: nn.binary_cross_entropy(p, t, from_logits=True), 1, [k % 2 for k in range(20)]),
    ],
)
def test_machine_code_knows_every_loss(loss, outputs, targets):
    graphs, code = model_of(outputs=outputs), model_of(outputs=outputs)
    metrics = {"first": lambda t, p: p[0][0] if outputs > 1 else p[0]}
    options = {"loss": loss, "epochs": 3, "batch_size": 7, "seed": 2, "metrics": metrics}
    eager = nn.fit(graphs, ROWS, targets, **options)
    compiled = nn.fit(code, ROWS, targets, compiled=True, **options)
    assert compiled.loss == pytest.approx(eager.loss, rel=1e-9)
    assert compiled.metrics["first"] == pytest.approx(eager.metrics["first"], rel=1e-9)


def test_machine_code_of_probabilities():
    code = model_of(output_activation="sigmoid")
    history = nn.fit(code, ROWS, [k % 2 for k in range(20)], loss="binary_cross_entropy", epochs=3, compiled=True)
    assert history.loss[-1] < history.loss[0]


def test_a_step_that_branches_runs_beside_compiled_gradients():
    class SignDescent(nn.Optimiser):
        def update(self, value, grad, memory, lr):
            return value - math.copysign(lr, grad), memory

    models = [model_of(), model_of()]
    for model, compiled in zip(models, (False, True), strict=True):
        optimiser = SignDescent(model.parameters(), lr=0.01)
        nn.fit(model, ROWS, NUMBERS, optimiser=optimiser, epochs=4, batch_size=None, compiled=compiled)
        assert optimiser.steps == 4
    assert models[1].state_dict() == pytest.approx(models[0].state_dict(), rel=1e-12)


def test_frozen_parameters_stay():
    for compiled in (False, True):
        model = model_of()
        before = model.state_dict()
        optimiser = nn.Adam(model.layers[1].parameters())
        nn.fit(model, ROWS, NUMBERS, optimiser=optimiser, epochs=2, compiled=compiled)
        after = model.state_dict()
        assert {name.split(".")[1] for name in after if after[name] != before[name]} == {"1"}


def test_a_penalty_that_machine_code_cannot_see_is_refused():
    model = model_of()

    def loss(predictions, targets):
        parameters = model.parameters()
        return nn.mse(predictions, targets) + 0.01 * cr.dot(parameters, parameters)

    nn.fit(model, ROWS, NUMBERS, loss=loss, epochs=1)
    with pytest.raises(ValueError, match=r"mean over samples .* weight_decay"):
        nn.fit(model, ROWS, NUMBERS, loss=loss, epochs=1, compiled=True)
    with pytest.raises(ValueError, match="mean over samples"):
        nn.fit(model, ROWS, NUMBERS, loss=lambda p, t: 20 * nn.mse(p, t) * len(p), epochs=1, compiled=True)


def test_auto_compiles_what_is_worth_it():
    model, graphs = model_of(), model_of()
    options = {"epochs": 500, "batch_size": 10, "seed": 0}
    history = nn.fit(model, ROWS, NUMBERS, **options)
    assert history.compiled and history.reason == ""
    assert nn.fit(graphs, ROWS, NUMBERS, compiled=False, **options).reason == "compiled=False"
    assert model.state_dict() == pytest.approx(graphs.state_dict(), rel=1e-6)
    few = nn.fit(model_of(), ROWS, NUMBERS, epochs=2)
    assert not few.compiled and few.reason == "graphs are done sooner: 17 parameters, 40 samples in all epochs"


def test_auto_compiles_a_wide_model_sooner_for_its_layers_are_loops():
    rows = [[math.sin(j + k) for j in range(20)] for k in range(3)]
    model = nn.MLP(20, [100, 16, 1], seed=0)
    history = nn.fit(model, rows, [0.1, 0.2, 0.3], epochs=180, batch_size=None, seed=0)
    assert history.compiled, history.reason
    assert history.loss[-1] < history.loss[0] / 10


@pytest.mark.parametrize(
    ("make", "loss", "reason"),
    [
        (Branching, "mse", "TraceError: .* a condition"),
        (Dropping, "mse", "ValueError: .* gives the same for the same row"),
        (model_of, lambda p, t: nn.mse(p, t) + max(abs(x - y) for x, y in zip(p, t, strict=True)), "mean over samples"),
    ],
    ids=["branching", "dropping", "greatest error"],
)
def test_auto_falls_back_to_graphs_and_says_why(make, loss, reason):
    history = nn.fit(make(), ROWS, NUMBERS, loss=loss, epochs=3000, seed=0, after_epoch=lambda h: len(h.loss) == 3)
    assert not history.compiled
    assert re.search(reason, history.reason), history.reason
    with pytest.raises((TypeError, ValueError), match=reason.partition(": ")[2] or reason):
        nn.fit(make(), ROWS, NUMBERS, loss=loss, epochs=3, compiled=True)


@pytest.mark.parametrize("seed", range(20))
def test_a_model_that_draws_is_never_frozen(seed):
    model = Dropping()
    model.source.seed(seed)
    history = nn.fit(model, ROWS, NUMBERS, epochs=3000, batch_size=1, seed=seed, after_epoch=lambda history: True)
    assert not history.compiled
    assert "gives the same for the same row" in history.reason


def test_a_class_without_a_score_is_named_wherever_it_stands():
    targets = [0] * 19 + [7]
    for compiled in (False, True):
        with pytest.raises(ValueError, match=r"class from 0 to 2, as there are 3 scores, but got target=7"):
            nn.fit(model_of(outputs=3), ROWS, targets, loss="cross_entropy", batch_size=4, compiled=compiled)


def test_a_model_that_fits_already_may_be_trained_on():
    model = nn.Neuron(1, activation=None, initialise=lambda source, nin, nout: 0.1)
    X = [k / 7 for k in range(50)]
    y = [0.1 * x + 1e-17 for x in X]
    assert nn.fit(model, X, y, optimiser=nn.SGD, epochs=2, compiled=True).loss[0] < 1e-30


def test_training_that_is_broken_off_keeps_its_steps():
    def rate(step):
        if step == 7:
            raise KeyboardInterrupt
        return 0.01

    states = []
    for compiled in (False, True):
        model = model_of()
        optimiser = nn.SGD(model.parameters(), lr=rate)
        history = nn.fit(model, ROWS, NUMBERS, optimiser=optimiser, batch_size=5, seed=1, compiled=compiled)
        assert optimiser.steps == 7
        assert history.stopped == "interrupt"
        assert len(history.loss) == len(history.learning_rate) == len(history.seconds) == 1
        states.append(model.state_dict())
    whole = model_of()
    nn.fit(whole, ROWS, NUMBERS, optimiser=nn.SGD, lr=0.01, batch_size=5, seed=1, epochs=2)
    assert states[0] == pytest.approx(states[1], rel=1e-9)
    assert states[0] != pytest.approx(whole.state_dict(), rel=1e-9)


def test_records_of_every_so_many_epochs():
    model = model_of()
    history = nn.fit(model, ROWS, NUMBERS, epochs=7, validation=0.1, record=3, seed=0)
    assert history.recorded == [0, 3, 6]
    assert [len(history.parameters), len(history.gradients)] == [3, 2]
    assert len(history.rows) == len(history.targets) == 18
    assert all(row in ROWS for row in history.rows)
    assert nn.fit(model, ROWS, NUMBERS, epochs=1).rows == []


def test_history_has_an_item_for_each_epoch():
    seen = []
    model = model_of()
    history = nn.fit(
        model,
        ROWS,
        NUMBERS,
        epochs=4,
        batch_size=6,
        validation=(ROWS[:3], NUMBERS[:3]),
        record=True,
        seed=0,
        metrics={"mae": nn.mae},
        lr=nn.exponential_schedule(0.1, 0.5, steps=4),
        after_epoch=lambda h: seen.append(len(h.loss)),
    )
    assert len(history.loss) == len(history.validation_loss) == len(history.metrics["mae"]) == len(history.seconds) == 4
    assert len(history.batch_loss) == 16
    assert history.learning_rate == pytest.approx([0.1, 0.05, 0.025, 0.0125])
    assert len(history.parameters) == 5
    assert len(history.gradients) == 4
    assert history.parameters[0] == model_of().state_dict()
    assert history.parameters[-1] == model.state_dict()
    assert history.recorded == [0, 1, 2, 3, 4]
    assert history.gradients[-1] == {name: p.grad for name, p in model.named_parameters()}
    assert history.loss[0] == pytest.approx((6 * sum(history.batch_loss[:3]) + 2 * history.batch_loss[3]) / 20)
    assert history.validation_loss[-1] == nn.mse(model.predict(ROWS[:3]), NUMBERS[:3])
    assert seen == [1, 2, 3, 4]
    assert repr(history).startswith("History of 4 epochs, loss ")


def test_seeds_repeat_and_the_order_is_random():
    losses = [nn.fit(model_of(), ROWS, NUMBERS, epochs=2, batch_size=5, seed=seed).batch_loss for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]
    own = [
        nn.fit(model_of(), ROWS, NUMBERS, epochs=2, batch_size=5, seed=random.Random(1)).batch_loss for _ in range(2)
    ]
    assert own[0] == own[1]


def test_data_of_the_same_seed_do_not_decide_the_order():
    source = random.Random(0)
    X = [source.random() for _ in range(400)]
    history = nn.fit(nn.Neuron(1, seed=0), X, X, epochs=1, validation=0.5, seed=0, record=True)
    kept = [row[0] for row in history.rows]
    # Means of halves chosen at random differ by 0.03 or so; those of a sorted half by 0.25.
    assert abs(sum(kept) / 200 - sum(X) / 400) < 0.08


@pytest.mark.parametrize("true", [True, 1, "yes", pytest.param("numpy", id="numpy")])
def test_after_epoch_stops(true):
    if true == "numpy":
        true = pytest.importorskip("numpy").bool_(True)
    history = nn.fit(model_of(), ROWS, NUMBERS, after_epoch=lambda history: len(history.loss) == 2 and true)
    assert len(history.loss) == 2
    assert history.stopped == "callback"


def test_a_loss_that_is_not_finite_is_reported():
    for compiled in (False, True):
        model = model_of(activation="linear")
        with (
            pytest.warns(RuntimeWarning, match=r"the loss grew from 0\.\d+ to .* in epoch 2: .*; lower the"),
            pytest.raises(cr.NonFiniteError, match=r"finite loss but got (inf|nan) in epoch \d+, batch 1; lower"),
        ):
            nn.fit(model, ROWS, NUMBERS, optimiser=nn.SGD, lr=1e3, epochs=500, batch_size=None, compiled=compiled)


def test_zero_epochs_change_nothing():
    model = model_of()
    assert nn.fit(model, ROWS, NUMBERS, epochs=0, record=True).parameters == [model_of().state_dict()]


@pytest.mark.parametrize(
    ("X", "y", "options", "error", "message"),
    [
        ([], [], {}, ValueError, "at least one sample but got an empty X"),
        (3.0, [1.0], {}, TypeError, "one row or number for each sample but got X=3.0"),
        ("abc", [1.0], {}, TypeError, "but got X='abc'"),
        ([[1, 2], [3]], [1, 2], {}, ValueError, r"rows of 2 numbers but got X\[1\]=\[3\] \(list\) of 1"),
        ([[1, math.nan]], [1], {}, ValueError, r"finite numbers but got X\[0\]\[1\]=nan"),
        ([[1, "a"]], [1], {}, TypeError, r"X\[0\]\[1\]='a'"),
        ([[1, 2]], [math.inf], {}, ValueError, r"y\[0\]=inf"),
        (ROWS, NUMBERS[:-1], {}, ValueError, "20 rows in X and 19 targets in y"),
        ([[1.0]], [1.0], {}, ValueError, "MLP expected 2 inputs but got 1"),
        (ROWS, NUMBERS, {"loss": "nse"}, ValueError, "one of mse, mae"),
        (ROWS, NUMBERS, {"epochs": -1}, ValueError, "whole number, 0 or above, but got epochs=-1"),
        (ROWS, NUMBERS, {"batch_size": 0}, ValueError, "batch_size=0"),
        (ROWS, NUMBERS, {"patience": 0}, ValueError, "patience=0"),
        (ROWS, NUMBERS, {"validation": 1.5}, ValueError, "share between 0 and 1 .* 20 but got validation=1.5"),
        (ROWS, NUMBERS, {"validation": 0.01}, ValueError, "validation=0.01"),
        (ROWS, NUMBERS, {"validation": ([[1.0]], [1.0])}, ValueError, r"rows of 2 numbers but got validation X\[0\]"),
        (ROWS, NUMBERS, {"optimiser": "adams"}, ValueError, "one of .*adagrad, adam, .* but got optimiser='adams'"),
        (ROWS, NUMBERS, {"optimiser": 3}, TypeError, "an optimiser, a class of them or its name but got optimiser=3"),
        (ROWS, NUMBERS, {"optimiser": nn.SGD, "optimizer": nn.SGD}, TypeError, "both optimiser and optimizer"),
        (ROWS, NUMBERS, {"lr": -1.0}, ValueError, "lr=-1.0"),
        (ROWS, NUMBERS, {"compiled": "always"}, ValueError, "True, False or 'auto' but got compiled='always'"),
        (ROWS, NUMBERS, {"seed": 1.5}, ValueError, "whole number, 0 or above, but got seed=1.5"),
        (ROWS, NUMBERS, {"record": -2}, ValueError, "record=-2"),
        (ROWS, NUMBERS, {"validation": [ROWS]}, ValueError, "a pair of rows and targets"),
        ([10**400], [1.0], {}, ValueError, r"finite numbers but got X\[0\]=10+\.\.\. \(int\)"),
        ([[0.5, 10**400]], [1.0], {}, ValueError, r"finite numbers but got X\[0\]\[1\]=10+\.\.\. \(int\)"),
        (ROWS, NUMBERS, {"epochs": True}, ValueError, "whole number, 0 or above, but got epochs=True"),
        (ROWS, NUMBERS, {"shuffle": "no"}, ValueError, "fit expected True or False but got shuffle='no'"),
        (ROWS, NUMBERS, {"shuffle": None}, ValueError, "fit expected True or False but got shuffle=None"),
        (ROWS, NUMBERS, {"sample_weight": 2.0}, TypeError, "a weight for each sample but got sample_weight=2.0"),
        (ROWS, [Var(1.0)] * 20, {}, TypeError, r"plain number but got y\[0\]=Var\(1.0, .*; use its .value"),
        (ROWS, NUMBERS, {"tolerance": -1}, ValueError, "finite number, 0 or above, but got tolerance=-1"),
        (ROWS, NUMBERS, {"tolerance": math.nan}, ValueError, "tolerance=nan"),
        (ROWS, NUMBERS, {"metrics": 3}, TypeError, r"names of metrics, such as \['accuracy'\], .* but got metrics=3"),
        (ROWS, NUMBERS, {"metrics": {"a": 3}}, TypeError, r"a function of .* but got metrics\['a'\]=3"),
        (ROWS, NUMBERS, {"metrics": "acuracy"}, ValueError, r"or one of accuracy, r2, .*='acuracy'"),
        (ROWS, NUMBERS, {"metrics": "accuracy"}, ValueError, "two classes, .* but got 20 different targets; take 'r2'"),
        (ROWS, NUMBERS, {"callbacks": nn.Average}, TypeError, "a list of nn.Callback but got callbacks=<class"),
        (ROWS, NUMBERS, {"callbacks": [nn.Average]}, TypeError, r"callbacks\[0\]=<class .*; make an instance of it"),
        (ROWS, NUMBERS, {"after_epoch": 3}, TypeError, "a function of the history but got after_epoch=3"),
        (ROWS, NUMBERS, {"progress": "yes"}, ValueError, "True, False or 'auto' but got progress='yes'"),
        (ROWS, NUMBERS, {"steps_per_epoch": 0}, ValueError, "steps_per_epoch=0"),
        (ROWS, NUMBERS, {"sample_weight": [1.0]}, ValueError, "each of 20 samples but got 1 in sample_weight"),
        (ROWS, NUMBERS, {"sample_weight": 3}, TypeError, "a weight for each sample but got sample_weight=3"),
        (ROWS, NUMBERS, {"sample_weight": [-1.0] * 20}, ValueError, r"sample_weight\[0\]=-1.0"),
        (ROWS, NUMBERS, {"sample_weight": [0.0] * 20}, ValueError, "at least one sample that counts"),
        (ROWS, [0, 1] * 10, {"class_weight": {0: 1.0}}, ValueError, "a weight for each class .* without 1"),
        (ROWS, [0, 1] * 10, {"class_weight": "even"}, TypeError, "or 'balanced', but got class_weight='even'"),
        (ROWS, [[0, 1]] * 20, {"class_weight": "balanced"}, ValueError, r"a class for each .* y\[0\]=\[0, 1\]"),
        (ROWS, NUMBERS, {"class_weight": "balanced"}, ValueError, r"a whole number, where .* but got y\[0\]=2\.5"),
        (ROWS, NUMBERS, {"loss": lambda p, t: 1.0}, TypeError, r"one Var but got loss=1.0 \(float\); compute"),
        (ROWS, NUMBERS, {"loss": lambda p, t: p}, TypeError, r"one Var but got loss=\[Var"),
        (ROWS, NUMBERS, {"loss": lambda p, t: None}, TypeError, "one Var but got loss=None"),
        (ROWS, NUMBERS, {"optimiser": nn.SGD(model_of().parameters())}, ValueError, "model but got one of others"),
    ],
)  # fmt: skip
def test_wrong_data_is_named_before_any_step(X, y, options, error, message):
    model = model_of()
    with pytest.raises(error, match=message):
        nn.fit(model, X, y, **options)
    assert model.state_dict() == model_of().state_dict()


def test_data_frames_arrays_and_columns():
    numpy = pytest.importorskip("numpy")
    losses = []
    for rows, targets in [
        (ROWS, NUMBERS),
        (numpy.array(ROWS), numpy.array(NUMBERS)),
        (numpy.array(ROWS), numpy.array(NUMBERS)[:, None]),
        ([numpy.array(row) for row in ROWS], tuple(NUMBERS)),
        (iter(ROWS), iter(NUMBERS)),
    ]:
        losses.append(nn.fit(model_of(), rows, targets, epochs=1, batch_size=None).loss)
    assert losses == [losses[0]] * 5


def test_whole_numbers_of_numpy_are_taken():
    numpy = pytest.importorskip("numpy")
    ours, theirs = model_of(), model_of()
    options = {"epochs": 3, "batch_size": 7, "patience": 2, "seed": 5, "record": 2}
    nn.fit(ours, ROWS, NUMBERS, **options)
    nn.fit(theirs, ROWS, NUMBERS, **{name: numpy.int64(number) for name, number in options.items()})
    assert ours.state_dict() == theirs.state_dict()


def test_classes_may_be_false_and_true():
    classes = [k % 3 == 0 for k in range(20)]
    targets = [list(map(int, classes)), classes]
    losses = [nn.fit(model_of(outputs=2), ROWS, y, loss="cross_entropy", epochs=2, seed=0).loss for y in targets]
    assert losses[0] == losses[1]


def test_with_parameters_computes_with_other_values():
    model = model_of()
    values = [p.value for p in model.parameters()]
    x = ROWS[3]
    model(x).backward()
    gradient = cr.grad(lambda values: model.with_parameters(values)(x))(values)
    assert gradient == pytest.approx([p.grad for p in model.parameters()], rel=1e-14)
    hessian = cr.hessian(lambda values: model.with_parameters(values)(x))(values)
    assert len(hessian) == len(values)
    with pytest.raises(ValueError, match="expected 17 values, one for each parameter, but got 16"):
        model.with_parameters(values[1:])


def test_schedules_are_checked():
    with pytest.raises(ValueError, match=r"first=-1.0"):
        nn.linear_schedule(-1.0, 0.0, 10)
    with pytest.raises(ValueError, match="whole number of steps, 1 or above, but got steps=0"):
        nn.cosine_schedule(1.0, 0.0, 0)
    with pytest.raises(TypeError, match=r"dict from steps .* changes=\[1\]"):
        nn.step_schedule(1.0, [1])
    optimiser = nn.SGD([Var(1.0)], lr=lambda step: 1.0 - step)
    optimiser.step()
    optimiser.step()
    with pytest.raises(ValueError, match=r"0 or above, but got lr\(2\)=-1.0"):
        optimiser.step()
    assert nn.warm_up(0.5, 2)(0) == 0.25


@pytest.mark.parametrize("compiled", [False, True])
def test_advice_names_the_loss_that_is_meant(compiled):
    classes = [k % 2 for k in range(20)]
    with pytest.raises(
        ValueError, match=r'nested alike .*; loss="cross_entropy" takes a class for each row of scores$'
    ):
        nn.fit(model_of(outputs=3), ROWS, classes, epochs=1, compiled=compiled)
    with pytest.raises(ValueError, match=r'or fit with loss="binary_cross_entropy_with_logits"$'):
        nn.fit(
            nn.Neuron(2, activation=None, seed=1),
            ROWS,
            classes,
            epochs=1,
            loss="binary_cross_entropy",
            compiled=compiled,
        )
    with pytest.raises(ValueError, match="loss='cross_entropy' and a model with an output for each class"):
        nn.fit(model_of(), ROWS, [k % 3 for k in range(20)], epochs=1, metrics="accuracy", compiled=compiled)
    with pytest.raises(ValueError, match=r"nested alike .*\(float\)$"):
        nn.fit(model_of(outputs=3), ROWS, NUMBERS, epochs=1, compiled=compiled)
