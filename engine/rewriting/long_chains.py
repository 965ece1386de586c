"""Sums that were written term by term become one step each: what a comprehension adds up is a `dot`, or a `sum`.

``sum(w * x for w, x in zip(row, xs))`` traces as a product and an addition for each term. The same as one step is a
thirtieth of the program, and it looks alike wherever it is written.
"""

from __future__ import annotations

from collections import Counter
from itertools import chain

from ..operations import table
from ..programs import Program, Step

LEAST = 4  # terms that are worth it


def chains_joined(program: Program) -> Program:
    """Return the program with a `dot` or a `sum` in place of many additions, one after another, to 0.0.

    As in any `sum`, the order of the additions is open then. A sum on the way that others take stays, too.

    >>> from chainrule import trace
    >>> print(chains_joined(trace(lambda w, x: sum(a * b for a, b in zip(w, x)), [1.0] * 4, [1.0] * 4)))
    lambda(w: [number, number, number, number], x: [number, number, number, number]):
        v1 = dot(w[0], w[1], w[2], w[3], x[0], x[1], x[2], x[3])
        return v1
    """
    sums, products = _sums(program)
    long = {value: terms for value, terms in sums.items() if len(terms) >= LEAST}
    return _rewritten(program, long, products) if long else program


def _sums(program: Program) -> tuple[dict[int, list[int]], dict[int, tuple[int, ...]]]:
    """Return the terms of each sum that starts at 0.0, and the factors of each product that is taken once.

    Sums that only the next addition takes are a part of that. But what is added to a long sum of products is none of
    its terms, unless it is a product, too.
    """
    zeros = {k for k, item in enumerate(program.constants, len(program.names)) if item == 0.0 and type(item) is float}
    sums: dict[int, list[int]] = {}
    products: dict[int, tuple[int, ...]] = {}
    if not zeros:
        return sums, products
    uses = Counter(chain(program.outputs, chain.from_iterable([args for _, args in program.steps])))
    add, mul = table.add, table.mul
    for (op, args), first in zip(program.steps, program.firsts, strict=True):
        if op is mul:
            if uses[first] == 1:
                products[first] = args
        elif op is add:
            before, term = args
            if before in zeros:
                sums[first] = [term]
            elif before in sums and uses[before] == 1:
                terms = sums[before]
                if term in products or len(terms) < LEAST or terms[0] not in products:
                    terms.append(term)
                    sums[first] = sums.pop(before)
    return sums, products


def _rewritten(program: Program, sums: dict[int, list[int]], products: dict[int, tuple[int, ...]]) -> Program:
    """Return the program with these sums as one step each, without what only they took."""
    made = dict(zip(program.firsts, program.steps, strict=True))
    joined: dict[int, Step] = {}
    gone: set[int] = set()
    for value, terms in sums.items():
        factors = [products[k] for k in terms if k in products]
        if len(factors) == len(terms):
            gone.update(terms)
            joined[value] = Step(table.dot, (*[a for a, _ in factors], *[b for _, b in factors]))
        else:
            joined[value] = Step(table.sum, tuple(terms))
        for _ in terms[1:]:
            value = made[value].args[0]
            gone.add(value)
    return _without(program, made, joined, gone)


def _without(program: Program, made: dict[int, Step], instead: dict[int, Step], gone: set[int]) -> Program:
    new = list(range(program.count))
    count, steps = program.offset, []
    for first, step in made.items():
        if first in gone:
            continue
        steps.append(instead.get(first, step))
        for value in range(first, first + step.op.results):
            new[value] = count
            count += 1
    return program.renumbered(steps, new)
