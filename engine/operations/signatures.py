"""Signatures of compiled classes and of rows, for `inspect.signature`."""

from __future__ import annotations

import inspect
from typing import Any

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
