"""Checkpoints: a training that is stopped and resumed takes the very steps of one that was not."""

import json
import math
import os
import random

import pytest
from chainrule import nn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trained_models import NUMBERS, ROWS, model_of

OPTIMISERS = [
    nn.SGD,
    lambda parameters: nn.SGD(parameters, lr=0.05, momentum=0.9, nesterov=True),
    nn.RMSProp,
    nn.Adagrad,
    nn.Adam,
    lambda parameters: nn.AdamW(parameters, lr=nn.cosine_schedule(0.1, 0.0, 60)),
    lambda parameters: nn.Adam(parameters, lr=0.05, amsgrad=True),
    nn.NAdam,
    nn.Rprop,
    nn.LBFGS,
    nn.LevenbergMarquardt,
    lambda parameters: nn.SGD(parameters, lr=nn.plateau_schedule(0.9, patience=1)),
    lambda parameters: nn.Together(nn.SGD(parameters[:5], lr=0.1, momentum=0.9), nn.Adam(parameters[5:], lr=0.05)),
]


def same(history, other):
    names = ("loss", "batch_loss", "validation_loss", "metrics", "learning_rate", "recorded", "parameters", "gradients")
    assert {name: getattr(history, name) for name in names} == {name: getattr(other, name) for name in names}
    assert history.stopped == other.stopped


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("make", OPTIMISERS)
def test_eight_epochs_and_twelve_are_twenty(make, compiled, tmp_path):
    path = tmp_path / "run"
    options = {
        "optimiser": make,
        "batch_size": 4,
        "validation": 0.25,
        "metrics": ["r2"],
        "patience": 30,  # the parameters are those of the best epoch, which may lie in the first part
        "sample_weight": [1 + k % 3 for k in range(20)],
        "clip_norm": None if make in (nn.LBFGS, nn.LevenbergMarquardt) else 0.5,
        "record": 4,
        "compiled": compiled,
    }
    straight, first, second = model_of(), model_of(), model_of(seed=4)
    whole = nn.fit(straight, ROWS, NUMBERS, epochs=20, seed=1, **options)
    nn.fit(first, ROWS, NUMBERS, epochs=8, seed=1, checkpoint=path, checkpoint_every=5, **options)
    # Another initialisation and seed: all that counts is in the file.
    rest = nn.fit(second, ROWS, NUMBERS, epochs=20, seed=2, resume_from=path, **options)
    assert len(rest.loss) == 20
    same(rest, whole)
    assert second.state_dict() == straight.state_dict()
    assert [p.grad for p in second.parameters()] == [p.grad for p in straight.parameters()]


@pytest.mark.parametrize("compiled", [False, True])
def test_callbacks_and_batches_under_way_are_resumed_too(compiled, tmp_path):
    path = tmp_path / "run"

    def options():
        callbacks = [nn.ReduceOnPlateau(patience=1, factor=0.7), nn.Average(start=3), nn.MaxNorm(0.9)]
        return {
            "callbacks": callbacks,
            "steps_per_epoch": 3,
            "batch_size": 3,
            "optimiser": "adam",
            "lr": 0.3,
            "seed": 5,
            "compiled": compiled,
        }

    straight, resumed = model_of(), model_of()
    whole = nn.fit(straight, ROWS, NUMBERS, epochs=20, **options())
    assert min(whole.learning_rate) < 0.2
    nn.fit(model_of(), ROWS, NUMBERS, epochs=8, checkpoint=path, **options())
    rest = nn.fit(resumed, ROWS, NUMBERS, epochs=20, resume_from=path, checkpoint=path, **options())
    same(rest, whole)
    assert resumed.state_dict() == straight.state_dict()
    # What is finished is resumed without a step.
    again = model_of()
    same(nn.fit(again, ROWS, NUMBERS, epochs=20, resume_from=path, **options()), whole)
    assert again.state_dict() == straight.state_dict()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.6])  # 120 and 240 rows, whose losses are computed in other ways
def test_what_was_predicted_before_makes_no_difference(share, compiled, tmp_path):
    pytest.importorskip("numpy")
    path, source = tmp_path / "run", random.Random(0)
    rows = [[source.gauss(0, 1), source.gauss(0, 1)] for _ in range(400)]
    targets = [math.sin(a) + b for a, b in rows]
    options = {"validation": share, "metrics": ["rmse", "mae"], "seed": 1, "compiled": compiled}

    def fresh():
        return nn.MLP(2, [3, 1], seed=5, output_activation=lambda x: x + share)  # of an architecture of its own

    straight, resumed = fresh(), fresh()
    whole = nn.fit(straight, rows, targets, epochs=4, **options)
    nn.fit(fresh(), rows, targets, epochs=2, checkpoint=path, **options)
    straight.predict(rows)
    same(nn.fit(resumed, rows, targets, epochs=4, resume_from=path, **options), whole)
    assert resumed.state_dict() == straight.state_dict()


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("patience", [None, 9])
def test_dropout_leaves_out_the_same_numbers(compiled, patience, tmp_path):
    path = tmp_path / "run"

    def fresh(seed):
        return nn.Sequential(nn.Layer(2, 6, seed=seed), nn.Dropout(0.4), nn.Layer(6, 1, None, seed=seed))

    straight, resumed = fresh(0), fresh(1)
    options = {"batch_size": 6, "patience": patience, "compiled": compiled}
    whole = nn.fit(straight, ROWS, NUMBERS, epochs=7, seed=1, **options)
    nn.fit(fresh(0), ROWS, NUMBERS, epochs=3, seed=1, checkpoint=path, **options)
    same(nn.fit(resumed, ROWS, NUMBERS, epochs=7, seed=2, resume_from=path, **options), whole)
    assert resumed.state_dict() == straight.state_dict()


def test_an_end_by_patience_is_resumed_as_an_end(tmp_path):
    path = tmp_path / "run"
    options = {"optimiser": nn.SGD, "lr": 1.9, "patience": 3, "batch_size": None, "compiled": False}
    first, second = nn.MLP(1, [1], seed=0), nn.MLP(1, [1], seed=0)
    history = nn.fit(first, [0.0, 1.0], [0.0, 1.0], epochs=30, checkpoint=path, checkpoint_every=100, **options)
    assert history.stopped == "patience"
    rest = nn.fit(second, [0.0, 1.0], [0.0, 1.0], epochs=30, resume_from=path, **options)
    same(rest, history)
    assert second.state_dict() == first.state_dict()


def test_a_training_that_was_interrupted_is_resumed_from_its_last_epoch(tmp_path):
    path = tmp_path / "run"

    class Pressing(nn.Callback):
        def on_batch(self, training):
            if training.step == 13:
                raise KeyboardInterrupt

    straight, resumed = model_of(), model_of()
    options = {"epochs": 6, "batch_size": 4, "seed": 0, "compiled": False}
    whole = nn.fit(straight, ROWS, NUMBERS, **options)
    broken = nn.fit(model_of(), ROWS, NUMBERS, callbacks=[Pressing()], checkpoint=path, **options)
    assert broken.stopped == "interrupt" and len(broken.loss) == 2
    same(nn.fit(resumed, ROWS, NUMBERS, resume_from=path, **options), whole)
    assert resumed.state_dict() == straight.state_dict()


def test_a_callback_may_write_checkpoints_itself_and_only_the_best(tmp_path):
    path = tmp_path / "best"

    class Best(nn.Callback):
        def on_epoch(self, training):
            if training.history.best_epoch == training.epoch - 1:
                training.save(path)

    history = nn.fit(model_of(), ROWS, NUMBERS, epochs=9, lr=1.0, callbacks=Best(), record=True, seed=0)
    model = model_of()
    again = nn.fit(model, ROWS, NUMBERS, epochs=0, resume_from=path, record=True)
    assert len(again.loss) == history.best_epoch + 1
    assert model.state_dict() == history.parameters[history.best_epoch + 1]


def test_a_checkpoint_in_the_midst_of_an_epoch_is_refused(tmp_path):
    class Hasty(nn.Callback):
        def on_batch(self, training):
            training.save(tmp_path / "run")

    with pytest.raises(ValueError, match="save expected to be called after an epoch"):
        nn.fit(model_of(), ROWS, NUMBERS, callbacks=Hasty())


def test_what_has_converged_stays_so(tmp_path):
    pytest.importorskip("numpy")
    path = tmp_path / "run"
    options = {"optimiser": "lbfgs", "epochs": 90}
    first, second = [nn.Neuron(1, activation=None, seed=seed) for seed in (0, 1)]
    history = nn.fit(first, [0.0, 1.0, 2.0], [1.0, 3.0, 5.0], checkpoint=path, checkpoint_every=100, **options)
    assert history.stopped == "converged"
    same(nn.fit(second, [0.0, 1.0, 2.0], [1.0, 3.0, 5.0], resume_from=path, **options), history)
    assert second.state_dict() == first.state_dict()


def test_the_file_is_plain_json_and_whole(tmp_path):
    path = tmp_path / "run"
    nn.fit(model_of(), ROWS, NUMBERS, epochs=2, checkpoint=path)
    assert json.loads(path.read_bytes())["format"] == "chainrule checkpoint"
    assert os.listdir(tmp_path) == ["run"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": [[a + 1.0, b] for a, b in ROWS]}, "the data of the checkpoint"),
        ({"batch_size": 5}, "the batch_size of the checkpoint given as resume_from, 4, but got 5"),
        ({"shuffle": False}, "the shuffle of the checkpoint"),
        ({"loss": "mae"}, "the loss of the checkpoint given as resume_from, 'mse', but got 'mae'"),
        ({"metrics": "r2"}, "the metrics of the checkpoint"),
        ({"optimiser": nn.SGD}, "the optimiser of the checkpoint, Adam, but got SGD"),
        ({"callbacks": nn.Average()}, r"the callbacks of the checkpoint, \[\], but got \['Average'\]"),
        ({"model": nn.MLP(2, [5, 1])}, "load_state_dict expected the 21 names"),
        ({"optimiser": lambda p: nn.Adam(p[:3])}, "checkpoint, Adam of 17 parameters, but got one of 3"),
        ({"optimiser": lambda p: nn.Together(nn.Adam(p[:3]), nn.SGD(p[3:]))}, "checkpoint, Adam, but got Together"),
        ({"tolerance": -1.0}, "but got tolerance=-1.0"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_another_training_is_refused(change, message, tmp_path):
    path = tmp_path / "run"
    options = {"model": model_of(), "X": ROWS, "y": NUMBERS, "batch_size": 4, "epochs": 2}
    nn.fit(**options, checkpoint=path)
    changed, source = {**options, **change}, random.Random(3)
    model = changed["model"] = change.get("model", model_of(seed=3))
    optimisers, make = [], changed.get("optimiser", nn.Adam)
    changed["optimiser"] = lambda parameters: optimisers.append(make(parameters)) or optimisers[0]
    before, start = model.state_dict(), source.getstate()
    with pytest.raises(ValueError, match=message):
        nn.fit(**changed, resume_from=path, seed=source)
    # Nothing has been changed.
    assert model.state_dict() == before
    assert source.getstate() == start
    assert all(optimiser.steps == 0 for optimiser in optimisers)


def test_optimisers_together_are_checked_before_anything_is_set(tmp_path):
    path, model = tmp_path / "run", model_of(seed=3)
    nn.fit(
        model_of(), ROWS, NUMBERS, epochs=2, checkpoint=path,
        optimiser=lambda p: nn.Together(nn.SGD(p[:5]), nn.Adam(p[5:])),
    )  # fmt: skip
    before, parts = model.state_dict(), model.parameters()
    for make, message in [
        ([nn.SGD(parts[:5]), nn.RMSProp(parts[5:])], "the optimiser of the checkpoint, Adam, but got RMSProp"),
        ([nn.SGD(parts[:4]), nn.Adam(parts[4:])], "SGD of 5 parameters, but got one of 4"),
        ([nn.SGD(parts[:5]), nn.Adam(parts[5:9]), nn.Adam(parts[9:])], "Together of 2 optimisers, but got one of 3"),
    ]:
        with pytest.raises(ValueError, match=message):
            nn.fit(model, ROWS, NUMBERS, epochs=4, resume_from=path, optimiser=nn.Together(*make))
        assert model.state_dict() == before
        assert [each.steps for each in make] == [0] * len(make)


def test_a_callback_that_keeps_nothing_yet_is_resumed(tmp_path):
    class Late(nn.Callback):
        kept = None

        def state(self):
            return self.kept

        def on_epoch(self, training):
            if training.epoch > 2:
                self.kept = training.epoch

        def set_state(self, state):
            self.kept = 10 * state

    path, callback = tmp_path / "run", Late()
    for epochs, wanted in [(2, None), (3, 3), (3, 30)]:
        options = {"resume_from": path} if path.exists() else {}
        nn.fit(model_of(), ROWS, NUMBERS, epochs=epochs, checkpoint=path, callbacks=callback, **options)
        assert callback.kept == wanted


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"{}", b'{"format": "chainrule checkpoint", "version": 2}', b"\xff",
     b'{"format": "chainrule checkpoint", "version": 1, "content": {"pickle": 1}}',
     b'{"format": "chainrule checkpoint", "version": 1, "content": [1]}',
     b'{"format": "chainrule checkpoint", "version": 1, "content": {"dict": [["held_out", {"doubles": "?"}]]}}',
     b'{"format": "chainrule checkpoint", "version": 1, "content": {"dict": [["held_out", null]]}}',
     b'{"format": "chainrule checkpoint", "version": 1, "content": {"dict": 3}}'],
)  # fmt: skip
def test_another_file_is_refused(content, tmp_path):
    path = tmp_path / "run"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="run expected a checkpoint of version 1 that fit wrote, but "):
        nn.fit(model_of(), ROWS, NUMBERS, resume_from=path)


def test_missing_files_and_folders_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        nn.fit(model_of(), ROWS, NUMBERS, resume_from=tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        nn.fit(model_of(), ROWS, NUMBERS, checkpoint=tmp_path / "nowhere" / "run")
    with pytest.raises(TypeError, match="path of a checkpoint but got resume_from=3"):
        nn.fit(model_of(), ROWS, NUMBERS, resume_from=3)
    with pytest.raises(TypeError, match="path of a file but got path=3"):
        nn.fit(model_of(), ROWS, NUMBERS, checkpoint=3)


def test_a_source_of_random_numbers_of_your_own_goes_on_too(tmp_path):
    path = tmp_path / "run"
    source, other = random.Random(3), random.Random(9)
    source.gauss(0, 1)  # one number is kept for the next call
    straight, resumed = model_of(), model_of()
    options = {"batch_size": 5, "compiled": False}
    state = source.getstate()
    whole = nn.fit(straight, ROWS, NUMBERS, epochs=4, seed=source, **options)
    source.setstate(state)
    nn.fit(model_of(), ROWS, NUMBERS, epochs=2, seed=source, checkpoint=path, **options)
    same(nn.fit(resumed, ROWS, NUMBERS, epochs=4, seed=other, resume_from=path, **options), whole)
    assert other.getstate()[2] is not None and math.isfinite(other.gauss(0, 1))


NAMES = ["sgd", "rmsprop", "adagrad", "adam", "adamw", "nadam", "adamax", "adadelta", "rprop", "lion"]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    options=st.fixed_dictionaries(
        {
            "optimiser": st.sampled_from(NAMES),
            "loss": st.sampled_from(["mse", "mae", "huber"]),
            "batch_size": st.sampled_from([None, 1, 3, 7]),
            "shuffle": st.booleans(),
            "steps_per_epoch": st.sampled_from([None, 1, 4]),
            "validation": st.sampled_from([None, 0.2, (ROWS[:4], NUMBERS[:4])]),
            "sample_weight": st.sampled_from([None, [1 + k % 2 for k in range(20)]]),
            "l1": st.sampled_from([0.0, 0.01]),
            "clip_value": st.sampled_from([None, 0.1]),
            "patience": st.sampled_from([None, 2]),
            "record": st.sampled_from([False, True, 2]),
            "compiled": st.booleans(),
            "seed": st.integers(0, 9),
        }
    ),
    first=st.integers(0, 6),
    reducing=st.booleans(),
)
def test_any_training_goes_on_as_if_it_had_not_stopped(options, first, reducing, tmp_path):
    path = tmp_path / "run"
    path.unlink(missing_ok=True)

    def trained(model, **others):
        callbacks = [nn.ReduceOnPlateau(patience=1), nn.MaxNorm(2.0)] if reducing else []
        return nn.fit(model, ROWS, NUMBERS, callbacks=callbacks, **{**options, **others})

    straight, resumed = model_of(), model_of(seed=8)
    whole = trained(straight, epochs=6)
    trained(model_of(), epochs=first, checkpoint=path)
    if first:
        same(trained(resumed, epochs=6, resume_from=path), whole)
        assert resumed.state_dict() == straight.state_dict()
    else:
        assert not path.exists()


def test_a_checkpoint_that_cannot_be_written_is_refused_before_training(tmp_path):
    model = model_of()
    before = model.state_dict()
    for path, error in [(tmp_path / "nowhere" / "run", FileNotFoundError), (tmp_path, IsADirectoryError)]:
        for options in ({"checkpoint": path}, {"callbacks": nn.Checkpoint(str(path))}):
            with pytest.raises(error, match=f"Checkpoint expected .*path='{path}'$"):
                nn.fit(model, ROWS, NUMBERS, epochs=2, **options)
    assert model.state_dict() == before
