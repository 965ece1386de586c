"""Models in other forms: safetensors, C, ONNX, PyTorch, scikit-learn; each compared with the model itself."""

import ctypes
import json
import shutil
import subprocess

import chainrule as cr
import numpy as np
import pytest
from chainrule import nn

ROWS = np.random.default_rng(0).normal(size=(40, 3)) * 3
BOTH = ["relu", "tanh", "sigmoid", "softplus", "leaky_relu", "elu", "celu", "silu", "mish", "softsign", "log_sigmoid"]
BOTH += ["hardtanh", "linear"]


def model_of(activation):
    return nn.MLP(3, [5, 4, 2], activation=activation, seed=1)


def predicted(model, rows=ROWS):
    found = np.array(model.predict(rows))
    return found[:, None] if found.ndim == 1 else found


@pytest.mark.parametrize("model", [nn.Neuron(3, seed=1), nn.Layer(3, 2, "relu", seed=1), model_of("gelu")], ids=repr)
def test_safetensors_bring_a_model_back(model, tmp_path):
    numpy_form = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "model.safetensors"
    nn.save(model, path)
    again = nn.load(path)
    assert repr(again) == repr(model) and again.state_dict() == model.state_dict()
    if isinstance(model, nn.MLP):
        tensors = numpy_form.load_file(path)
        assert {name: tensor.shape for name, tensor in tensors.items()} == {
            "layers.0.weight": (5, 3), "layers.0.bias": (5,), "layers.1.weight": (4, 5), "layers.1.bias": (4,),
            "layers.2.weight": (2, 4), "layers.2.bias": (2,),
        }  # fmt: skip


def test_safetensors_hold_modules_of_the_users_own(tmp_path):
    pytest.importorskip("safetensors")

    class Own(nn.Module):
        def __init__(self):
            self.neurons, self.weight = [nn.Neuron(2, seed=3), nn.Neuron(1, seed=4)], cr.Var(0.1)

    path, own, other = tmp_path / "own.safetensors", Own(), Own()
    nn.save(own, path)
    other.weight.value = 5.0
    assert nn.load(path, other).state_dict() == own.state_dict()


def test_wrong_safetensors_are_refused(tmp_path):
    numpy_form = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "wrong.safetensors"
    kept = {"format": "chainrule model", "version": "1", "architecture": "null"}
    for data, message in [
        (b"", "truncated or another"),
        (b"\xff" * 40, "truncated or another"),
        (numpy_form.save({"w": np.zeros(())}), "but it is another"),
        (numpy_form.save({"w": np.zeros(())}, kept | {"version": "2"}), "expected version 1 but got '2'"),
        (numpy_form.save({"w": np.zeros((), dtype=int)}, kept), "tensor 'w' of I64"),
        (numpy_form.save({"bias": np.zeros((2, 2))}, kept), "neither a layer's weight nor its bias"),
        (numpy_form.save({"w": np.zeros(())}, kept | {"architecture": "["}), "architecture in JSON"),
        (numpy_form.save({"w": np.zeros(())}, kept), "a model to fill"),
    ]:
        path.write_bytes(data)
        with pytest.raises(ValueError, match=message) as caught:
            nn.load(path)
        assert "wrong.safetensors" in str(caught.value)


@pytest.mark.parametrize(
    "architecture",
    [
        {"type": "Neuron", "nin": 2_000_000_000_000, "activation": "tanh"},
        {"type": "Layer", "nin": 10_000_000, "nout": 10_000_000, "activation": "tanh"},
        {"type": "MLP", "parts": [{"type": "Layer", "nin": 1, "nout": 10**12, "activation": "tanh"}] * 2},
        {"type": "Sequential", "parts": [{"type": "Layer", "nin": 1, "nout": 900, "activation": "tanh"}] * 1000},
        {"type": "Neuron", "nin": -5, "activation": "tanh"},
        {"type": "Neuron", "nin": 2.0, "activation": "tanh"},
    ],
    ids=str,
)
def test_sizes_are_counted_before_anything_is_built(architecture, tmp_path, monkeypatch):
    def built(self, *args, **named):
        raise AssertionError("built")

    monkeypatch.setattr(nn.Neuron, "__init__", built)
    path = tmp_path / "hostile.json"
    content = {"format": "chainrule model", "version": 1, "parameters": {"bias": 1.0}, "architecture": architecture}
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"hostile\.json expected a description of a model of nn, but it is wrong"):
        nn.load(path)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs a C compiler")
def test_c_computes_the_same(tmp_path):
    model = model_of("gelu")
    source = nn.export_c(model, tmp_path / "model.c")
    flags = ["-std=c99", "-O1", "-shared", "-fPIC"]
    subprocess.run(["gcc", *flags, source, "-o", tmp_path / "model.so", "-lm"], check=True)
    predict = ctypes.CDLL(str(tmp_path / "model.so")).predict
    found = np.empty((len(ROWS), 2))
    for row, out in zip(ROWS, found, strict=True):
        predict((ctypes.c_double * 3)(*row), out.ctypes.data_as(ctypes.c_void_p))
    np.testing.assert_allclose(found, predicted(model), rtol=1e-12, atol=1e-15)


def test_export_c_asks_for_an_example_where_it_needs_one(tmp_path):
    class Line(nn.Module):
        def __init__(self):
            self.slope = cr.Var(2.0)

        def __call__(self, x):
            return self.slope * x[0] + x[1]

    with pytest.raises(TypeError, match=r"export_c without an example expected layers .* the model is"):
        nn.export_c(Line(), tmp_path / "line.c")
    assert "predict" in nn.export_c(Line(), tmp_path / "line.c", [1.0, 2.0]).read_text()


@pytest.mark.parametrize("activation", [*BOTH, "selu", "gelu"])
def test_onnx_computes_the_same(activation, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    for number, last in enumerate([[], [cr.softmax], [cr.log_softmax]]):
        model = nn.Sequential(model_of(activation), *last)
        session = runtime.InferenceSession(nn.export_onnx(model, tmp_path / f"{number}.onnx"))
        [found] = session.run(None, {"X": ROWS})
        np.testing.assert_allclose(found, predicted(model), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["selu", "gelu"])
def test_onnx_computes_units_over_their_whole_range(name, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    model = nn.Layer(1, 1, activation=name)
    model.load_state_dict({"neurons.0.weights.0": 1.0, "neurons.0.bias": 0.0})
    session = runtime.InferenceSession(nn.export_onnx(model, tmp_path / "unit.onnx"))
    x = np.concatenate([np.linspace(-37.0, 37.0, 1001), np.linspace(-1e-3, 1e-3, 11), [-1e300, -150.0, 1e-300, 1e300]])
    [found] = session.run(None, {"X": x[:, None]})
    wanted = [getattr(cr, name)(each) for each in x.tolist()]
    np.testing.assert_allclose(found[:, 0], wanted, rtol=1e-12, atol=0.0)
    [ends] = session.run(None, {"X": np.array([[-np.inf], [np.inf], [np.nan]])})
    np.testing.assert_allclose(ends[:, 0], [getattr(cr, name)(each) for each in (-np.inf, np.inf, np.nan)], rtol=1e-12)


@pytest.mark.parametrize("activation", [*BOTH, "selu", "gelu"])
def test_torch_and_back(activation):
    torch = pytest.importorskip("torch")
    model = nn.Sequential(model_of(activation), cr.softmax)
    there = nn.to_torch(model)
    found = there(torch.tensor(ROWS)).detach().numpy()
    np.testing.assert_allclose(found, predicted(model), rtol=1e-12, atol=1e-14)
    back = nn.from_torch(there)
    assert repr(back) == repr(model)
    assert list(back.state_dict().values()) == list(model.state_dict().values())


def test_a_torch_stage_that_stands_there_twice_counts_twice():
    torch = pytest.importorskip("torch")
    linear, relu = torch.nn.Linear(3, 3).double(), torch.nn.ReLU()
    module = torch.nn.Sequential(linear, relu, linear, relu)
    found = predicted(nn.from_torch(module))
    np.testing.assert_allclose(found, module(torch.tensor(ROWS)).detach(), rtol=1e-12, atol=1e-15)


def test_from_torch_in_single_precision_without_bias():
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 2, bias=False), torch.nn.Sequential(torch.nn.Tanh()))
    np.testing.assert_allclose(
        predicted(nn.from_torch(module)), module.double()(torch.tensor(ROWS)).detach(), rtol=1e-12
    )


def test_layers_that_the_other_side_does_not_know_are_named(tmp_path):
    torch = pytest.importorskip("torch")
    layer = nn.Layer(3, 2, activation=cr.sinc)
    for convert in (nn.to_torch, lambda model: nn.export_onnx(model, tmp_path / "m.onnx")):
        with pytest.raises(TypeError, match=r"expected functions that both sides know .* but stages\[1\] has"):
            convert(nn.Sequential(nn.Layer(3, 3), layer))
    linear = torch.nn.Linear(3, 3)
    for stages, message in [
        ([linear, torch.nn.Dropout()], "layer 1 is it=Dropout"),
        ([linear, torch.nn.GELU(approximate="tanh")], "approximate='none'.* layer 1 is GELU"),
        ([torch.nn.Tanh()], "layer 0, which follows no linear layer"),
        ([linear, torch.nn.Tanh(), torch.nn.ReLU()], "layer 2, which follows no linear layer"),
        ([linear, torch.nn.Softmax(1), linear], "layer 2, after softmax"),
        ([], "at least one linear layer"),
    ]:
        with pytest.raises(TypeError, match=message):
            nn.from_torch(torch.nn.Sequential(*stages))


@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_from_sklearn(activation):
    neural = pytest.importorskip("sklearn.neural_network")
    wanted = ROWS @ [1.0, -2.0, 0.5]
    settings = {"hidden_layer_sizes": (5, 4), "activation": activation, "max_iter": 5, "random_state": 0}
    regressor = neural.MLPRegressor(**settings).fit(ROWS, wanted)
    np.testing.assert_allclose(predicted(nn.from_sklearn(regressor))[:, 0], regressor.predict(ROWS), rtol=1e-12)
    for edges in ([0.0], [-1.0, 2.0]):
        classifier = neural.MLPClassifier(**settings).fit(ROWS, np.digitize(wanted, edges))
        shares = classifier.predict_proba(ROWS)
        found = predicted(nn.from_sklearn(classifier))
        np.testing.assert_allclose(found, shares if len(edges) > 1 else shares[:, 1:], rtol=1e-12)
    with pytest.raises(ValueError, match="expected a fitted estimator"):
        nn.from_sklearn(neural.MLPRegressor())
    with pytest.raises(TypeError, match="of scikit-learn but got estimator=3"):
        nn.from_sklearn(3)
