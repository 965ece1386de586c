"""Make SciPy sparse arrays of numbers whose places are known, for the sparse derivatives of a program.

Which numbers may differ from 0 is found once, when a function is traced; each call fills these places.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import needing
from ..forking import kept
from ..pickling import Reduced, pickled_as, unpickled
from .numbers import is_symbolic


@pickled_as("places")
@dataclass(frozen=True)
class Places:
    """List the entries of a matrix that may differ from 0, row by row: those of row r are ``columns[r]``, in order.

    >>> places = Places((2, 3), ((0, 2), (1,)))
    >>> places.size, list(places)
    (3, [(0, 0), (0, 2), (1, 1)])
    """

    shape: tuple[int, int]
    columns: tuple[tuple[int, ...], ...]

    @kept
    def size(self) -> int:
        """How many there are."""
        return sum(map(len, self.columns))

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return ((row, column) for row, own in enumerate(self.columns) for column in own)

    @kept
    def _hash(self) -> int:
        return hash((self.shape, self.columns))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> Reduced:
        return unpickled, ("places", self.shape, self.columns)

    @kept
    def _indices(self) -> tuple[Any, Any]:
        numpy = importlib.import_module("numpy")
        counts = [0, *map(len, self.columns)]
        indices = numpy.fromiter(itertools.chain.from_iterable(self.columns), numpy.int32, self.size)
        return indices, numpy.cumsum(counts, dtype=numpy.int32)

    def array(self, numbers: Any) -> Any:
        """Return a SciPy CSR array of floats at these places, with its own memory; for traced numbers, a `Sparse`.

        Errors: `TypeError` for Vars, of which SciPy makes no arrays.
        """
        sparse = scipy_sparse()
        if hasattr(type(numbers), "__whole__"):
            return Sparse(self, numbers)
        if not hasattr(numbers, "dtype") and not set(map(type, numbers)) <= {float}:
            if not any(map(is_symbolic, numbers)):
                raise TypeError("sparse=True expected arguments of floats but got Vars; nest without sparse")
            return Sparse(self, numbers)
        numpy, (indices, starts) = importlib.import_module("numpy"), self._indices
        # Copies, since methods of the array may change it in place.
        parts = numpy.array(numbers, float), indices.copy(), starts.copy()
        return sparse.csr_array(parts, shape=self.shape)


@dataclass(frozen=True)
class Sparse:
    """The numbers of a sparse matrix, row by row, while they are traced."""

    places: Places
    numbers: Sequence[Any]


def scipy_sparse() -> Any:
    """Return SciPy's `sparse` module."""
    with needing("sparse=True", "scipy"):
        return importlib.import_module("scipy.sparse")
