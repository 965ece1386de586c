"""Find where a product and a sum may be rounded once, by one instruction, instead of twice.

Results then differ from eager ones by a rounding, towards the truth. A difference of products keeps its two roundings,
so that ``x*x - y*y`` is exactly 0 for x = y; so does a sum of two products.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

Made = tuple[str, Sequence[int], int]  # an operation's name, its operands, and the function that it stands in


def fused(made: Mapping[int, Made], uses: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """Return, for each sum of a product that nothing else uses, that product and the other summand.

    `made` tells how each value is computed, `uses` how often it is taken. Both have to stand in the same function.

    >>> fused({3: ("mul", (0, 1), 0), 4: ("add", (3, 2), 0)}, {3: 1, 4: 1})
    {4: (3, 2)}
    """
    found = {}
    for value, (name, args, function) in made.items():
        if name != "add":
            continue
        products = [k for k in args if k in made and made[k][0] == "mul"]
        if len(products) == 1 and uses[products[0]] == 1 and made[products[0]][2] == function:
            found[value] = (products[0], args[0] if args[1] == products[0] else args[1])
    return found
