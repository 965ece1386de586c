"""What chainrule raises: each exception is also the builtin that it refines.

    Exception
    ├── RuntimeError
    │   ├── GraphError          backward() on a Var that nothing differentiable leads to
    │   └── NotImplementedError
    │       └── BackendError    a backend of compile() lacks an operation
    ├── TypeError
    │   └── TraceError          traced code asked for the value of a number that has none yet
    ├── FloatingPointError
    │   └── NonFiniteError      inside strict(): an operation or a sweep first made nan or inf; in nn.fit: a loss did
    └── ModuleNotFoundError
        └── MissingDependencyError   an optional package is needed; the message says what to install

Wrong types are plain ``TypeError``, wrong numbers and lengths plain ``ValueError``, and assigning
to something computed is an ``AttributeError``.
"""

import contextlib
from collections.abc import Iterator
from typing import Any


class GraphError(RuntimeError):
    """Report that the recorded graph does not allow what was asked of it."""


class NonFiniteError(FloatingPointError):
    """Report the operation that first made nan or inf, inside `strict`; or the step of `nn.fit` whose loss is either.

    Attributes:
        history: what `nn.fit` measured until then; None where it was not training.
    """

    history: Any = None


class MissingDependencyError(ModuleNotFoundError):
    """Report that an optional package is missing, and how to install it."""


def missing(problem: str, *packages: str, otherwise: str = "") -> MissingDependencyError:
    """Return the error that says what to install, by the names of the packages: these are right in a clone, too.

    >>> print(missing("plot_fit needs matplotlib", "matplotlib"))
    plot_fit needs matplotlib; run pip install matplotlib
    """
    advice = f", or {otherwise}" if otherwise else ""
    return MissingDependencyError(f"{problem}; run pip install {' '.join(packages)}{advice}")


@contextlib.contextmanager
def needing(reader: str, *packages: str, otherwise: str = "") -> Iterator[None]:
    """Name the packages that `reader` needs where an import inside fails; other failures pass."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "chainrule":
            raise
        problem = f"{reader} needs {' and '.join(packages)}, but {error.name} was not found"
        raise missing(problem, *packages, otherwise=otherwise) from error


class TraceError(TypeError):
    """Report, with the user's line, traced code that asks for the value of a number that has none yet."""


class BackendError(NotImplementedError):
    """Report an operation that a backend lacks."""


def describe(name: str, value: object) -> str:
    """Write ``name=value (type)`` for an error message, cut to a readable length."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        text = "..."
    if "\n" in text:  # of an array
        text = " ".join(text.split())
    if len(text) > 80:
        text = text[:77] + "..."
    return f"{name}={text} ({type(value).__name__})"
