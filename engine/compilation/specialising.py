"""Compile a function anew for each value of its static arguments, and for each object whose method it is."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import numbers
import operator
import weakref
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from ..data import is_index
from ..errors import describe
from ..programs import Program

Function = Callable[..., Any]


def parameters_of(f: Function) -> list[str]:
    """Name the arguments of a function, in order; none if it has no signature."""
    if isinstance(f, Program):
        return [f"argument {k}" for k in range(len(f.arguments.parts) - bool(f.closed))]
    try:
        return list(inspect.signature(f).parameters)
    except (TypeError, ValueError):
        return []


def listed_names(names: Any) -> tuple[Any, ...]:
    """Return one name or position, or several, as a tuple."""
    return (names,) if isinstance(names, (str, int)) or is_index(names) else tuple(names)


def positions(f: Function, parameters: Sequence[str], option: str, items: Sequence[Any]) -> frozenset[int]:
    """Return the positions of arguments that an option of `compile` names; `ValueError` for anything else."""
    found = []
    for item in items:
        if is_index(item) and (0 <= item < len(parameters) if option == "static" else item >= 0):
            found.append(operator.index(item))
        elif isinstance(item, str) and item in parameters:
            found.append(parameters.index(item))
        else:
            raise ValueError(
                f"compile expected {option} to name arguments of {_name(f)}, {list(parameters)}, or their positions "
                f"but got {describe(option, item)}"
            )
    return frozenset(found)


class Static:
    """Keep, for each value of a function's static arguments, what `make` makes of the function with them fixed.

    Args:
        f: a function with a signature.
        positions: the places of its static arguments in the signature.
        make: from a function of the other arguments to a compiled one.
    """

    def __init__(self, f: Function, positions: frozenset[int], make: Callable[[Function], Any]) -> None:
        self.f, self.make = f, make
        self.signature = inspect.signature(f)
        self.names = [name for k, name in enumerate(self.signature.parameters) if k in positions]
        self._known: dict[Any, Any] = {}
        # Calls with all arguments in order need not be bound to names.
        kinds = {parameter.kind for parameter in self.signature.parameters.values()}
        self._plain = kinds <= {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
        self._order = [(name, k in positions) for k, name in enumerate(self.signature.parameters)]

    def of(self, args: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, Sequence[Any]]:
        """Return what was made for such a call, and the remaining arguments."""
        if self._plain and not named and len(args) == len(self._order):
            pairs = list(zip(self._order, args, strict=True))
            fixed = {name: value for (name, is_static), value in pairs if is_static}
            return self._made(fixed), [value for (_, is_static), value in pairs if not is_static]
        bound = self.signature.bind(*args, **named)
        given = set(bound.arguments)
        bound.apply_defaults()
        fixed = {name: bound.arguments.pop(name) for name in self.names}
        rest: list[Any] = []
        for name, value in bound.arguments.items():
            kind = self.signature.parameters[name].kind
            if kind in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD):
                if name in given:
                    name, value = next(iter(value.items())) if kind is inspect.Parameter.VAR_KEYWORD else (name, value)
                    refuse_by_keyword(self.f, name, value)
                continue
            rest += value if kind is inspect.Parameter.VAR_POSITIONAL else [value]
        return self._made(fixed), rest

    def _made(self, fixed: dict[str, Any]) -> Any:
        try:
            key = tuple(map(_as_it_is, fixed.values()))
            made = self._known.get(key)
        except TypeError:
            self._refuse(fixed)
        if made is None:
            if any(hasattr(type(value), "__apply__") for value in fixed.values()):
                self._refuse(fixed)
            made = self._known[key] = self.make(Fixed(self.f, fixed))
        return made

    def _refuse(self, fixed: dict[str, Any]) -> None:
        for name, value in fixed.items():
            try:
                hash(value)
            except TypeError:
                advice = "; pass a tuple, or something else that stays as it is"
            else:
                advice = "; leave it out of static" if hasattr(type(value), "__apply__") else ""
            if advice:
                raise TypeError(
                    f"{_name(self.f)} expected a static argument that can be hashed and is no Var but got "
                    f"{describe(name, value)}{advice}"
                ) from None


class Fixed:
    """A function with some of its arguments fixed."""

    def __init__(self, f: Function, given: dict[str, Any]) -> None:
        functools.update_wrapper(self, f, updated=())
        self._f, self._given = f, given
        self._parameters = inspect.signature(f).parameters
        self.__signature__ = inspect.Signature([p for name, p in self._parameters.items() if name not in given])

    def __call__(self, *args: Any) -> Any:
        waiting = iter(args)
        own: list[Any] = []
        named = {}
        for name, parameter in self._parameters.items():
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                own += waiting
            elif parameter.kind is inspect.Parameter.KEYWORD_ONLY:
                if name in self._given:
                    named[name] = self._given[name]
            elif parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                own.append(self._given[name] if name in self._given else next(waiting))
        return self._f(*own, **named)


class Methods:
    """Keep what `make` makes of a function as a method of each object, for as long as the object lives."""

    def __init__(self, f: Function, make: Callable[[Function], Any]) -> None:
        self.f, self.make = f, make
        self._known: dict[int, tuple[weakref.ref[Any], Any]] = {}

    def of(self, instance: Any) -> Any:
        """Return the method of an object, which may be neither hashable nor comparable."""
        place = id(instance)
        reference, made = self._known.get(place, (None, None))
        if reference is None or reference() is not instance:
            try:
                reference = weakref.ref(instance, lambda gone: self._forget(place, gone))
            except TypeError:
                raise TypeError(
                    f"compile expected an object that can be referred to weakly, to keep its {_name(self.f)}, but got "
                    f"{describe('self', instance)}; add '__weakref__' to its __slots__"
                ) from None
            made = self.make(_Method(self.f, reference))
            self._known[place] = reference, made
        return Bound(made, instance)

    def _forget(self, place: int, gone: Any) -> None:
        if place in self._known and self._known[place][0] is gone:
            del self._known[place]


class _Method:
    """A function as the method of an object that it does not keep alive."""

    def __init__(self, f: Function, reference: weakref.ref[Any]) -> None:
        functools.update_wrapper(self, f, updated=())
        self._f, self._reference = f, reference
        self.__signature__ = inspect.Signature(list(inspect.signature(f).parameters.values())[1:])

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._f(self._reference(), *args, **named)


class Bound:
    """A compiled method of one object, which it keeps alive; it has the attributes of what was compiled."""

    def __init__(self, compiled: Any, instance: Any) -> None:
        self.__func__, self.__self__ = compiled, instance

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self.__func__(*args, **named)

    def __getattr__(self, name: str) -> Any:
        if name in ("__func__", "__self__"):
            raise AttributeError(name)
        return getattr(self.__func__, name)

    def __repr__(self) -> str:
        return f"<method of {self.__self__!r}: {self.__func__!r}>"

    def __reduce__(self) -> Any:
        return getattr, (self.__self__, self.__func__.__name__)


def refuse_by_keyword(f: Function, name: str, value: Any) -> NoReturn:
    """Raise for an argument that is taken by keyword only: a compiled function takes it as a static one."""
    known = inspect.signature(f).parameters.get(name)
    if known is None or known.kind is not inspect.Parameter.KEYWORD_ONLY:
        advice = "give it a parameter of its own"
    else:
        advice = f'name it in compile(..., static="{name}"), or let {_name(f)} take it by position'
    raise TypeError(
        f"{_name(f)} expected arguments that are positional or static but got {describe(name, value)}; {advice}"
    )


def _as_it_is(value: Any) -> Any:
    """Return what two static values have in common only if they are of one type, and so is all that they hold.

    1, 1.0 and True are equal, and so are 0.0 and -0.0, but they may decide differently.

    >>> _as_it_is((1, 0.0)) == _as_it_is((True, 0.0)), _as_it_is(0.0) == _as_it_is(-0.0), _as_it_is(1) == _as_it_is(1)
    (False, False, True)
    """
    kind = type(value)
    if isinstance(value, (tuple, frozenset)):
        return kind, (tuple if isinstance(value, tuple) else frozenset)(map(_as_it_is, value))
    if isinstance(value, numbers.Number) and not isinstance(value, int):
        return kind, repr(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [getattr(value, field.name) for field in dataclasses.fields(value) if field.compare]
        return kind, value, _as_it_is(tuple(fields))
    return kind, value


def _name(f: Function) -> str:
    return getattr(f, "__name__", type(f).__name__).strip("<>")
