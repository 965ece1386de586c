"""The history: its table, its file, its frame, and what it says of the border between classes."""

import pytest
from chainrule import nn
from trained_models import NUMBERS, ROWS, model_of


def test_it_is_printed_as_a_small_table():
    history = nn.fit(model_of(), ROWS, NUMBERS, epochs=3, validation=0.2, metrics=["r2", "mae"], seed=0)
    lines = str(history).splitlines()
    assert lines[0] == repr(history)
    assert lines[1].split("  ")[-1].strip() == "seconds"
    assert lines[1].split() == ["epoch", "loss", "validation", "loss", "r2", "mae", "learning", "rate", "seconds"]
    assert [line.split()[0] for line in lines[2:]] == ["1", "2", "3"]
    assert lines[4].split()[1] == f"{history.loss[2]:.4g}"
    assert len({len(line) for line in lines[1:]}) == 1
    long = nn.fit(model_of(), ROWS, NUMBERS, epochs=1500, validation=0.2, seed=0)
    shown = [line.split()[0] for line in str(long).splitlines()[2:]]
    assert 8 <= len(shown) <= 9
    assert shown[0] == "1" and shown[-1] == "1,500" and f"{long.best_epoch + 1:,}" in shown
    assert str(nn.fit(model_of(), ROWS, NUMBERS, epochs=0)) == "History of 0 epochs"


def test_it_becomes_a_frame_and_a_plot():
    pytest.importorskip("pandas")
    history = nn.fit(model_of(), ROWS, NUMBERS, epochs=4, metrics="mae", seed=0)
    frame = history.to_frame()
    assert list(frame.columns) == ["loss", "mae", "learning_rate", "seconds"]
    assert frame.index.name == "epoch" and list(frame.index) == [1, 2, 3, 4]
    assert frame["mae"].tolist() == history.metrics["mae"]
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    assert history.plot().lines[0].get_ydata().tolist() == history.loss
    assert history.plot("mae", ylabel="error (m)").get_ylabel() == "error (m)"
    assert nn.fit(model_of(), ROWS, NUMBERS, epochs=0).to_frame().empty


def test_it_knows_the_border_of_two_classes():
    zeros_and_ones = [k % 2 for k in range(20)]
    assert nn.fit(model_of(), ROWS, zeros_and_ones, epochs=1).threshold == 0.5
    assert nn.fit(model_of(), ROWS, [2 * t - 1 for t in zeros_and_ones], loss="hinge", epochs=1).threshold == 0.0
    assert nn.fit(model_of(), ROWS, NUMBERS, epochs=1).threshold is None
    assert nn.fit(model_of(outputs=2), ROWS, zeros_and_ones, loss="cross_entropy", epochs=1).threshold is None
