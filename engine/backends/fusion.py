"""Find where a product and a sum may be rounded once, by one instruction, instead of twice.

Results then differ from eager ones by a rounding, towards the truth. A difference of products keeps its two roundings,
so that ``x*x - y*y`` is exactly 0 for x = y; so does a sum of two products.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from .layout import Layout


def fused(layout: Layout, places: Sequence[int], segment: int) -> dict[int, tuple[int, int]]:
    """Return, for each sum of one product that nobody else takes, that product and the other summand.

    `places` are the steps written in order, cut into segments of that length: both have to stand in the same one.
    """
    steps, base = layout.program.steps, layout.base
    uses = Counter(arg for _, args in steps for arg in args)
    uses.update(layout.program.outputs)
    segment_of = {base + place: k // segment for k, place in enumerate(places)}
    found = {}
    for place in places:
        op, args = steps[place]
        products = [k for k in args if op.name == "add" and k >= base and steps[k - base].op.name == "mul"]
        if len(products) == 1 and uses[products[0]] == 1 and segment_of.get(products[0]) == segment_of[base + place]:
            found[base + place] = (products[0], args[0] if args[1] == products[0] else args[1])
    return found
