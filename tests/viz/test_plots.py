"""Plots: what axes and legends say, what is drawn where, in both themes; what is refused."""

import importlib.util
import math
import sys
from types import SimpleNamespace

import pytest

if importlib.util.find_spec("matplotlib") is None:
    pytest.skip("matplotlib is not installed", allow_module_level=True)

import chainrule as cr
from chainrule import MissingDependencyError, nn, viz
from matplotlib import pyplot
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure

XS = [k / 10 - 1 for k in range(20)]
CORNERS, XOR = [[0, 0], [0, 1], [1, 0], [1, 1]], [0, 1, 1, 0]
CURVE = nn.fit(nn.MLP(1, [4, 1], seed=0), XS, [cr.sin(2 * x) for x in XS], epochs=6, batch_size=5, seed=0, record=True)
MAP = nn.fit(nn.MLP(2, [4, 1], seed=0), CORNERS, [2 * c - 1 for c in XOR], loss="hinge", epochs=4, record=2)


@pytest.fixture(autouse=True)
def close():
    pyplot.close("all")
    yield
    pyplot.close("all")


def labels(ax):
    return ax.get_legend_handles_labels()[1]


def line(ax, label):
    return next(found for found in ax.lines if found.get_label() == label)


def luminance(colour):
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), to_rgb(colour), strict=True))


PLOTS = {
    "history": lambda **options: viz.plot_history(CURVE, **options),
    "fit": lambda **options: viz.plot_fit(CURVE, **options),
    "boundary": lambda **options: viz.plot_decision_boundary(MAP, resolution=8, **options),
    "gradients": lambda **options: viz.plot_gradients(CURVE, **options),
    "attention": lambda **options: viz.plot_attention([[1.0, 0.0], [0.25, 0.75]], "ab", **options),
    "surface": lambda **options: viz.plot_surface(lambda a, b: a * a + b, [(0, 0), (1, 1)], resolution=5, **options),
}


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_axes_are_taken_or_made_and_have_titles(plot, tmp_path):
    given = Figure(layout="constrained").subplots()
    assert plot(ax=given) is given
    assert pyplot.get_fignums() == []
    ax = plot()
    assert ax.get_xlabel() and ax.get_ylabel()
    assert ax.figure.get_layout_engine() is not None
    ax.figure.savefig(tmp_path / "plot.png")
    ax.figure.savefig(tmp_path / "plot.svg")
    with pytest.raises(TypeError, match="ax to be matplotlib Axes but got ax=3"):
        plot(ax=3)
    with pytest.raises(ValueError, match="a theme of light or dark but got theme='pink'"):
        plot(theme="pink")


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_ink_stands_out_in_both_themes(plot):
    for theme, dark in (("light", False), ("dark", True)):
        ax = plot(theme=theme)
        page = ax.figure.get_facecolor()
        assert (luminance(page) < 0.5) == dark
        texts = [ax.xaxis.label, ax.yaxis.label, *ax.get_xticklabels(), *ax.get_yticklabels()]
        if ax.get_legend():
            texts += ax.get_legend().get_texts()
        assert all(abs(luminance(text.get_color()) - luminance(page)) > 0.5 for text in texts)
    # Without a theme the figure decides.
    given = Figure(facecolor="black").subplots()
    plot(ax=given)
    assert luminance(given.xaxis.label.get_color()) > 0.5


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_without_matplotlib_the_message_says_what_to_install(plot, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingDependencyError, match=r"plot_\w+ needs matplotlib, .* pip install matplotlib$"):
        plot()


def test_history_shows_batches_validation_and_the_best_epoch():
    lists = {
        "loss": [4.0, 1.0, 0.1], "batch_loss": [5.0, 3.0, 2.0, 1.0, 0.2, 0.1], "validation_loss": [3.0, 0.5, 0.9],
        "accuracy": [0.5, 0.75, 1.0],
    }  # fmt: skip
    ax = viz.plot_history(lists, ylabel="mean squared error (m²)")
    assert labels(ax) == ["mini-batch", "training", "validation", "best epoch: 2"]
    assert line(ax, "mini-batch").get_xdata().tolist() == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]
    assert line(ax, "training").get_xdata().tolist() == [1, 2, 3]
    assert ax.get_yscale() == "log" and ax.get_ylabel() == "mean squared error (m²)"
    assert viz.plot_history(lists, "accuracy").get_yscale() == "linear"
    assert viz.plot_history([3.0, 2.0]).get_legend() is None
    with pytest.raises(ValueError, match=r"'loss', 'batch_loss', .* but got of='speed'"):
        viz.plot_history(lists, "speed")
    with pytest.raises(TypeError, match="history=3"):
        viz.plot_history(3)


def test_history_of_fit():
    held_out = nn.fit(
        nn.MLP(1, [2, 1], seed=0), XS, XS, epochs=30, batch_size=5, validation=0.2, metrics={"mae": nn.mae}, seed=0
    )
    ax = viz.plot_history(held_out)
    assert line(ax, "validation").get_ydata().tolist() == held_out.validation_loss
    assert f"best epoch: {held_out.best_epoch + 1}" in labels(ax)
    assert viz.plot_history(held_out, "mae").lines[0].get_ydata().tolist() == held_out.metrics["mae"]


def test_fit_draws_models_functions_and_numbers():
    ax = viz.plot_fit(XS, XS, before=[0.0] * 20, after=lambda x: 2 * x, scale=(10, 100), xlabel="time (s)")
    assert labels(ax) == ["data", "before training", "after training"]
    assert line(ax, "before training").get_xdata().tolist() == pytest.approx([10 * x for x in XS])
    after = line(ax, "after training")
    assert after.get_ydata() == pytest.approx(20 * after.get_xdata())
    assert ax.collections[0].get_offsets()[3].tolist() == pytest.approx([10 * XS[3], 100 * XS[3]])
    assert ax.get_xlabel() == "time (s)"


def test_fit_of_a_history_looks_back():
    before = nn.MLP(1, [4, 1], seed=0)
    ax = viz.plot_fit(CURVE)
    drawn = line(ax, "before training")
    assert drawn.get_ydata().tolist() == pytest.approx(before.predict(drawn.get_xdata().tolist()), rel=1e-12)
    drawn = line(ax, "after 6 epochs")
    assert drawn.get_ydata().tolist() == CURVE.model.predict(drawn.get_xdata().tolist())


def test_fit_of_several_inputs_sets_predictions_against_targets():
    ax = viz.plot_fit([[1, 2], [3, 4]], [5, 6], after=lambda row: sum(row))
    assert labels(ax) == ["prediction = target", "after training"]
    assert ax.collections[0].get_offsets().tolist() == [[5, 3], [6, 7]]


@pytest.mark.parametrize("compiled", [False, True])
def test_boundary_is_where_the_model_changes_its_mind(compiled):
    model = nn.Neuron(2, activation=None, initialise=lambda source, nin, nout: 1.0)
    history = nn.fit(model, CORNERS, [1, 1, 1, 1], optimiser=nn.SGD, lr=0.0, epochs=1, record=True, compiled=compiled)
    for ax in (
        viz.plot_decision_boundary(history, threshold=1),
        viz.plot_decision_boundary(model, CORNERS, XOR, threshold=1),
    ):
        shades, border = (found for found in ax.collections if not isinstance(found, PathCollection))
        assert len(shades.get_paths()) > 2
        points = border.get_paths()[0].vertices
        assert len(points) > 10
        assert points.sum(axis=1) == pytest.approx(1.0)
    assert labels(ax) == ["0", "1", "border: score 1"]


@pytest.mark.filterwarnings("ignore:MLPClassifier has not converged")
def test_boundary_of_several_classes_and_of_estimators():
    rows, names = [[0, 0], [0, 1], [1, 0]], ["a", "b", "c"]
    ax = viz.plot_decision_boundary(lambda row: [1 - sum(row), row[1] - row[0], row[0] - row[1]], rows, names)
    assert labels(ax) == [*names, "border"]
    points = [found for found in ax.collections if isinstance(found, PathCollection)]
    colours = [to_hex(found.get_facecolor()[0]) for found in points]
    assert len(set(colours)) == 3
    pytest.importorskip("sklearn")
    classifier = nn.MLPClassifier([2], max_iter=5, random_state=0).fit(CORNERS, ["no", "yes", "yes", "no"])
    ax = viz.plot_decision_boundary(classifier, CORNERS, ["no", "yes", "yes", "no"], resolution=5)
    assert labels(ax) == ["no", "yes", "border: score 0.5"]


@pytest.mark.parametrize(
    ("loss", "activation", "low", "wanted"),
    [
        ("mse", None, 0, 0.5),
        ("mse", "sigmoid", 0, 0.5),
        ("mse", None, 1, 1.5),
        ("hinge", None, -1, 0),
        ("binary_cross_entropy", "sigmoid", 0, 0.5),
        (lambda p, t: nn.binary_cross_entropy(p, t, from_logits=True), None, 0, 0),
    ],
)
def test_boundary_stands_where_the_loss_does_not_care(loss, activation, low, wanted):
    rows = [[k / 10 - 1.5 * (k < 10), (k * k % 7) / 7] for k in range(21)]
    high = 1 if loss == "hinge" else low + 1
    classes = [high if a > 0 else low for a, b in rows]
    model = nn.MLP(2, [6, 1], output_activation=activation, seed=0)
    history = nn.fit(model, rows, classes, loss=loss, lr=0.1, epochs=300, record=100, metrics="accuracy", seed=0)
    assert history.metrics["accuracy"][-1] == 1.0
    ax = viz.plot_decision_boundary(history, resolution=5)
    assert labels(ax)[-1] == f"border: score {wanted:g}"
    # Of a model alone: what tells the samples apart.
    border = float(labels(viz.plot_decision_boundary(model, rows, classes, resolution=5))[-1].rpartition(" ")[2])
    scores = model.predict(rows)
    assert all((score > border) == (found == high) for score, found in zip(scores, classes, strict=True))


def tables(ax):
    return [found.get_array() for found in ax.collections if found.get_array() is not None]


def test_gradients_count_every_parameter_once():
    ax = viz.plot_gradients(CURVE)
    assert [table.shape for table in tables(ax)] == [(17, 6), (17, 6)]
    assert all(table.sum(axis=0).tolist() == pytest.approx([100.0] * 6) for table in tables(ax))
    assert [text.get_text() for text in ax.texts] == ["layers.0 (8 parameters)", "layers.1 (5 parameters)"]


def test_gradients_stand_where_their_size_is():
    # Any object of this form is a history.
    gradients = {"layers.0.w": -1.0, "layers.0.b": 0.0, "layers.1.w": 1e-3}
    history = SimpleNamespace(
        loss=[1.0], model=None, rows=[[0.0]], recorded=[0, 1], parameters=[gradients] * 2, gradients=[gradients]
    )
    first, second = (table[:, 0].tolist() for table in tables(viz.plot_gradients(history)))
    assert first == [50.0, *[0.0] * 15, 50.0]
    assert second == [0.0, 100.0, *[0.0] * 15]


def test_many_epochs_share_columns():
    history = nn.fit(nn.Neuron(1, seed=0), XS, XS, epochs=150, batch_size=None, record=True)
    (table,) = tables(viz.plot_gradients(history))
    assert table.shape == (17, 60)
    assert table.sum(axis=0).tolist() == pytest.approx([100.0] * 60)


@pytest.mark.parametrize("compiled", [False, True])
def test_surface_of_a_history(compiled):
    model = nn.Neuron(1, activation=None, initialise=lambda source, nin, nout: -1.0)
    history = nn.fit(
        model, XS, [2 * x + 1 for x in XS], optimiser=nn.SGD, lr=0.2, epochs=9, batch_size=None, record=True,
        compiled=compiled,
    )  # fmt: skip
    seen = []

    def loss(predictions, targets):
        seen.append(nn.mse(predictions, targets))
        return seen[-1]

    ax = viz.plot_surface(loss, history, ("weights.0", "bias"), resolution=6)
    path = line(ax, "path of training")
    assert path.get_xdata().tolist() == [snapshot["weights.0"] for snapshot in history.parameters]
    assert path.get_ydata().tolist() == [snapshot["bias"] for snapshot in history.parameters]
    assert len(seen) == 36
    # A corner by hand.
    a, b = min(path.get_xdata()), min(path.get_ydata())
    a -= 0.25 * (max(path.get_xdata()) - a)
    b -= 0.25 * (max(path.get_ydata()) - b)
    assert seen[0] == pytest.approx(sum((a * x + b - 2 * x - 1) ** 2 for x in XS) / 20)
    assert model.state_dict() == history.parameters[-1]


def test_ticks_of_one_epoch_are_whole():
    ax = viz.plot_history([0.5])
    ax.figure.canvas.draw()
    assert [text for tick in ax.get_xticklabels() if (text := tick.get_text())] == ["0", "1", "2"]


def classes(width):
    model = nn.MLP(width, [3], seed=0)
    return nn.fit(model, [[k] * width for k in range(3)], [0, 1, 2], loss="cross_entropy", epochs=1, record=True)


def test_attention_is_read_from_above():
    ax = viz.plot_attention([[1.0, 0.0], [0.25, 0.75]], ("ma", "ry"), title="head 1")
    (table,) = ax.collections
    assert table.get_array().tolist() == [[1.0, 0.0], [0.25, 0.75]]
    assert (table.norm.vmin, table.norm.vmax) == (0.0, 1.0)
    assert [label.get_text() for label in ax.get_xticklabels()] == ["ma", "ry"]
    assert ax.yaxis_inverted() and ax.get_title() == "head 1"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: viz.plot_fit([1, 2], [1]), ValueError, "one number in y for each of 2 rows"),
        (lambda: viz.plot_fit([1, 2], [1, 2], after=[1]), ValueError, "a prediction for each of 2 rows but got 1"),
        (lambda: viz.plot_fit([1, 2], [1, 2], after=[[1, 2], [3, 4]]), ValueError, "one prediction for each row"),
        (lambda: viz.plot_fit(classes(1)), ValueError, "rows of 3; .* use plot_decision_boundary"),
        (lambda: viz.plot_fit(classes(2)), ValueError, "rows of 3; .* use plot_decision_boundary"),
        (lambda: viz.plot_fit([1, 2], [1, 2], after=3), TypeError, "predictions=3"),
        (lambda: viz.plot_fit(nn.fit(nn.Neuron(1), [0], [0], epochs=1)), ValueError, "fit with record=True"),
        (lambda: viz.plot_gradients([1.0]), TypeError, "the History that fit returns"),
        (lambda: viz.plot_attention([[1.0]], "ab"), ValueError, "a label for each row .* but got 2 labels"),
        (lambda: viz.plot_attention([[1.0, 0.0], [1.0]], "ab"), ValueError, "a square table"),
        (lambda: viz.plot_attention([], ""), ValueError, "a square table"),
        (lambda: viz.plot_decision_boundary(sum, [[1, 2, 3]], [0]), ValueError, "rows of two numbers"),
        (lambda: viz.plot_decision_boundary(sum, CORNERS, [0]), ValueError, "a class for each of 4 rows"),
        (lambda: viz.plot_decision_boundary(sum, CORNERS * 5, range(20)), ValueError, "12 classes but got 20"),
        (lambda: viz.plot_decision_boundary(sum, CORNERS, XOR, resolution=1), ValueError, "resolution=1"),
        (lambda: viz.plot_surface(nn.mse, CURVE, ("w", "b")), ValueError, "names of two parameters, of layers.0"),
        (lambda: viz.plot_surface(max, [(1, 2, 3)]), ValueError, "rows of 2 numbers"),
        (lambda: viz.plot_surface(lambda a, b: math.nan, [(1, 2)]), ValueError, "finite somewhere"),
    ],
)  # fmt: skip
def test_what_cannot_be_plotted_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_legends_cover_nothing_that_is_drawn():
    """In a free corner where there is one, else below the axes; computed again from the drawn figure."""
    from matplotlib.figure import Figure

    falling = [1.0 / (k + 1) for k in range(40)]
    everywhere = [float(k % 2) for k in range(40)]
    for losses, inside in ((falling, True), (everywhere, False)):
        figure = Figure(figsize=(6.4, 4.0), layout="constrained")
        ax = viz.plot_history(
            {"loss": losses, "validation_loss": [1.1 * loss + 0.01 for loss in losses]}, ax=figure.subplots()
        )
        figure.draw_without_rendering()
        box = ax.get_legend().get_window_extent()
        points = [point for line in ax.lines[:2] for point in ax.transData.transform(line.get_xydata())]
        assert not any(box.x0 <= x <= box.x1 and box.y0 <= y <= box.y1 for x, y in points)
        assert (box.y0 > ax.get_window_extent().y0) == inside and box.y0 >= 0


def test_rings_are_round():
    rows = [[0.0, 0.0], [2.0, 0.0], [0.0, 2.0], [2.0, 2.0]]
    ax = viz.plot_decision_boundary(lambda row: row[0] - 1, rows, [0, 1, 0, 1])
    assert ax.get_aspect() == 1.0
    ax = viz.plot_decision_boundary(lambda row: row[0] - 1, [[a, 10 * b] for a, b in rows], [0, 1, 0, 1])
    assert ax.get_aspect() == "auto"
