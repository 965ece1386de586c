"""Make Graphviz's SVG fit for pages: readable titles, no document type, no external resources."""

from __future__ import annotations

from xml.etree import ElementTree

_SPELLING = {
    "http://www.w3.org/2000/svg": "",
    "http://www.w3.org/1999/xlink": "xlink:",
    "http://www.w3.org/XML/1998/namespace": "xml:",
}


def tidy(source: str) -> str:
    """Return Graphviz's SVG as one element, for a file or inside a page.

    The graph's name becomes the title of the picture, its tooltip the description, and other tooltips the titles of
    their nodes; points become pixels. Document type, comments and empty links go.

    >>> tidy('<svg width="8pt" xmlns="http://www.w3.org/2000/svg"><g><title>A graph</title></g></svg>')
    '<svg width="8" role="img" xmlns="http://www.w3.org/2000/svg"><title>A graph</title><g /></svg>'
    """
    root = ElementTree.fromstring(source)
    linked = False
    for element in root.iter():
        element.tag = _plain(element.tag)
        element.attrib = {_plain(name): value for name, value in element.attrib.items()}
        linked = linked or "xlink:href" in element.attrib
    for side in {"width", "height"} & root.attrib.keys():
        root.attrib[side] = root.attrib[side].removesuffix("pt")
    root.attrib["role"] = "img"
    root.attrib["xmlns"] = "http://www.w3.org/2000/svg"
    if linked:
        root.attrib["xmlns:xlink"] = "http://www.w3.org/1999/xlink"
    _describe(root)
    for group in list(root.iter("g")):
        _retitle(group)
    _lift_title(root)
    for area in root.iter("polygon"):
        # Neighbouring cells of a map would show a seam.
        if area.get("stroke") == "none":
            area.attrib["shape-rendering"] = "crispEdges"
    for text in root.iter("text"):
        # Graphviz keeps spaces by writing no-break spaces, which a search of the page does not find.
        text.attrib["xml:space"] = "preserve"
        text.text = (text.text or "").replace("\xa0", " ")
    return ElementTree.tostring(root, encoding="unicode")


def _plain(name: str) -> str:
    """Write ``{namespace}name`` with the prefix that SVG files use."""
    namespace, brace, local = name[1:].partition("}")
    return _SPELLING[namespace] + local if brace else name


def _retitle(group: ElementTree.Element) -> None:
    """Turn ``<title>n</title><g><a title="tooltip">shapes</a></g>`` into ``<title>tooltip</title>shapes``."""
    title = group.find("title")
    if title is None:
        return
    tooltip = None
    for wrapper in group.findall("g"):
        link = wrapper.find("a")
        if link is None or "xlink:href" in link.attrib:
            continue
        tooltip = link.get("xlink:title", tooltip)
        place = list(group).index(wrapper)
        group[place : place + 1] = list(link)
    if tooltip is not None:
        title.text = tooltip.replace("\xa0", " ")
    elif group.get("class") == "edge":
        # All that Graphviz has to say here is the names of both ends.
        group.remove(title)


def _describe(root: ElementTree.Element) -> None:
    """Move the graph's tooltip from its background to where screen readers look for a description."""
    graph = root.find("g")
    link = None if graph is None else graph.find("g/a")
    if graph is None or link is None or graph.get("class") != "graph":
        return
    wrapper = graph.find("g")
    assert wrapper is not None
    # Graphviz wraps the background alone; the first node, in its own wrapper, has a class.
    if wrapper.get("class") is None and "xlink:href" not in link.attrib:
        description = ElementTree.Element("desc")
        description.text = link.get("xlink:title", "").replace("\xa0", " ")
        root.insert(0, description)
        place = list(graph).index(wrapper)
        graph[place : place + 1] = list(link)


def _lift_title(root: ElementTree.Element) -> None:
    """Move the graph's title to where browsers and screen readers look for the picture's title."""
    graph = root.find("g")
    title = None if graph is None else graph.find("title")
    if graph is None or title is None:
        return
    graph.remove(title)
    # A graph without a name is called %3 or the like.
    if title.text and not title.text.startswith("%"):
        root.insert(0, title)
