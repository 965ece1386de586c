"""predict: the kind of rows that come out, and the same numbers however many rows go in."""

import math

import chainrule as cr
import pytest
from chainrule import Var, nn
from chainrule.nn import architecture
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
        assert len(calls) < 60, "the model was called for a few rows only"
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


def compilations(monkeypatch):
    """Return a list that grows by every function that predict compiles."""
    made, compile_ = [], cr.compile
    monkeypatch.setattr(cr, "compile", lambda f, **options: made.append(f) or compile_(f, **options))
    return made


def test_models_of_one_architecture_share_what_was_compiled(monkeypatch):
    numpy = pytest.importorskip("numpy")
    monkeypatch.setattr("chainrule.nn.predicting._networks", architecture.Latest(4))
    made = compilations(monkeypatch)
    rows = numpy.random.default_rng(0).normal(size=(300, 2))
    for seed in range(3):
        model = model_of(seed=seed, outputs=2)
        found = model.predict(rows)
        assert found.dtype == float and found.shape == (300, 2)
        assert found[150].tolist() == pytest.approx([output.value for output in model(rows[150])], rel=1e-12)
        assert model.predict(rows.tolist()) == found.tolist()
        model.layers[0].neurons[0].bias.value += 1.0
        assert model.predict(rows[:100])[7].tolist() == pytest.approx([o.value for o in model(rows[7])], rel=1e-12)
    assert len(made) == 1
    other = model_of(outputs=2, activation="relu")
    assert other.predict(rows)[3].tolist() == pytest.approx([output.value for output in other(rows[3])], rel=1e-12)
    assert len(made) == 2


def test_fewer_rows_are_compiled_when_they_come_often(monkeypatch):
    pytest.importorskip("numpy")
    monkeypatch.setattr("chainrule.nn.predicting._networks", architecture.Latest(4))
    made, model = compilations(monkeypatch), model_of()
    found = [model.predict(ROWS * 5) for _ in range(4)]
    assert len(made) == 1
    assert all(rows == pytest.approx(found[0], rel=1e-12) for rows in found)


class Scaled(nn.Module):
    """A model that depends on an attribute, on what an attribute holds, and on a global variable."""

    factor = 1.0

    def __init__(self):
        self.weight, self.shift, self.options = Var(2.0), Var(1.0, requires_grad=False), {"scale": [1.0]}

    def __call__(self, x):
        return Scaled.factor * self.options["scale"][0] * self.weight * x[0] + self.shift


def test_rows_of_an_array_are_counted_once(monkeypatch):
    numpy = pytest.importorskip("numpy")
    monkeypatch.setattr("chainrule.nn.predicting._networks", architecture.Latest(4))
    made = compilations(monkeypatch)
    model, rows = model_of(), ROWS * 5
    assert model.predict(numpy.array(rows)).tolist() == [model(row).value for row in rows]
    assert made == []
    model.predict(rows)
    assert len(made) == 1, "100 rows of an array and 100 of a list are 200"


def test_what_is_changed_in_a_model_counts_in_its_predictions(monkeypatch):
    pytest.importorskip("numpy")
    model, rows = Scaled(), [[0.01 * k] for k in range(1, 400)]
    for change in ("", "model.options['scale'][0] = 3.0", "model.shift.value = 5.0", "Scaled.factor = 7.0"):
        exec(change)
        assert model.predict(rows) == pytest.approx([model(row).value for row in rows], rel=1e-12)
    Scaled.factor = 1.0


def test_an_architecture_is_what_parameters_leave_open():
    def key(model):
        return architecture.architecture(model)[0]

    tied = nn.Sequential(*[nn.Neuron(1)] * 2)
    assert key(model_of(seed=1)) == key(model_of(seed=2))
    assert key(tied) != key(nn.Sequential(nn.Neuron(1), nn.Neuron(1)))
    assert key(tied) == key(nn.Sequential(*[nn.Neuron(1)] * 2))
    assert key([0.0]) != key([-0.0]) != key([1]) != key([True])
    assert key([math.nan]) == key([float("nan")])
    assert key([[1], 2]) != key([[1, 2]])
    frozen = model_of(seed=1)
    frozen.layers[0].neurons[0].bias.requires_grad = False
    assert key(frozen) != key(model_of(seed=1))
    for model in (frozen, tied, model_of(), nn.Sequential(nn.Layer(2, 2), cr.softmax)):
        found = architecture.architecture(model)[1]
        assert all(a is b for a, b in zip(found, model.parameters(), strict=True))
    chosen = model_of().layers[0].neurons[0]
    assert architecture.architecture(chosen, {id(chosen.bias)})[1] == [chosen.bias]
