"""Draw which folder of engine/ is built on which: `python tests/house/floors.py` writes the pictures of its README.

What is known of the house comes from test_architecture, which holds the pictures to it.
"""

import re
import textwrap
from pathlib import Path
from xml.etree import ElementTree

import graphviz
from chainrule import viz
from chainrule.viz.theme import THEMES

ROOT = Path(__file__).resolve().parents[2]
TOP = "__init__"
SVG = "{http://www.w3.org/2000/svg}"


def named(room):
    return "import chainrule" if room == TOP else room


def draw(floors, arrows, sentences, theme):
    """Draw rooms, floor upon floor, each with its sentence, and arrows from each to those that it is built on."""
    colours = THEMES[theme]
    digraph = graphviz.Digraph(
        "The floors of engine",
        graph_attr={"bgcolor": colours.background, "nodesep": "0.2", "pad": "0.2", "ranksep": "0.4"},
        node_attr={
            "shape": "box",
            "style": "rounded,filled",
            "fontname": "Helvetica,Arial,sans-serif",
            "fontsize": "12",
            "fontcolor": colours.ink,
        },
        edge_attr={"arrowsize": "0.6", "color": colours.line},
    )
    for rooms in floors:
        with digraph.subgraph(graph_attr={"rank": "same"}) as floor:
            for room in rooms:
                role = "root" if room == TOP else "input" if (ROOT / "engine" / room).is_dir() else "step"
                lines = "<BR/>".join(textwrap.wrap(sentences[room], 24))
                label = f'<<B>{named(room)}</B><BR/><FONT POINT-SIZE="10">{lines}</FONT>>'
                floor.node(room, label, tooltip=room, **colours.cards[role])
    for room, below in arrows.items():
        for other in below:
            digraph.edge(room, other, tooltip=f"{room} is built on {other}")
    return digraph


def expected(arrows, sentences):
    """List what a picture has to say: the words of each room, and the title of each arrow."""
    rooms = [(room, f"{named(room)} {sentence}") for room, sentence in sentences.items()]
    titles = [f"{room} is built on {other}" for room, below in arrows.items() for other in below]
    return sorted(rooms), sorted(titles)


def shown(svg):
    """List what a picture says. Where it says so depends on the fonts of the machine that made it."""
    rooms, titles = [], []
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        title = group.findtext(f"{SVG}title")
        if group.get("class") == "node":
            words = " ".join(text.text for text in group.iter(f"{SVG}text"))
            rooms.append((title, re.sub(r"\s+", " ", words).strip()))
        elif group.get("class") == "edge":
            titles.append(title)
    return sorted(rooms), sorted(titles)


if __name__ == "__main__":
    from test_architecture import arrows, floors, sentences

    for theme in THEMES:
        picture = draw(floors(), arrows(), sentences(), theme)
        print(viz.render(picture, ROOT / f"engine/floors_{theme}.svg"))
