"""predict: the kind of rows that come out, and the same numbers however many rows go in."""

import math

import chainrule as cr
import pytest
from chainrule import nn
from trained_models import ROWS, Branching, Dropping, model_of


def test_predict_keeps_the_kind_of_its_rows():
    numpy = pytest.importorskip("numpy")
    model, several = model_of(), model_of(outputs=2)
    assert model.predict(ROWS) == [model(row).value for row in ROWS]
    assert several.predict(ROWS[:1]) == [[output.value for output in several(ROWS[0])]]
    array = several.predict(numpy.array(ROWS))
    assert array.shape == (20, 2)
    assert array.tolist() == several.predict(ROWS)
    with pytest.raises(TypeError, match="for one row, call the model"):
        model.predict(1.0)


def test_very_many_rows_are_predicted_as_machine_code(monkeypatch):
    rows = [[math.sin(k), math.cos(3 * k)] for k in range(60_000)]
    calls = []
    forward = nn.MLP.__call__
    monkeypatch.setattr(nn.MLP, "__call__", lambda self, x: calls.append(x) or forward(self, x))
    for outputs in (1, 3):
        calls.clear()
        model = model_of(outputs=outputs, seed=outputs)
        found = model.predict(rows)
        assert len(calls) < 50, "the model was called for a few rows only"
        assert len(found) == len(rows)
        for k in range(0, len(rows), 997):
            output = model(rows[k])
            wanted = [o.value for o in output] if outputs == 3 else output.value
            assert found[k] == pytest.approx(wanted, rel=1e-12, abs=1e-15)
    with pytest.raises(ValueError, match="MLP expected 2 inputs but got 1"):
        model.predict([*rows, [1.0]])


@pytest.mark.parametrize("make", [Branching, Dropping])
def test_models_that_are_no_program_predict_row_by_row(make, monkeypatch):
    monkeypatch.setattr("chainrule.nn.predicting._WORTH_COMPILING", 1)
    model, rows = make(), ROWS * 10
    found = model.predict(rows)
    if make is Branching:
        assert found == [(1.0 if b < 0 else 2.0) * a for a, b in rows]
    else:
        inner = model.inner.predict(rows)
        assert [f or 2 * i for f, i in zip(found, inner, strict=True)] == pytest.approx([2 * i for i in inner])
        assert len({f == 0.0 for f in found}) == 2


def test_strict_raises_in_predictions_too(monkeypatch):
    monkeypatch.setattr("chainrule.nn.predicting._WORTH_COMPILING", 1)
    model = nn.Sequential(nn.Neuron(1, activation=None, initialise=lambda source, nin, nout: 1.0), cr.log)
    rows = [[float(k != 13)] for k in range(100)]  # not one of those that are computed in both ways
    assert model.predict(rows) == [0.0 if k != 13 else -math.inf for k in range(100)]
    with pytest.raises(cr.NonFiniteError, match="log made -inf"), cr.strict():
        model.predict(rows)
