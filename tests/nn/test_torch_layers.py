"""Layers against torch's: outputs and gradients; in graphs and in machine code; saved and built again."""

import json
import random

import chainrule
import pytest
from chainrule import Var, nn
from chainrule.nn import predicting

ROWS = [[0.3 * i - 0.7 * j + 0.1 * i * j for j in range(4)] for i in range(5)]


@pytest.fixture
def torch():
    found = pytest.importorskip("torch")
    usual = found.get_default_dtype()
    found.set_default_dtype(found.float64)
    yield found
    found.set_default_dtype(usual)


def flat(output):
    """Return the numbers of a number, a row or rows, one after the other."""
    return [x for item in output for x in flat(item)] if isinstance(output, list | tuple) else [output]


def weighed(numbers):
    """Return a sum in which every output counts differently, so that each has a derivative of its own."""
    return sum((k + 1) * 0.1 * x * x + x for k, x in enumerate(numbers))


def ours(module, x):
    """Return outputs, and derivatives by inputs and by parameters in order."""
    leaves = [Var(v) for v in flat(x)]
    left = iter(leaves)
    given = [[next(left) for _ in row] for row in x] if isinstance(x[0], list) else leaves
    found = flat(module(given))
    weighed(found).backward()
    return [v.value for v in found], [v.grad for v in leaves], [p.grad for p in module.parameters()]


def theirs(torch, function, x, parameters):
    """Return the same of a function of tensors; parameters are leaves, in groups."""
    given = torch.tensor(x, requires_grad=True)
    found = function(given).reshape(-1)
    weighed(found).backward()
    return found.tolist(), given.grad.reshape(-1).tolist(), [p.grad for p in parameters]


def shaken(module, seed=1):
    """Give every parameter a value that is the same every time, those too that begin at 0 or 1."""
    source = random.Random(seed)
    for parameter in module.parameters():
        parameter.value = source.uniform(-0.7, 0.7)
    return module


def matrix(torch, layer):
    return torch.tensor([[w.value for w in neuron.weights] for neuron in layer.neurons])


def biases(torch, layer):
    return torch.tensor([neuron.bias.value for neuron in layer.neurons])


def grads(layer):
    """Return the gradients of a layer: of its weights, row by row, and of its biases."""
    return [[w.grad for w in neuron.weights] for neuron in layer.neurons], [n.bias.grad for n in layer.neurons]


def close(a, b):
    assert flat(a) == pytest.approx(flat(b), rel=1e-12, abs=1e-13)


@pytest.mark.parametrize("x", [ROWS[1], ROWS], ids=["row", "rows"])
def test_layer_norm(torch, x):
    module = shaken(nn.LayerNorm(4))
    other = torch.nn.LayerNorm(4)
    with torch.no_grad():
        other.weight.copy_(torch.tensor([v.value for v in module.weights]))
        other.bias.copy_(torch.tensor([v.value for v in module.biases]))
    found, wanted = ours(module, x), theirs(torch, other, x, [other.weight, other.bias])
    close(found[0] + found[1], wanted[0] + wanted[1])
    close(found[2], [grad for part in wanted[2] for grad in part.tolist()])


@pytest.mark.parametrize("x", [ROWS[1], ROWS], ids=["row", "rows"])
def test_rms_norm(torch, x):
    module = shaken(nn.RMSNorm(4, eps=1e-3))
    other = torch.nn.RMSNorm(4, eps=1e-3)
    with torch.no_grad():
        other.weight.copy_(torch.tensor([v.value for v in module.weights]))
    found, wanted = ours(module, x), theirs(torch, other, x, [other.weight])
    close(found[0] + found[1], wanted[0] + wanted[1])
    close(found[2], wanted[2][0].tolist())


@pytest.mark.parametrize("count", [1, 4])
def test_prelu(torch, count):
    module = shaken(nn.PReLU(count))
    other = torch.nn.PReLU(count)
    with torch.no_grad():
        other.weight.copy_(torch.tensor([v.value for v in module.slopes]))
    found, wanted = ours(module, ROWS), theirs(torch, other, ROWS, [other.weight])
    close(found[0] + found[1], wanted[0] + wanted[1])
    close(found[2], wanted[2][0].tolist())


def test_embedding(torch):
    module = nn.Embedding(6, 3, seed=1)
    other = torch.nn.Embedding(6, 3)
    with torch.no_grad():
        other.weight.copy_(torch.tensor([[v.value for v in row] for row in module.rows]))
    found = flat(module([2, 0, 2]))
    wanted = other(torch.tensor([2, 0, 2])).reshape(-1)
    weighed(found).backward()
    weighed(wanted).backward()
    close([v.value for v in found], wanted.tolist())
    close([p.grad for p in module.parameters()], other.weight.grad.reshape(-1).tolist())


def recurrent(torch, name, module, nin, gates, hidden_bias=None):
    """Return torch's module with the weights of ours; `gates` are our layers in torch's order."""
    other = getattr(torch.nn, name)(nin, module.nout)
    weights, added = [matrix(torch, layer) for layer in gates], [biases(torch, layer) for layer in gates]
    with torch.no_grad():
        other.weight_ih_l0.copy_(torch.cat([w[:, :nin] for w in weights]))
        other.weight_hh_l0.copy_(torch.cat([w[:, nin:] for w in weights]))
        other.bias_ih_l0.copy_(torch.cat(added))
        other.bias_hh_l0.zero_()
    return other


@pytest.mark.parametrize("sequence", [False, True])
@pytest.mark.parametrize("name", ["RNN", "LSTM"])
def test_recurrent_layers(torch, name, sequence):
    module = shaken(getattr(nn, name)(4, 3, sequence=sequence, seed=1))
    gates = [module.layer] if name == "RNN" else [module.write, module.keep, module.new, module.read]
    other = recurrent(torch, name, module, 4, gates)
    found = ours(module, ROWS)
    wanted = theirs(torch, lambda x: other(x)[0][slice(None) if sequence else -1], ROWS, other.parameters())
    close(found[0] + found[1], wanted[0] + wanted[1])
    of_rows, of_state, of_bias, _ = wanted[2]
    for k, layer in enumerate(gates):
        part = slice(3 * k, 3 * k + 3)
        close(grads(layer)[0], torch.cat([of_rows[part], of_state[part]], dim=1).tolist())
        close(grads(layer)[1], of_bias[part].tolist())


@pytest.mark.parametrize("sequence", [False, True])
def test_gru(torch, sequence):
    module = shaken(nn.GRU(4, 3, sequence=sequence, seed=1))
    other = torch.nn.GRU(4, 3)
    joined = [matrix(torch, layer) for layer in (module.reset, module.keep)]
    with torch.no_grad():
        other.weight_ih_l0.copy_(torch.cat([*[w[:, :4] for w in joined], matrix(torch, module.new)]))
        other.weight_hh_l0.copy_(torch.cat([*[w[:, 4:] for w in joined], matrix(torch, module.old)]))
        layers = (module.reset, module.keep, module.new)
        other.bias_ih_l0.copy_(torch.cat([biases(torch, layer) for layer in layers]))
        other.bias_hh_l0.copy_(torch.cat([torch.zeros(6), biases(torch, module.old)]))
    found = ours(module, ROWS)
    wanted = theirs(torch, lambda x: other(x)[0][slice(None) if sequence else -1], ROWS, other.parameters())
    close(found[0] + found[1], wanted[0] + wanted[1])
    of_rows, of_state, bias_rows, bias_state = wanted[2]
    for k, layer in enumerate((module.reset, module.keep)):
        part = slice(3 * k, 3 * k + 3)
        close(grads(layer)[0], torch.cat([of_rows[part], of_state[part]], dim=1).tolist())
        close(grads(layer)[1], bias_rows[part].tolist())
    close(flat(grads(module.new)), flat([of_rows[6:].tolist(), bias_rows[6:].tolist()]))
    close(flat(grads(module.old)), flat([of_state[6:].tolist(), bias_state[6:].tolist()]))


@pytest.mark.parametrize(("width", "stride", "padding"), [(1, 1, 0), (3, 1, 0), (2, 2, 0), (3, 2, 1), (5, 1, 2)])
def test_conv1d(torch, width, stride, padding):
    module = shaken(nn.Conv1d(4, 3, width, stride, padding, activation=None, seed=1))
    other = torch.nn.Conv1d(4, 3, width, stride, padding)
    with torch.no_grad():
        other.weight.copy_(matrix(torch, module.layer).reshape(3, width, 4).transpose(1, 2))
        other.bias.copy_(biases(torch, module.layer))
    found = ours(module, ROWS)
    wanted = theirs(torch, lambda x: other(x.T[None])[0].T, ROWS, [other.weight, other.bias])
    close(found[0] + found[1], wanted[0] + wanted[1])
    close(grads(module.layer)[0], wanted[2][0].transpose(1, 2).reshape(3, -1).tolist())
    close(grads(module.layer)[1], wanted[2][1].tolist())


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [1, 2])
def test_attention(torch, heads, causal):
    module = shaken(nn.Attention(4, heads, causal, seed=1))
    other = torch.nn.MultiheadAttention(4, heads)
    inner = (module.query, module.key, module.value)
    with torch.no_grad():
        other.in_proj_weight.copy_(torch.cat([matrix(torch, layer) for layer in inner]))
        other.in_proj_bias.copy_(torch.cat([biases(torch, layer) for layer in inner]))
        other.out_proj.weight.copy_(matrix(torch, module.mix))
        other.out_proj.bias.copy_(biases(torch, module.mix))
    mask = torch.triu(torch.ones(5, 5, dtype=torch.bool), 1) if causal else None
    found = ours(module, ROWS)
    wanted = theirs(torch, lambda x: other(x, x, x, attn_mask=mask)[0], ROWS, list(other.parameters()))
    close(found[0] + found[1], wanted[0] + wanted[1])
    close(flat([grads(layer)[0] for layer in inner]), flat(wanted[2][0].tolist()))
    close(flat([grads(layer)[1] for layer in inner]), flat(wanted[2][1].tolist()))
    close(flat(grads(module.mix)), flat([part.tolist() for part in wanted[2][2:]]))


def test_residual():
    module = nn.Residual(nn.Layer(4, 5, seed=1), nn.Layer(5, 4, None, seed=2))
    inner = module.inner(ROWS[0])
    close([v.value for v in module(ROWS[0])], [v.value + x for v, x in zip(inner, ROWS[0], strict=True)])
    single = nn.Residual(nn.Layer(1, 1, None, initialise=lambda *_: 2.0))
    assert [v.value for v in single([3.0])] == [9.0]


def tokens(count, most):
    source = random.Random(3)
    return [[source.randrange(most) for _ in range(count)] for _ in range(12)]


def numbers(count):
    source = random.Random(4)
    return [[source.uniform(-1, 1) for _ in range(count)] for _ in range(12)]


MODELS = {
    "norms": (lambda: nn.Sequential(nn.Layer(3, 5), nn.LayerNorm(5), nn.PReLU(5), nn.RMSNorm(5), nn.Layer(5, 1)), 3),
    "residual": (lambda: nn.Sequential(nn.Layer(3, 4), nn.Residual(nn.Layer(4, 4), nn.PReLU()), nn.Layer(4, 1)), 3),
    "rnn": (lambda: nn.Sequential(nn.RNN(1, 3, "relu"), nn.Layer(3, 1)), 6),
    "gru": (lambda: nn.Sequential(nn.GRU(2, 3), nn.Layer(3, 1)), 6),
    "lstm": (lambda: nn.Sequential(nn.LSTM(2, 3, sequence=True), nn.LSTM(3, 2), nn.Layer(2, 1)), 6),
    "long lstm": (lambda: nn.Sequential(nn.LSTM(1, 3), nn.Layer(3, 1)), 50),
    "conv": (lambda: nn.Sequential(nn.Conv1d(1, 3, 3, 2, 1), nn.RNN(3, 2), nn.Layer(2, 1)), 8),
    "long conv": (lambda: nn.Sequential(nn.Conv1d(2, 3, 3), nn.RNN(3, 2), nn.Layer(2, 1)), 40),
    "attention": (lambda: nn.Sequential(nn.Attention(2, 2, causal=True), nn.GRU(2, 2), nn.Layer(2, 1)), 8),
    "wide gru": (lambda: nn.Sequential(nn.GRU(2, 30), nn.Layer(30, 1)), 8),
    "wide attention": (
        lambda: nn.Sequential(
            nn.Conv1d(1, 32, 2, 2), nn.Residual(nn.RMSNorm(32), nn.Attention(32, 4)), nn.RNN(32, 2), nn.Layer(2, 1)
        ),
        8,
    ),
    "embedding": (lambda: nn.Sequential(nn.Embedding(6, 3), nn.GRU(3, 3), nn.Layer(3, 1)), 4),
    "flat embedding": (lambda: nn.Sequential(nn.Embedding(6, 3, flat=True), nn.Layer(12, 1)), 4),
    "wide embedding": (lambda: nn.Sequential(nn.Embedding(300, 9, flat=True), nn.Layer(36, 1)), 4),
}


def model_and_rows(name):
    make, count = MODELS[name]
    model = shaken(make(), seed=2)
    most = 300 if "wide" in name else 6
    return model, tokens(count, most) if "embedding" in name else numbers(count)


@pytest.mark.parametrize("name", MODELS)
def test_machine_code_trains_as_graphs_do(name):
    states = []
    for compiled in (False, True):
        model, rows = model_and_rows(name)
        targets = [sum(row) / len(row) for row in rows]
        history = nn.fit(model, rows, targets, batch_size=5, epochs=2, lr=0.01, seed=1, compiled=compiled)
        assert history.compiled is compiled
        states.append(model.state_dict())
    assert states[1] == pytest.approx(states[0], rel=1e-8, abs=1e-11)


@pytest.mark.parametrize("suffix", ["json", "safetensors"])
@pytest.mark.parametrize("name", MODELS)
def test_models_are_saved_and_built_again(name, suffix, tmp_path):
    if suffix == "safetensors":
        pytest.importorskip("safetensors")
    model, rows = model_and_rows(name)
    nn.save(model, tmp_path / f"model.{suffix}")
    again = nn.load(tmp_path / f"model.{suffix}")
    assert repr(again) == repr(model)
    assert again.state_dict() == model.state_dict()
    assert again.predict(rows) == model.predict(rows)


def test_lists_of_parameters_are_tensors(tmp_path):
    safetensors = pytest.importorskip("safetensors")

    class Own(nn.Module):
        def __init__(self):
            self.norm, self.embedding = nn.LayerNorm(3), nn.Embedding(4, 2, seed=1)
            self.ragged = [[Var(1.0)], [Var(2.0), Var(3.0)]]
            self.mixed = [Var(1.0), [Var(2.0)]]
            self.deep = [[[Var(1.0), Var(2.0)]]]
            self.named = {"00": Var(1.0), "1000000000": Var(2.0)}

    model = Own()
    nn.save(model, tmp_path / "model.safetensors")
    with safetensors.safe_open(tmp_path / "model.safetensors", "numpy") as file:
        names = file.keys()
        found = {name: tuple(file.get_slice(name).get_shape()) for name in names}
    shapes = {name: shape for name, shape in found.items() if shape}
    assert shapes == {"norm.weights": (3,), "norm.biases": (3,), "embedding.rows": (4, 2), "deep.0": (1, 2)}
    again = shaken(Own())
    nn.load(tmp_path / "model.safetensors", again)
    assert again.state_dict() == model.state_dict()


@pytest.mark.parametrize("name", ["embedding", "lstm", "attention"])
def test_sizes_are_counted_before_anything_is_built(name, tmp_path):
    model, _ = model_and_rows(name)
    path = tmp_path / "model.json"
    nn.save(model, path)
    content = json.loads(path.read_text())
    first = content["architecture"]["parts"][0]
    for key in [key for key, value in first.items() if type(value) is int and key not in ("heads", "width")]:
        first[key] = 10**9
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"parameters where the file holds|expected heads"):
        nn.load(path)
    first[key] = -1
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match="is no whole number above 0: -1"):
        nn.load(path)


def test_changed_inner_layers_are_no_architecture(tmp_path):
    model = nn.GRU(2, 2)
    model.new = nn.Layer(2, 2, "tanh")
    nn.save(model, tmp_path / "model.json")
    with pytest.raises(ValueError, match="expected a model to fill"):
        nn.load(tmp_path / "model.json")


@pytest.mark.parametrize("outputs", [nn.RNN(2, 3, sequence=True, seed=1), nn.Attention(2, seed=1)])
def test_rows_of_rows_are_predicted(outputs):
    rows = numbers(4)
    found = outputs.predict(rows)
    assert len(found) == len(rows)
    assert len(found[0]) == 2
    compiled = chainrule.compile(lambda x: outputs(x), batch="x")
    with chainrule.no_grad():
        import numpy

        again = numpy.array(compiled(numpy.array(rows)))
    assert flat(numpy.array(found).tolist()) == pytest.approx(flat(numpy.moveaxis(again, 2, 0).tolist()), rel=1e-12)


@pytest.mark.parametrize("model", [nn.RNN(2, 3, sequence=True, seed=1), nn.Attention(2, seed=1)])
def test_machine_code_predicts_rows_of_rows(model):
    numpy = pytest.importorskip("numpy")
    source = random.Random(5)
    rows = [[source.uniform(-1, 1) for _ in range(4)] for _ in range(300)]
    found = predicting.predicted_array(model, rows, at_once=True)
    assert found is not None
    wanted = [[[x.value for x in row] for row in model(sample)] for sample in rows]
    assert found == pytest.approx(numpy.array(wanted), rel=1e-12, abs=1e-14)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.GRU(2, 3)([1.0, 2.0, 3.0]), ValueError, "GRU expected rows of 2 numbers, one or more, but got x="),
        (lambda: nn.RNN(2, 3)([[1.0, 2.0], [3.0]]), ValueError, "RNN expected 2 inputs but got 1"),
        (lambda: nn.LSTM(1, 3)([]), ValueError, "LSTM expected rows of 1 number, one or more"),
        (lambda: nn.Conv1d(1, 1, 4)([1.0, 2.0]), ValueError, "Conv1d expected at least 4 rows but got 2"),
        (lambda: nn.Attention(4, heads=3), ValueError, "Attention expected heads that divide 4 but got heads=3"),
        (lambda: nn.Embedding(3, 1)(1.5), ValueError, "Embedding expected a whole number from 0 to 2 but got x=1.5"),
        (lambda: nn.Embedding(3, 1)([0, 3]), ValueError, "from 0 to 2 but got x=3"),
        (lambda: nn.LayerNorm(2)([1.0]), ValueError, "LayerNorm expected 2 inputs but got 1"),
        (lambda: nn.LayerNorm(0), ValueError, "LayerNorm expected a whole number, 1 or above, but got size=0"),
        (lambda: nn.PReLU(2)([1.0]), ValueError, "PReLU expected 2 numbers but got 1"),
        (lambda: nn.Residual(nn.Layer(2, 3))([1.0, 2.0]), ValueError, "Residual expected stages that keep 2 numbers"),
        (lambda: nn.RMSNorm(2, eps=0.0), ValueError, "RMSNorm expected a finite number above 0 but got eps=0.0"),
    ],
)
def test_what_is_wrong_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
