"""The playground: its expressions, networks and derivatives against Python's, and the page in a headless browser."""

import json
import math
import random
import re
from functools import partial

import chainrule as cr
import pytest
from chainrule import Var, nn, viz
from chainrule.viz.formulas import ExpressionError, evaluate, variables

NUMBERS = {"x": 1.25, "y": -0.75, "z": 0.5, "w_1": 2.0, "é": 3.5}
# One or two arguments each, none of which the page lacks.
ONE = ["sin", "cos", "exp", "tanh", "sigmoid", "relu", "softplus", "sqrt", "log", "abs", "gelu", "erf", "selu"]
TWO = ["maximum", "minimum", "hypot", "pow", "atan2", "less", "leaky_relu", "logaddexp"]
LISTS = ["sum", "mean", "norm", "logsumexp", "prod"]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return viz.playground(tmp_path_factory.mktemp("page") / "playground.html")


@pytest.fixture(scope="module")
def reader(browser, path):
    """One page for all that only calls its functions."""
    page = browser.new_page()
    page.goto(path.as_uri())
    return page


def expression(source, depth=4):
    """Write a random expression, spaces and all."""
    inner = partial(expression, source, depth - 1)
    if depth == 0 or source.random() < 0.15:
        return source.choice([*NUMBERS, "pi", "e", "2", "0.5", "1e-1", ".25", "3.", "1_0", "0x1F"])
    kind = source.randrange(8)
    if kind == 0:
        return f"{source.choice('+-')}{inner()}"
    if kind == 1:
        return f"({inner()})"
    if kind == 2:
        return f"{source.choice(ONE)}({inner()})"
    if kind == 3:
        return f"{source.choice(TWO)}( {inner()},{inner()} )"
    if kind == 4:
        return f"{source.choice(LISTS)}([{', '.join(inner() for _ in range(source.randint(1, 4)))}])"
    space = source.choice(["", " "])
    return f"{inner()}{space}{source.choice(['+', '-', '*', '/', '**', '//', '%', '*', '+'])}{space}{inner()}"


READ = """texts => texts.map((text) => {
  try {
    const tree = tree_of(text, language);
    const nodes = grown(tree, names_of(NUMBERS), language);
    const order = nodes.map((_, k) => k).filter((k) => nodes[k].key !== null).reverse();
    const graph = passes_over(nodes, order, rows);
    graph.compute();
    const { grads } = graph.gradients(graph.steps.length - 1);
    const slopes = nodes.flatMap((node, k) => (node.editable ? [[node.name, String(grads[k] ?? 0)]] : []));
    return { value: String(graph.values[graph.root]), slopes: Object.fromEntries(slopes) };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { message: error.message, at: error.at };
  }
})""".replace("NUMBERS", json.dumps(NUMBERS))


def in_python(text):
    values = {name: Var(value, label=name) for name, value in NUMBERS.items()}
    try:
        root = evaluate(text, values)
    except ExpressionError as error:
        found = re.search(r"^(.*) \(column (\d+)\)", str(error))
        return None, {}, (found[1], int(found[2]) - 1)
    if root.requires_grad:
        root.backward()
    used = variables(text)
    return root.value, {name: var.grad for name, var in values.items() if name in used}, None


def near(found, wanted, rel=1e-12):
    return (
        math.isclose(found, wanted, rel_tol=rel, abs_tol=1e-300)
        or found == wanted
        or (found != found and wanted != wanted)
    )


def number(text):
    return float(text.replace("Infinity", "inf"))


def test_expressions_equal_pythons(reader):
    source = random.Random(7)
    texts = [expression(source) for _ in range(600)]
    compared = 0
    for text, found in zip(texts, reader.evaluate(READ, texts), strict=True):
        value, slopes, fault = in_python(text)
        assert fault is None and "message" not in found, (text, fault, found)
        assert near(number(found["value"]), value), (text, value, found)
        for name, slope in found["slopes"].items():
            if math.isfinite(slopes[name]):
                # Where terms of a sum cancel, the last digits of the terms remain.
                assert math.isclose(number(slope), slopes[name], rel_tol=1e-12, abs_tol=1e-12), (text, name, slope)
                compared += 1
    assert compared > 600


def test_what_python_refuses_is_refused(reader):
    source = random.Random(8)
    texts = []
    while len(texts) < 800:
        text = list(expression(source, 3))
        for _ in range(source.randint(1, 2)):
            place = source.randrange(len(text) + 1)
            text[place : place + source.randint(0, 1)] = source.choice(
                [*"()[],+-*/.<=^|@~ x2e:#'", "**", "//", " if ", " and ", ""]
            )
        text = "".join(text)
        # A name that ends in Python's sense, such as 1if, is read there with a warning; a text over lines is not typed.
        if not re.search(r"\d(if|and)", text):
            texts.append(text)
    refused = 0
    for text, found in zip(texts, reader.evaluate(READ, texts), strict=True):
        value, _, fault = in_python(text)
        assert (fault is None) == ("message" not in found), (text, fault, found)
        if fault is None:
            assert near(number(found["value"]), value), (text, value, found)
        else:
            refused += 1
    assert 300 < refused < 790


SAME = [
    "x^2", "x<1", "x == 1", "x @ y", "x | y", "1j", "True", "'a'", "x.real", "x[0]", "not x", "~x", "sin", "2(x)",
    "x if x else 1", "x and y", "sin(x)(x)", "sin(x=2)", "sin(*x)", "q + x", "foo_bar_baz(x)", "ln(x)", "max(x, y)",
    "arctan(x)", "sigmoyd(x)", "tahn(x)", "softmax([x])", "sin(x, y)", "sin()", "clip(x)", "leaky_relu()", "x, y",
    "[x]", "[x] + 1", "hypot(1, 2, 3)", "", "   ", "(" * 60, "1 + (x ^ 2) * 3", "y + x  ^ 2",
]  # fmt: skip


def test_messages_are_those_of_the_command(reader):
    for text, found in zip(SAME, reader.evaluate(READ, SAME), strict=True):
        assert (found["message"], found["at"]) == in_python(text)[2], text


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("2x + 1", "a number is followed by a letter; write 2*x", 0),
        ("sin x", "before this; write sin(x)", 4),
        ("|x|", "write abs(x)", 0),
        ("(x + 1", "'(' was never closed", 0),
        ("x +", "something is missing at the end", 3),
        ("x + 1)", ") is not expected here", 5),
        ("x² + 1", "² is no sign that is known here", 1),
        ("y = x", "there is no = in an expression", 2),
        ("gamma(x)", "cannot be computed on this page; the command chainrule explain shows it", 0),
        ("sum(x)", "expected a list of numbers, such as sum([x, y])", 0),
        ("sum([x, x, x, x, x, x, x, x, x])", "takes at most 8 numbers on this page", 0),
        ("dot([x], [x, y])", "dot expected lists of the same length but got lengths 1 and 2", 0),
        ("constructor(x)", "constructor is not a function of chainrule", 0),
    ],
)
def test_other_messages_name_the_place_and_what_to_do(reader, text, message, at):
    found = reader.evaluate(READ, [text])[0]
    assert message in found["message"] and found["at"] == at, found


def test_formulas_of_derivatives_have_their_values(reader):
    """Each rule's template, with numbers in its places, is an expression of the value that the rule computes."""
    found = reader.evaluate(
        """() => Object.entries(language.forms).flatMap(([key, { text, rules }]) => {
          const [name, arity] = key.split("/");
          const { names, least } = language.functions[name];
          const xs = Array.from({ length: Number(arity) }, (_, k) => 0.4 + 0.17 * k + (name === "acosh" ? 1 : 0));
          const y = rows[key].value(xs);
          const partials = rows[key].partials(y, xs);
          const write = (at) => (at < 0 ? "y" : `x${at}`);
          return rules.flatMap((rule, k) => (rule === null ? [] : [[key, fill(rule, write), y, xs, partials[k]]]));
        })"""
    )
    compared = 0
    for key, text, y, xs, wanted in found:
        names = {"y": Var(y), **{f"x{k}": Var(x) for k, x in enumerate(xs)}}
        assert math.isclose(evaluate(text, names).value, wanted, rel_tol=1e-5), (key, text)  # six digits are written
        compared += 1
    assert compared > 60
    powers = reader.evaluate("() => [2, 3, -1, 0.5, -2.5].map((n) => fill(power_rule(n), () => 'x'))")
    assert powers == ["2*x", "3*x**2", "-x**-2", "0.5*x**-0.5", "-2.5*x**-3.5"]
    losses = reader.evaluate(
        """() => Object.entries(LOSSES).map(([kind, { text, slope }]) => {
          const points = [[0.3, 0], [-1.2, 1]].map(([p, t]) => [p, t, loss_of(kind)(p, t)]);
          return [text, slope ?? "", points];
        })"""
    )
    for text, slope, points in losses:
        for p, t, (value, gradient) in points:
            names = {"p": Var(p), "t": Var(t)}
            loss = evaluate(text, names)
            loss.backward()
            assert near(value, loss.value) and near(gradient, names["p"].grad)
            assert not slope or near(evaluate(slope, names).value, gradient)


def python_weights(model):
    return [parameter.value for parameter in model.parameters()]


@pytest.mark.parametrize(
    ("options", "activation", "last", "loss"),
    [
        ({"activation": "tanh", "loss": "cross_entropy"}, "tanh", "linear", lambda p, t: cr.softplus(p) - t * p),
        ({"activation": "relu", "loss": "hinge"}, "relu", "linear", lambda p, t: cr.relu(1 - p * (2 * t - 1))),
        ({"activation": "sigmoid", "loss": "squared", "layer3": "3"}, "sigmoid", "sigmoid", lambda p, t: (p - t) ** 2),
        ({"activation": "gelu", "data": "wave"}, "gelu", "linear", lambda p, t: (p - t) ** 2),
        ({"activation": "leaky_relu", "data": "celsius"}, "leaky_relu", "linear", lambda p, t: (p - t) ** 2),
    ],
)
def test_training_equals_pythons(reader, options, activation, last, loss):
    options = {"samples": "20", "batch": "all", "rate": "0.1", "layer1": "5", "layer2": "4"} | options
    found = reader.evaluate(
        """(options) => {
          const training = new Training(options);
          const { inputs, targets } = training.set;
          const start = training.weights;
          for (let k = 0; k < 5; k += 1) training.epoch();
          return { sizes: training.sizes, inputs, targets, start, end: training.weights, losses: training.losses };
        }""",
        options,
    )
    first, *layers = found["sizes"]
    model = nn.MLP(first, layers, activation=activation, output_activation=last)
    for parameter, value in zip(model.parameters(), found["start"], strict=True):
        parameter.value = value
    for step in range(5):
        total = cr.mean([loss(model(row), t) for row, t in zip(found["inputs"], found["targets"], strict=True)])
        assert near(found["losses"][step + 1], total.value, 1e-11)
        model.zero_grad()
        total.backward()
        for parameter in model.parameters():
            parameter.value -= 0.1 * parameter.grad
    assert python_weights(model) == pytest.approx(found["end"], rel=1e-12, abs=1e-13)


def test_the_chain_of_every_weight_is_the_derivative(reader):
    found = reader.evaluate(
        """() => {
          const training = new Training({ layer1: "3", layer2: "2", samples: "10" });
          training.look_at(4);
          const { network, set } = training;
          return weight_names(training.sizes).map((weight) => {
            training.look_at(4);
            const { factors, grad } = chain_of(network, set.labels, set.targets[4], weight, 0.1);
            const h = 1e-6;
            const at = (change) => {
              network.weights[weight.l][weight.at] += change;
              const [loss] = network.loss(network.forward(set.inputs[4]), set.targets[4]);
              network.weights[weight.l][weight.at] -= change;
              return loss;
            };
            return [weight.name, grad, factors.reduce((a, { value }) => a * value, 1), (at(h) - at(-h)) / (2 * h)];
          });
        }"""
    )
    assert [name for name, *_ in found][:4] == ["w1[1,1]", "w1[1,2]", "b1[1]", "w1[2,1]"]
    assert [name for name, *_ in found][-1] == "b3[1]" and len(found) == 9 + 8 + 3
    for name, grad, product, difference in found:
        assert math.isclose(grad, product, rel_tol=1e-12), name
        assert math.isclose(grad, difference, rel_tol=1e-6, abs_tol=1e-9), name


def test_graphs_are_laid_out_without_overlaps(reader):
    """No two cards meet, and no line between neighbouring layers touches a card that is not its own."""
    source = random.Random(9)
    texts = [expression(source, 4) for _ in range(60)]
    graphs = reader.evaluate(
        """texts => texts.map((text) => {
          const nodes = grown(tree_of(text, language), names_of(NUMBERS), language);
          const boxes = nodes.map((node) => (is_number(node) ? { width: 40, height: 30 } : CARD));
          const edges = nodes.flatMap((node, k) => node.args.map((arg) => [arg, k]));
          return [false, true].map((is_down) => ({ boxes, edges, ...laid_out(boxes, edges, is_down) }));
        })""".replace("NUMBERS", json.dumps(NUMBERS)),
        texts,
    )
    for text, both in zip(texts, graphs, strict=True):
        for graph in both:
            cards = [
                (x - box["width"] / 2, y - box["height"] / 2, x + box["width"] / 2, y + box["height"] / 2)
                for (x, y), box in zip(map(dict.values, graph["places"]), graph["boxes"], strict=True)
            ]
            for k, (left, top, right, bottom) in enumerate(cards):
                assert left > -1e-6 and right < graph["size"]["width"] + 1e-6, text
                assert top > -1e-6 and bottom < graph["size"]["height"] + 1e-6, text
                for other in cards[:k]:
                    apart = left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
                    assert apart, text
            for (start, end), route in zip(graph["edges"], graph["routes"], strict=True):
                for point in route[1:-1]:
                    for k, (left, top, right, bottom) in enumerate(cards):
                        inside = left < point["x"] < right and top < point["y"] < bottom
                        assert not inside or k in (start, end), text


CSV = [
    ("", 1, "expected numbers"),
    ("x1,x2,answer\n1,2,0\n3,oops,1", 3, "expected a number but got oops"),
    ("1,2,0\n3,4", 2, "expected 3 columns, as in the lines before, but got 2"),
    ("1,2,3,4\n1,2,3,4", 1, "expected two or three columns"),
    ("1,2,red\n1,3,red\n2,2,red", 1, "all are the same"),
    ("1,2,red\n1,3,blue\n2,2,green", 1, "expected a number or one of two classes"),
    ("1,2,0", 1, "at least two samples"),
]


def test_own_data(reader):
    read = """texts => texts.map((text) => {
      try { return read_csv(text); } catch (error) { return [error.at + 1, error.message]; }
    })"""
    for (text, place, message), found in zip(CSV, reader.evaluate(read, [text for text, *_ in CSV]), strict=True):
        assert found[0] == place and message in found[1], (text, found)
    classes, curve, surface = reader.evaluate(
        read, ["size;weight;kind\n1;10;cat\n3;30;dog\n2;20;cat\n", "1 2\n2 4\n3 6", "1,1,0.5\n2,1,1.5\n1,2,2.5"]
    )
    assert classes["labels"] == ["size", "weight"] and classes["names"] == ["cat", "dog"]
    assert classes["targets"] == [0, 1, 0] and classes["is_classes"]
    deviation = math.sqrt(2 / 3)
    assert classes["inputs"][0] == pytest.approx([-1 / deviation] * 2)
    assert not curve["is_classes"] and curve["target_scale"] == pytest.approx([2 * deviation, 4])
    assert not surface["is_classes"] and len(surface["inputs"][0]) == 2
