"""Signatures of compiled classes and of rows, for `inspect.signature`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ..misspelt import ARGUMENTS, advice

ARGUMENT, PLACE = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY
OPTION = inspect.Parameter.KEYWORD_ONLY


class Arguments:
    """Give `inspect.signature` the arguments of a compiled class, which its constructor does not show, and of rows.

    Given are the names, those by keyword alone after a "*", and as keywords the names that have defaults.
    """

    def __init__(self, *names: str, **defaults: Any) -> None:
        self.names, self.defaults = names, defaults

    def __get__(self, row: Any, kind: type | None = None) -> inspect.Signature:
        if row is not None:
            if not hasattr(type(row), "signature"):
                raise AttributeError("__signature__")
            signature: inspect.Signature = row.signature()
            return signature
        arguments: list[inspect.Parameter] = []
        how: Any = ARGUMENT
        for name in (*self.names, *self.defaults):
            if name == "*":
                how = OPTION
            else:
                arguments.append(parameter(name, self.defaults.get(name, inspect.Parameter.empty), how))
        return inspect.Signature(arguments)


def parameter(name: str, default: Any = inspect.Parameter.empty, kind: Any = ARGUMENT) -> inspect.Parameter:
    """Describe one argument of a signature."""
    return inspect.Parameter(name, kind, default=default)


def bound(
    function: str, signature: inspect.Signature, args: tuple[Any, ...], named: Mapping[str, Any]
) -> tuple[Any, ...]:
    """Return all arguments in order, those given by name and the defaults too; `function` is named in errors."""
    own = list(signature.parameters)
    expected = f"{function} expected its arguments ({', '.join(own)}), each once, but"
    for name in named:
        if name not in own:
            others = {wrong: right for wrong, right in ARGUMENTS.items() if right in own}
            raise TypeError(f"{expected} got {name!r}{advice(name, others, own)}")
    try:
        taken = signature.bind(*args, **named)
    except TypeError as error:
        raise TypeError(f"{expected}: {error}") from None
    taken.apply_defaults()
    return taken.args
