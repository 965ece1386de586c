"""Check by geometry that pictures of networks are in order: what stands where, and what no line crosses."""

from __future__ import annotations

import itertools
import math
import random
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import chainrule as cr
import pytest
from chainrule import Var, nn, viz

pytest.importorskip("pygraphviz")

SVG = "{http://www.w3.org/2000/svg}"
NUMBER = r"-?\d+(?:\.\d+)?"

Point = tuple[float, float]


@dataclass
class Rectangle:
    left: float
    top: float
    right: float
    bottom: float

    @classmethod
    def around(cls, points: list[Point]) -> Rectangle:
        across, down = zip(*points, strict=True)
        return cls(min(across), min(down), max(across), max(down))

    def holds(self, point: Point, margin: float = 0.0) -> bool:
        x, y = point
        return self.left - margin <= x <= self.right + margin and self.top - margin <= y <= self.bottom + margin

    def overlaps(self, other: Rectangle, margin: float = 0.0) -> bool:
        apart = (
            self.right <= other.left + margin
            or other.right <= self.left + margin
            or self.bottom <= other.top + margin
            or other.bottom <= self.top + margin
        )
        return not apart


@dataclass
class Plan:
    """What an SVG shows: cards and frames by what their title says, titles of frames, curves and what is on them."""

    cards: list[tuple[str, Rectangle]] = field(default_factory=list)
    frames: list[tuple[str, Rectangle]] = field(default_factory=list)
    titles: list[Rectangle] = field(default_factory=list)
    curves: list[list[Point]] = field(default_factory=list)
    labels: list[tuple[str, Rectangle]] = field(default_factory=list)
    texts: list[tuple[Rectangle, list[tuple[str, Rectangle]]]] = field(default_factory=list)

    def at(self, name: str) -> Rectangle:
        (found,) = [box for title, box in self.cards if title.startswith(f"{name}: ")]
        return found


def measured(text: ElementTree.Element) -> Rectangle:
    """Return what a text covers in DejaVu Sans, the widest of usual fonts."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    size = float(text.get("font-size", "12"))
    weight = "bold" if text.get("font-weight") == "bold" else "normal"
    words = text.text or ""
    path = TextPath((0, 0), words or "x", size=size, prop=FontProperties(family="DejaVu Sans", weight=weight))
    width = path.get_extents().x1
    x, y = float(text.get("x", "0")), float(text.get("y", "0"))
    left = {"start": x, "middle": x - width / 2, "end": x - width}[text.get("text-anchor", "start")]
    return Rectangle(left, y - 0.75 * size, left + width, y + 0.2 * size)


def points_of(text: str) -> list[Point]:
    numbers = [float(number) for number in re.findall(NUMBER, text)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def sampled(path: str, steps: int = 40) -> list[Point]:
    """Return points along a path of cubic Bézier curves."""
    points = points_of(path)
    found = [points[0]]
    for k in range(0, len(points) - 1, 3):
        (ax, ay), (bx, by), (cx, cy), (dx, dy) = points[k : k + 4]
        for step in range(1, steps + 1):
            t = step / steps
            s = 1 - t
            a, b, c, d = s**3, 3 * s * s * t, 3 * s * t * t, t**3
            found.append((a * ax + b * bx + c * cx + d * dx, a * ay + b * by + c * cy + d * dy))
    return found


def plan_of(svg: str) -> Plan:
    plan = Plan()
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        kind = (group.get("class") or "").split(" ")[0]
        title = group.findtext(f"{SVG}title") or ""
        texts = [(text.text or "", measured(text)) for text in group.iter(f"{SVG}text")]
        if kind == "edge":
            (path,) = group.iter(f"{SVG}path")
            (arrow,) = group.iter(f"{SVG}polygon")
            tip = max(
                points_of(arrow.get("points", "")), key=lambda point: math.dist(point, sampled(path.get("d", ""))[-1])
            )
            plan.curves.append([*sampled(path.get("d", "")), tip])
            plan.labels += texts
        elif kind in ("node", "cluster"):
            outline = [point for path in group.iter(f"{SVG}path") for point in points_of(path.get("d", ""))]
            for ellipse in group.iter(f"{SVG}ellipse"):
                cx, cy, rx, ry = (float(ellipse.get(name, "0")) for name in ("cx", "cy", "rx", "ry"))
                outline += [(cx - rx, cy - ry), (cx + rx, cy + ry)]
            for polygon in group.iter(f"{SVG}polygon"):
                outline += points_of(polygon.get("points", ""))
            box = Rectangle.around(outline)
            if kind == "cluster":
                plan.frames.append((title, box))
                plan.titles += [covered for _, covered in texts]
            else:
                plan.cards.append((title, box))
            plan.texts.append((box, texts))
    return plan


def check(svg: str) -> Plan:
    """Assert that a picture is in order."""
    plan = plan_of(svg)
    for curve in plan.curves:
        ends = curve[0], curve[-1]
        for title in plan.titles:
            assert not any(title.holds(point) for point in curve), "a line crosses the title of a frame"
        for name, box in plan.cards:
            if not any(box.holds(end, 1.5) for end in ends):
                assert not any(box.holds(point, -0.5) for point in curve), f"a line crosses the card {name!r}"
        for name, box in plan.frames:
            if not any(box.holds(end) for end in ends):
                assert not any(box.holds(point, -0.5) for point in curve), f"a line crosses the frame {name!r}"
    boxes = [box for _, box in plan.cards]
    for k, box in enumerate(boxes):
        assert not any(box.overlaps(other, 0.5) for other in boxes[k + 1 :]), "two cards overlap"
        assert not any(box.overlaps(title, 0.5) for title in plan.titles), "a card covers a title"
        assert not any(box.overlaps(label, 1.0) for _, label in plan.labels), "a label covers a card"
    for box, texts in plan.texts:
        for text, covered in texts:
            assert box.left <= covered.left and covered.right <= box.right + 0.5, f"{text!r} leaves its box"
    for k, (text, label) in enumerate(plan.labels):
        assert not any(label.overlaps(other, 1.0) for _, other in plan.labels[k + 1 :]), f"{text!r} is covered"
        assert not any(label.overlaps(title, 1.0) for title in plan.titles), f"{text!r} covers a title"
        assert not any(label.holds(point, -0.5) for curve in plan.curves for point in curve), f"a line crosses {text!r}"
    return plan


def random_loss(source: random.Random) -> Var:
    """Compute the loss of a network of random shape, on one or two samples, and its gradients."""
    inputs, outputs = source.randint(1, 4), source.randint(1, 3)
    hidden = [source.randint(1, 4) for _ in range(source.randint(0, 2))]
    activation = source.choice(["tanh", "relu", "sigmoid", "gelu"])
    model = nn.MLP(inputs, [*hidden, outputs], activation=activation, seed=source.randint(0, 99))
    given = source.random() < 0.5
    rows = [
        [Var(source.gauss(0, 1), label=f"x{k + 1}", requires_grad=given) for k in range(inputs)]
        for _ in range(source.choice([1, 1, 2]))
    ]
    found = [model(row) for row in rows]
    if outputs > 1:
        loss = (
            nn.cross_entropy(found, [0] * len(rows))
            if source.random() < 0.5
            else nn.mse(found, [[1.0] * outputs] * len(rows))
        )
    else:
        loss = nn.mse(found, [1.0] * len(rows))
    loss.label = "loss"
    loss.backward()
    return loss


@pytest.mark.parametrize("seed", range(20))
def test_no_line_crosses_a_title_or_a_card_of_others(seed: int) -> None:
    source = random.Random(seed)
    loss = random_loss(source)
    drawing = viz.draw(
        loss, direction=source.choice(["LR", "LR", "RL", "TB", "BT"]), theme=source.choice(["light", "dark"])
    )
    assert "layout=nop2" in drawing.source
    plan = check(viz.to_svg(drawing))
    assert len(plan.curves) == len([line for line in drawing.body if "->" in line])


def test_labels_wider_than_their_card_keep_clear_of_lines() -> None:
    check(viz.to_svg(random_loss(random.Random(17)), direction="TB"))


def network() -> Var:
    model = nn.MLP(2, [3, 1], activation="sigmoid", output_activation="sigmoid", seed=4)
    a, b = Var(1.0, "a", False), Var(0.0, "b", False)
    prediction = model((a, b))
    prediction.label = "prediction"
    loss = (prediction - 1) ** 2
    loss.label = "loss"
    loss.backward()
    return loss


def test_inputs_layers_and_neurons_stand_in_order() -> None:
    plan = check(viz.to_svg(network()))
    a, b, loss = plan.at("a"), plan.at("b"), plan.at("loss")
    first = [plan.at(f"w1[{k},1]") for k in (1, 2, 3)]
    second = plan.at("w2[1,1]")
    assert a.right < min(card.left for card in first) and a.bottom < b.top
    assert max(card.right for card in first) < second.left and second.right < loss.left
    assert first[0].bottom < first[1].top and first[1].bottom < first[2].top
    for neuron in (1, 2, 3):
        column = [plan.at(f"{name}") for name in (f"w1[{neuron},1]", f"w1[{neuron},2]", f"b1[{neuron}]")]
        assert column[0].bottom < column[1].top and column[1].bottom < column[2].top
        assert len({(card.left, card.right) for card in column}) == 1


def test_each_weight_stands_beside_the_line_of_its_input() -> None:
    """The line of an input passes directly above its weight."""
    plan = check(viz.to_svg(network()))
    for layer, inputs in ((1, 2), (2, 3)):
        cards = [plan.at(f"w{layer}[1,{k}]") for k in range(1, inputs + 1)]
        for k, card in enumerate(cards):
            top = cards[k - 1].bottom if k else card.top - 30
            middle = (card.left + card.right) / 2
            passing = [
                curve for curve in plan.curves if any(abs(x - middle) < 20 and top < y < card.top for x, y in curve)
            ]
            assert len(passing) == 1


def test_sizes_follow_what_is_written() -> None:
    few, many = (plan_of(viz.to_svg(network(), digits=digits)).at("w1[1,1]") for digits in (2, 12))
    assert few.right - few.left < many.right - many.left
    loss = network()
    assert f">{loss.value:.9g}<" in viz.draw(loss, digits=9).source
    for digits in (0, 18):
        with pytest.raises(ValueError, match="digits"):
            viz.draw(network(), digits=digits)


@pytest.mark.parametrize("collapse", ["neuron", "layer", "module"])
def test_folded_networks_are_in_order_too(collapse: str) -> None:
    check(viz.to_svg(network(), collapse=collapse))


@pytest.mark.parametrize("direction", ["LR", "RL", "TB", "BT"])
@pytest.mark.parametrize(("inputs", "layers"), [(2, [3, 1]), (3, [3, 1]), (2, [4, 1]), (5, [2, 4, 2])])
@pytest.mark.parametrize("collapse", ["neuron", "layer"])
def test_lines_into_a_folded_part_leave_room_for_their_numbers(
    inputs: int, layers: list[int], collapse: str, direction: str
) -> None:
    row = [Var(0.5 + k, label=f"x{k + 1}") for k in range(inputs)]
    found = nn.MLP(inputs, layers, seed=1)(row)
    loss = found[0] + found[1] if isinstance(found, list) else found
    loss.backward()
    plan = check(viz.to_svg(loss, collapse=collapse, direction=direction))
    assert plan.labels
    points = [point for curve in plan.curves for point in curve]
    for text, label in plan.labels:
        assert not any(map(label.holds, points)), f"a line crosses {text!r}"


def test_operations_are_filled_whatever_their_shape() -> None:
    svg = ElementTree.fromstring(viz.to_svg(network()))
    for group in svg.iter(f"{SVG}g"):
        if group.get("class") == "node operation":
            assert [shape.get("fill") for shape in (*group.iter(f"{SVG}ellipse"), *group.iter(f"{SVG}path"))] == [
                "#566373"
            ]


def test_neurons_written_out_are_in_order() -> None:
    model = nn.MLP(2, [2, 1], activation="tanh", output_activation="tanh", seed=1)
    xs: list[Any] = [Var(0.5, "x1"), Var(-1.0, "x2")]
    for layer in model.layers:
        outs = []
        for neuron in layer.neurons:
            total: Any = neuron.bias
            for weight, x in zip(neuron.weights, xs, strict=True):
                total = total + weight * x
            outs.append(cr.tanh(total))
        xs = outs
    check(viz.to_svg(xs[0] * 2, module=model))


class Twice(nn.Module):
    """Take the second parameter of one part after a parameter of the other."""

    def __init__(self) -> None:
        self.first = {"p": Var(2.0, "p"), "q": Var(3.0, "q")}
        self.second = {"r": Var(4.0, "r")}

    def __call__(self, x: Any) -> Any:
        return self.first["q"] * (self.second["r"] * (self.first["p"] * x))


def test_what_leads_back_into_a_frame_is_left_to_graphviz() -> None:
    model = Twice()
    drawing = viz.draw(model(5.0), module=model)
    assert "layout=nop2" not in drawing.source and drawing.source.count("subgraph") == 3
    assert viz.to_svg(drawing).startswith("<svg ")


def test_all_formats_are_drawn_with_these_places(tmp_path: Path) -> None:
    for kind, start in (("png", b"\x89PNG"), ("pdf", b"%PDF-"), ("svg", b"<svg ")):
        assert viz.render(network(), tmp_path / f"network.{kind}").read_bytes().startswith(start)


def test_the_page_of_steps_has_these_places(tmp_path: Path) -> None:
    page = viz.explain(network(), tmp_path / "steps.html").read_text("utf-8")
    (svg,) = re.findall("<svg.*</svg>", page, re.DOTALL)
    frames = [title for title, _ in plan_of(svg).frames]
    groups = ElementTree.fromstring(svg).iter(f"{SVG}g")
    assert len(frames) == 1 + 2 + 4 and len([group for group in groups if group.get("id", "").startswith("v")]) > 20
    assert not re.search(r'<g id="op\d+"[^>]*><title>[^<]*</title><polygon', svg)


def test_text_stays_in_its_card_where_graphviz_places_it() -> None:
    values = [-0.000944278, 1e-300, -123456789.0, float("nan"), 1 / 3]
    leaves = [Var(value, label=f"W{k}[{k},{k}] MMMM %") for k, value in enumerate(values)]
    total = cr.sum([cr.sin(leaf) for leaf in leaves])
    total.backward()
    plan = plan_of(viz.to_svg(total))
    assert len(plan.texts) > 15
    for box, texts in plan.texts:
        for text, covered in texts:
            assert box.left <= covered.left and covered.right <= box.right + 0.5, f"{text!r} leaves its box"


def layers(count: int) -> Var:
    """Compute tanh(w * ... + b) again and again, as demos/layers.py does."""
    f: Any = 0.7
    for k in range(1, count + 1):
        f = cr.tanh(Var(0.9, f"w{k}") * f + Var(-0.2, f"b{k}"))
        f.label = f"f{k}"
    f.backward()
    return f


def test_a_long_drawing_is_cut_into_rows() -> None:
    short, long = viz.draw(layers(1)), viz.draw(layers(4))
    assert "layout" not in short.source and "layout=nop2" in long.source
    plan = check(viz.to_svg(long))
    assert len(plan.curves) == len([line for line in long.body if "->" in line])
    width = max(box.right for _, box in plan.cards) - min(box.left for _, box in plan.cards)
    assert width <= 1.2 * 1200
    boxes = [plan.at(f"f{k}") for k in (1, 2, 3, 4)]
    assert any(later.top > box.bottom + 50 for box, later in itertools.pairwise(boxes))
    # From one to the next it goes on to the right, or down into the next row.
    assert all(later.left > box.right or later.top > box.bottom for box, later in itertools.pairwise(boxes))
    # From top to bottom there is all the room a page has.
    assert "layout" not in viz.draw(layers(4), direction="TB").source


def test_what_cannot_be_cut_is_left_to_graphviz() -> None:
    x, y = Var(0.5, "x"), Var(0.25, "y")
    for _ in range(10):
        x, y = cr.sin(cr.exp(x)), cr.exp(cr.sin(y))
    assert "layout" not in viz.draw(x * y).source
