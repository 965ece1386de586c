"""Compute with polynomials in exact fractions: what derivatives of nested functions are compared with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from fractions import Fraction

Monomial = tuple[int, ...]  # the symbols that are multiplied, in order, each as often as its power


class Polynomial:
    """Hold a polynomial as its terms, coefficients by monomials."""

    symbols = 0

    def __init__(self, terms: dict[Monomial, Fraction]) -> None:
        self.terms = {monomial: factor for monomial, factor in terms.items() if factor}

    @staticmethod
    def of(number) -> Polynomial:
        """Return a number as a polynomial, itself if it is one."""
        return number if isinstance(number, Polynomial) else Polynomial({(): Fraction(number)})

    def __add__(self, other) -> Polynomial:
        terms = Counter(self.terms)
        for monomial, factor in Polynomial.of(other).terms.items():
            terms[monomial] += factor
        return Polynomial(terms)

    def __mul__(self, other) -> Polynomial:
        terms = Counter()
        for left, a in self.terms.items():
            for right, b in Polynomial.of(other).terms.items():
                terms[tuple(sorted(left + right))] += a * b
        return Polynomial(terms)

    __radd__, __rmul__ = __add__, __mul__

    def differentiate(self, symbol: int) -> Polynomial:
        """Return the derivative by one symbol."""
        terms = Counter()
        for monomial, factor in self.terms.items():
            if count := monomial.count(symbol):
                place = monomial.index(symbol)
                terms[monomial[:place] + monomial[place + 1 :]] += count * factor
        return Polynomial(terms)

    def substitute(self, symbol: int, other: Polynomial) -> Polynomial:
        """Return the polynomial with another one in the place of a symbol."""
        total = Polynomial({})
        for monomial, factor in self.terms.items():
            term = Polynomial({tuple(s for s in monomial if s != symbol): factor})
            for _ in range(monomial.count(symbol)):
                term = term * other
            total = total + term
        return total

    @property
    def value(self) -> float:
        """The number, where no symbol is left."""
        assert not self.terms.keys() - {()}
        return float(self.terms.get((), 0))


def derivative(f: Callable, order: int) -> Callable:
    """Return the derivative of a function of one polynomial."""

    def derived(x):
        Polynomial.symbols += 1
        symbol = Polynomial.symbols
        found = Polynomial.of(f(Polynomial({(symbol,): Fraction(1)})))
        for _ in range(order):
            found = found.differentiate(symbol)
        return found.substitute(symbol, Polynomial.of(x))

    return derived
