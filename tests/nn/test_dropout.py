"""Dropout: the same masks in graphs and in machine code, as often as asked for, and none outside of training."""

import math
import random

import chainrule as cr
import pytest
from chainrule import Var, nn
from chainrule.nn.blocks import drawing, draws_of
from chainrule.nn.data import drawn
from trained_models import NUMBERS, ROWS


def model_of(rate=0.4, hidden=6, seed=0):
    layers = nn.Layer(2, hidden, seed=seed), nn.Layer(hidden, 1, None, seed=seed + 1)
    return nn.Sequential(nn.Dropout(rate / 2), layers[0], nn.Dropout(rate), layers[1])


@pytest.mark.parametrize(
    "options", [{}, {"batch_size": 8}, {"batch_size": 1}, {"batch_size": None}, {"clip_norm": 0.1}]
)
def test_graphs_and_machine_code_leave_out_the_same(options):
    pytest.importorskip("numpy")
    found = []
    for compiled in (False, True):
        model = model_of()
        history = nn.fit(model, ROWS, NUMBERS, epochs=5, seed=0, compiled=compiled, **options)
        assert history.compiled is compiled
        found.append([*history.batch_loss, *model.state_dict().values()])
    assert found[1] == pytest.approx(found[0], rel=1e-9, abs=1e-12)
    assert found[0][:5] != nn.fit(model_of(rate=0.0), ROWS, NUMBERS, epochs=5, seed=0, **options).batch_loss[:5]


def test_wide_models_and_many_steps_leave_out_the_same():
    pytest.importorskip("numpy")
    found, rows, numbers = [], ROWS * 30, NUMBERS * 30
    for compiled in (False, True):
        model = model_of(hidden=16)
        model.stages.insert(3, nn.Layer(16, 150, seed=4))
        model.stages[4:] = [nn.Dropout(0.2), nn.Layer(150, 1, None, seed=5)]
        history = nn.fit(model, rows, numbers, epochs=1, batch_size=64, seed=0, compiled=compiled)
        found.append([*history.batch_loss, *model.state_dict().values()])
    assert len(found[0]) > 2_500
    assert found[1] == pytest.approx(found[0], rel=1e-9, abs=1e-12)


def test_a_loss_that_is_not_finite_ends_both_ways_alike():
    pytest.importorskip("numpy")
    found = []
    for compiled in (False, True):
        model = model_of()
        with pytest.raises(cr.NonFiniteError) as caught:
            nn.fit(model, ROWS, NUMBERS, optimiser="sgd", lr=1e90, epochs=9, batch_size=4, seed=0, compiled=compiled)
        found.append(caught.value.history.batch_loss)
    assert len(found[0]) > 1
    assert found[1] == pytest.approx(found[0], rel=1e-6)


def test_numbers_pass_unchanged_outside_of_training():
    model, dropout = model_of(), nn.Dropout(0.5)
    assert dropout([1.0, 2.0]) == [1.0, 2.0]
    plain = nn.Sequential(model.stages[1], model.stages[3])
    seen = []
    history = nn.fit(
        model,
        ROWS,
        NUMBERS,
        epochs=3,
        validation=(ROWS, NUMBERS),
        compiled=False,
        after_epoch=lambda h: seen.append(nn.mse([plain(row) for row in ROWS], NUMBERS).value),
    )
    assert history.validation_loss == pytest.approx(seen, rel=1e-12)
    assert model.predict(ROWS) == plain.predict(ROWS)


def test_what_is_kept_is_divided_by_its_probability():
    source, rate, count = random.Random(0), 0.3, 20_000
    with drawing(drawn(count, source)):
        outputs = nn.Dropout(rate)([1.0] * count)
    values = [getattr(output, "value", output) for output in outputs]
    assert set(values) == {0.0, 1.0 / (1.0 - rate)}
    deviation = math.sqrt(rate / (1 - rate) / count)
    assert abs(sum(values) / count - 1.0) < 5 * deviation
    x = Var(2.0)
    with drawing([0.1, 0.9]):
        dropped, kept = nn.Dropout(rate)([x, x])
    assert dropped.value == 0.0
    kept.backward()
    assert (kept.value, x.grad) == pytest.approx((2.0 / 0.7, 1.0 / 0.7))


def test_rows_and_single_numbers_are_thinned_too():
    with drawing([0.9, 0.1, 0.1, 0.9, 0.9]):
        found = nn.Dropout(0.5)([[1.0, 2.0], [3.0, 4.0]])
        single = nn.Dropout(0.5)(5.0)
    assert [[float(x) for x in row] for row in found] == [[2.0, 0.0], [0.0, 8.0]]
    assert float(single) == 10.0
    assert draws_of(nn.Dropout(0.5), [[1.0, 2.0], [3.0, 4.0]]) == 4
    assert draws_of(nn.Dropout(0.0), [1.0]) == 0


def test_draws_are_those_of_the_source_with_numpy_as_without(monkeypatch):
    numpy = pytest.importorskip("numpy")
    for count in (10, 5_000):
        found = list(drawn(count, random.Random(3)))
        source = random.Random(3)
        assert found == [source.random() for _ in range(count)]
    monkeypatch.delitem(__import__("sys").modules, "numpy")
    assert drawn(5_000, random.Random(3)) == found
    monkeypatch.setitem(__import__("sys").modules, "numpy", numpy)


def test_a_rate_out_of_range_is_refused():
    for rate in (1.0, -0.1, math.nan):
        with pytest.raises(ValueError, match="Dropout expected"):
            nn.Dropout(rate)
    with pytest.raises(TypeError, match="Dropout expected"):
        nn.Dropout("half")


def test_files_hold_dropout_and_exports_leave_it_out(tmp_path):
    model = model_of()
    nn.save(model, tmp_path / "model.json")
    again = nn.load(tmp_path / "model.json")
    assert repr(again) == repr(model)
    assert again.stages[2].rate == 0.4
    assert nn.export_c(model, tmp_path / "model.c").exists()


def test_a_training_resumes_with_the_same_masks(tmp_path):
    whole, part = model_of(), model_of()
    options = {"seed": 0, "batch_size": 8}
    nn.fit(whole, ROWS, NUMBERS, epochs=6, **options, checkpoint=tmp_path / "other")
    nn.fit(part, ROWS, NUMBERS, epochs=2, **options, checkpoint=tmp_path / "run")
    nn.fit(part, ROWS, NUMBERS, epochs=6, **options, resume_from=tmp_path / "run")
    assert part.state_dict() == whole.state_dict()
