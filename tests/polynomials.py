"""Compute with polynomials in several variables exactly: sums, products, derivatives, other polynomials put in."""

import math
from fractions import Fraction

from hypothesis import assume

DEGREE, TERMS = 24, 400  # greater polynomials are passed over


class Polynomial:
    """Hold a polynomial in numbered variables: fractions by exponents."""

    def __init__(self, terms):
        self.terms = {powers: factor for powers, factor in terms.items() if factor}
        assume(len(self.terms) <= TERMS and all(sum(powers) <= DEGREE for powers in self.terms))

    @staticmethod
    def constant(number):
        return Polynomial({(): Fraction(number)})

    @staticmethod
    def variable(k):
        return Polynomial({(0,) * k + (1,): Fraction(1)})

    def __add__(self, other):
        terms = dict(self.terms)
        for powers, factor in other.terms.items():
            terms[powers] = terms.get(powers, 0) + factor
        return Polynomial(terms)

    def __mul__(self, other):
        terms = {}
        for left, a in self.terms.items():
            for right, b in other.terms.items():
                width = max(len(left), len(right))
                pairs = zip(_padded(left, width), _padded(right, width), strict=True)
                powers = _trimmed([x + y for x, y in pairs])
                terms[powers] = terms.get(powers, 0) + a * b
        return Polynomial(terms)

    def derivative(self, k):
        terms = {}
        for powers, factor in self.terms.items():
            if k < len(powers) and powers[k]:
                lower = _trimmed([*powers[:k], powers[k] - 1, *powers[k + 1 :]])
                terms[lower] = terms.get(lower, 0) + factor * powers[k]
        return Polynomial(terms)

    def replace(self, *arguments):
        """Put polynomials in place of the last variables, so many as there are arguments, from `first` on."""
        first, values = arguments[0], arguments[1:]
        total = Polynomial({})
        for powers, factor in self.terms.items():
            product = Polynomial({_trimmed(powers[:first]): factor})
            for power, value in zip(powers[first:], values, strict=False):
                for _ in range(power):
                    product = product * value
            total = total + product
        return total

    def at(self, *point):
        """Return the exact value at a point, and the sum of the sizes of its terms."""
        parts = [factor * math.prod(map(pow, point, powers)) for powers, factor in self.terms.items()]
        return sum(parts, Fraction(0)), sum(map(abs, parts), Fraction(0))


def _padded(powers, width):
    return [*powers, *[0] * (width - len(powers))]


def _trimmed(powers):
    powers = list(powers)
    while powers and not powers[-1]:
        powers.pop()
    return tuple(powers)
