"""Keep a `Program` in a file: JSON, versioned, checked in full when it is read, never executed.

Version 1 holds one program of numbers. Version 3 lists in "programs" the inner programs of its loops, each before it is
used, and has arrays; in version 2 loops took numbers one by one.
"""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from ..data import Places, Structure, constant, write_whole
from ..operations import PRIMITIVES, Primitive, Reduction, Variadic, find_row
from . import older_form
from .gathering import Gather, Scatter
from .loop import CALL, COUNTED, KINDS, MAP, WHILE, Loop
from .tables import Numbers
from .views import Part, Place, Shape, Structural, View, size_of

FORMAT = "chainrule program"
VERSIONS = (1, 2, 3)
_KINDS = ("array", "whole", "list", "tuple", "dict", "constant", "sparse")
_SPECIAL = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


_KEYS = {"arguments", "constants", "name", "names", "outputs", "result", "steps"}
_COUNTS = ("length", "carry", "rows", "sums")

Make = Callable[[dict[str, Any], list[tuple[Primitive, tuple[int, ...]]]], Any]


def write(program: Any, path: Any) -> None:
    """Write a `Program` as JSON; the file appears whole or not at all."""
    import json  # imported here, since it takes a thirtieth of the time of `import chainrule`

    inner: dict[Any, int] = {}
    contents: list[Any] = []
    program = program.with_lists_apart()
    own = _content(program, inner, contents)
    plain = not contents and not program.has_arrays
    content = (
        {"format": FORMAT, "version": 1} | own
        if plain
        else {"format": FORMAT, "version": 3} | own | {"programs": contents}
    )
    write_whole(path, json.dumps(content, ensure_ascii=False, allow_nan=False).encode())


def _content(program: Any, inner: dict[Any, int], contents: list[Any]) -> dict[str, Any]:
    """Describe a program; those of its loops are appended to `contents`, each distinct one once."""
    steps = [[_operation(op, inner, contents), *args] for op, args in program.steps]
    return {
        "name": program.name,
        "arguments": _of_structure(program.arguments),
        "names": program.names,
        "constants": list(map(_of_constant, program.constants)),
        "steps": steps,
        "outputs": program.outputs,
        "result": _of_structure(program.result),
    }


def _of_constant(item: Any) -> Any:
    if isinstance(item, float):
        return item if math.isfinite(item) else repr(item)
    return {"shape": item.shape, "doubles": importlib.import_module("base64").b64encode(_little(item.data)).decode()}


def _little(data: bytes) -> bytes:
    """Turn doubles of this machine into little-endian ones, or back."""
    if sys.byteorder == "little":
        return data
    return b"".join(data[k : k + 8][::-1] for k in range(0, len(data), 8))


def _operation(op: Primitive, inner: dict[Any, int], contents: list[Any]) -> Any:
    if isinstance(op, View):
        return {"view": op.of, "part": op.part, "stops": op.stops}
    if isinstance(op, Place):
        return {"place": op.shape, "parts": op.parts}
    if isinstance(op, Gather):
        return {"gather": op.of, "index": op.index}
    if isinstance(op, Scatter):
        return {"scatter": op.shape, "index": op.index}
    if not isinstance(op, Loop):
        if op.name not in PRIMITIVES or find_row(op.name, op.arity) is not op:
            raise ValueError(
                f"save expected operations that are found by their names but got one of {op.name!r}, which was made "
                "again since; trace the function anew"
            )
        return op.name
    places = []
    for program in op.programs():
        if program not in inner:
            found = _content(program, inner, contents)
            inner[program] = len(contents)
            contents.append(found)
        places.append(inner[program])
    counts = {name: getattr(op, name) for name in _COUNTS}
    return {"loop": op.kind, "programs": places, "backwards": op.backwards} | counts


def read(path: Any, make: Make) -> Any:
    """Read and check a file; `make` each program from its fields and steps, inner ones first; return the last.

    `ValueError` names the file, the place and what stands there.
    """
    import json  # imported here, since it takes a thirtieth of the time of `import chainrule`

    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file, object_pairs_hook=_once)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} expected a program in JSON, but it is truncated or not JSON: {error}") from None
    except _Wrong as error:
        raise ValueError(f"{path} expected {error}") from None
    try:
        return _all(content, make)
    except _Wrong as error:
        raise ValueError(f"{path} expected {error}") from None
    except RecursionError:
        raise ValueError(f"{path} expected structures that are not nested as deep as these") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; refuse duplicate members, of which JSON itself would take the last."""
    names = [name for name, _ in pairs]
    _check(len(set(names)) == len(names), "each name once in an object", names)
    return dict(pairs)


class _Wrong(Exception):
    """Report what was expected at which place, and what was found."""


def _check(condition: bool, expected: str, got: Any) -> None:
    if not condition:
        text = repr(got)
        raise _Wrong(f"{expected} but got {text if len(text) < 80 else text[:77] + '...'}")


def _all(content: Any, make: Make) -> Any:
    _check(isinstance(content, dict) and content.get("format") == FORMAT, f'"format": "{FORMAT}"', content)
    version = content.get("version")
    known = isinstance(version, int) and not isinstance(version, bool) and version in VERSIONS
    _check(known, f"version {VERSIONS[-1]} of the format, or an older one, as this release reads,", version)
    wanted = _KEYS | {"format", "version"} | ({"programs"} if version > 1 else set())
    _check(content.keys() == wanted, f"the keys {sorted(wanted)}", sorted(content))
    inner: list[Any] = []
    if version > 1:
        _check(isinstance(content["programs"], list), "programs to be a list", content["programs"])
    for k, item in enumerate(content.get("programs", ())):
        place = f"programs[{k}]."
        _check(isinstance(item, dict) and item.keys() == _KEYS, f"{place[:-1]} to have the keys {sorted(_KEYS)}", item)
        inner.append(make(*_fields(item, inner, place, version)))
    return make(*_fields(content, inner, "", version))


def _fields(
    content: Any, inner: Sequence[Any], where: str, version: int
) -> tuple[dict[str, Any], list[tuple[Primitive, tuple[int, ...]]]]:
    of = f" of {where[:-1]}" if where else ""
    _check(isinstance(content["name"], str), f"{where}name to be a string", content["name"])
    for key in ("names", "constants", "steps", "outputs"):
        _check(isinstance(content[key], list), f"{where}{key} to be a list", content[key])
    arguments = _structure(content["arguments"], f"{where}arguments")
    result = _structure(content["result"], f"{where}result")
    _check(arguments.kind == "tuple", f"{where}arguments to be a tuple", arguments.kind)
    for k, name in enumerate(content["names"]):
        _check(isinstance(name, str), f"{where}names[{k}] to be a string", name)
    _check(
        arguments.count == len(content["names"]), f"{arguments.count} names, as arguments{of}", len(content["names"])
    )
    arrays = version == 3
    _check(arrays or not (arguments.has_whole or result.has_whole), f"{where}arguments and result of numbers", version)
    constants = [_constant(item, f"{where}constants[{k}]", arrays) for k, item in enumerate(content["constants"])]
    shapes = [leaf.shape for leaf in arguments.leaves()]
    shapes += [item.shape if isinstance(item, Numbers) else () for item in constants]
    first, steps = len(shapes), []
    for k, step in enumerate(content["steps"]):
        op, args = _step(step, f"{where}steps[{k}]", shapes, inner, arrays)
        steps.append((op, args))
        shapes += op.shapes if arrays and isinstance(op, Structural) else [()] * older_form.results_of(op)
    outputs = content["outputs"]
    for k, number in enumerate(outputs):
        _check(_is_below(number, len(shapes)), f"{where}outputs[{k}] to be the number of a value", number)
    _check(result.count == len(outputs), f"{result.count} outputs, as result{of}", len(outputs))
    for k, (number, leaf) in enumerate(zip(outputs, result.leaves(), strict=True)):
        _check(shapes[number] == leaf.shape, f"{where}outputs[{k}] to be {_named(leaf.shape)}", _named(shapes[number]))
    if not arrays:
        steps, outputs = older_form.in_arrays(first, steps, outputs)
    fields = {
        "names": tuple(content["names"]),
        "constants": tuple(constants),
        "outputs": tuple(outputs),
        "arguments": arguments,
        "result": result,
        "name": content["name"],
    }
    return fields, steps


def _constant(item: Any, place: str, arrays: bool) -> float | Numbers:
    if arrays and isinstance(item, dict):
        _check(item.keys() == {"shape", "doubles"}, f"{place} to have the keys ['doubles', 'shape']", sorted(item))
        shape, text = _shape(item["shape"], f"{place}, shape,"), item["doubles"]
        _check(isinstance(text, str), f"{place} to have doubles in base 64", text)
        try:
            data = importlib.import_module("base64").b64decode(text, validate=True)
        except ValueError:
            raise _Wrong(f"{place} to have doubles in base 64") from None
        _check(bool(shape) and len(data) == 8 * size_of(shape), f"{place} to have doubles for {shape}", len(data))
        return Numbers(_little(data), shape)
    plain = type(item) is float or (type(item) is int and abs(item) <= sys.float_info.max)
    _check(plain or (isinstance(item, str) and item in _SPECIAL), f"{place} to be a number", item)
    return float(item) if plain else _SPECIAL[item]


def _step(
    step: Any, place: str, shapes: Sequence[Shape], inner: Sequence[Any], arrays: bool
) -> tuple[Primitive, tuple[int, ...]]:
    _check(isinstance(step, list) and bool(step), f"{place} to be a list of an operation and its arguments", step)
    name, *args = step
    row: Primitive | None = None
    if isinstance(name, dict):
        row = _loop(name, place, inner) if "loop" in name or not arrays else _structural(name, place)
    if isinstance(name, str):
        row = PRIMITIVES.get(name)
    if isinstance(row, Variadic):
        _check(len(args) >= row.least, f"{place}, {name}, to take {row.least} arguments or more", len(args))
        row = row.of(len(args))
    if row is None:
        raise _Wrong(f"{place} to name an operation of the table (import the module of a custom one) but got {name!r}")
    for number in args:
        known = _is_below(number, len(shapes))
        _check(known, f"{place} to take values computed before it, numbers below {len(shapes)},", number)
    if isinstance(row, Reduction):
        _check(len(args) % row.iterables == 0, f"{place}, {name}, to take {row.iterables} equal lists", len(args))
    else:
        arity = older_form.arity_of(row) if isinstance(row, Loop) and not arrays else row.arity
        _check(len(args) == arity, f"{place}, {row.name}, to take {arity} arguments", len(args))
    taken = row.argument_shapes if arrays and isinstance(row, Structural) else [()] * len(args)
    for k, (number, shape) in enumerate(zip(args, taken, strict=True)):
        _check(
            shapes[number] == shape,
            f"{place}, {row.name}, to take {_named(shape)} as value {k}",
            _named(shapes[number]),
        )
    return row, tuple(args)


def _named(shape: Shape) -> str:
    return f"an array {list(shape)}" if shape else "a number"


def _structural(item: dict[str, Any], place: str) -> Structural:
    kind = next((kind for kind in _STRUCTURAL if item.keys() == {kind, *_STRUCTURAL[kind]}), "")
    _check(bool(kind), f"{place} to be an operation with its keys, {_STRUCTURAL},", sorted(item))
    place = f"{place}, {kind},"
    shape = _shape(item[kind], place)
    _check(bool(shape), f"{place} to be of an array", item[kind])
    if kind == "view":
        _check(isinstance(item["stops"], bool), f"{place} to say whether derivatives stop", item["stops"])
        return View(shape, _part(item["part"], size_of(shape), place), item["stops"])
    if kind == "place":
        _check(isinstance(item["parts"], list), f"{place} to list parts", item["parts"])
        return Place(shape, [_part(part, size_of(shape), place) for part in item["parts"]])
    index = _shape(item["index"], place)
    return Gather(shape, index) if kind == "gather" else Scatter(shape, index)


_STRUCTURAL = {"view": ("part", "stops"), "place": ("parts",), "gather": ("index",), "scatter": ("index",)}


def _shape(item: Any, place: str) -> Shape:
    fits = isinstance(item, list) and all(_is_below(length, 2**63) for length in item)
    _check(fits, f"{place} to have a shape of whole numbers", item)
    return tuple(item)


def _part(item: Any, size: int, place: str) -> Part:
    """Check that a part is one of an array of so many numbers."""
    _check(isinstance(item, list) and len(item) == 3, f"{place} to name a start, a shape and strides", item)
    start, shape, strides = item[0], _shape(item[1], place), item[2]
    fits = isinstance(strides, list) and len(strides) == len(shape)
    fits = fits and all(type(number) is int for number in (start, *strides))
    _check(fits, f"{place} to name a start, a shape and strides", item)
    if size_of(shape):
        ends = [stride * (length - 1) for length, stride in zip(shape, strides, strict=True)]
        least = start + sum(min(0, end) for end in ends)
        most = start + sum(max(0, end) for end in ends)
        _check(least >= 0 and most < size, f"{place} to stay inside of {size} numbers", item)
    return Part(start, shape, tuple(strides))


def _loop(item: dict[str, Any], place: str, inner: Sequence[Any]) -> Loop:
    keys = {"loop", "programs", "backwards", *_COUNTS}
    _check(item.keys() == keys, f"{place} to be a loop with the keys {sorted(keys)}", sorted(item))
    kind, places = item["loop"], item["programs"]
    _check(kind in KINDS, f"{place} to be one of the loops {KINDS}", kind)
    _check(isinstance(item["backwards"], bool), f"{place}, {kind}, to say whether it runs backwards", item["backwards"])
    for name in _COUNTS:
        _check(_is_below(item[name], 2**63), f"{place}, {kind}, to have a whole number as {name}", item[name])
    count = 2 if kind == WHILE else 1
    fits = isinstance(places, list) and len(places) == count and all(_is_below(k, len(inner)) for k in places)
    _check(fits, f"{place}, {kind}, to name {count} of the {len(inner)} programs before it", places)
    body, condition = inner[places[0]], inner[places[1]] if kind == WHILE else None
    length, carry, rows, sums = (item[name] for name in _COUNTS)
    fits = carry + rows <= len(body.names) and carry + sums <= len(body.outputs)
    fits = fits and not (carry and kind in (MAP, CALL)) and not (kind == CALL and (length, rows, sums) != (1, 0, 0))
    if condition is not None:
        fits = fits and not rows and (length > 0 or len(body.outputs) == carry) and len(condition.outputs) == 1
        fits = fits and condition.shapes == body.shapes and condition.output_shapes == ((),)
    fits = fits and body.shapes[:carry] == body.output_shapes[:carry]
    if kind == COUNTED:
        fits = fits and carry + rows < len(body.names) and not body.shapes[carry + rows]
    _check(fits, f"{place}, {kind}, to fit its inner program {body!r}", [length, carry, rows, sums])
    return Loop(kind, body, length, carry, rows, sums, item["backwards"], condition)


def _is_below(number: Any, limit: int) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and 0 <= number < limit


def _of_structure(structure: Structure) -> Any:
    if structure.kind == "array":
        return {"whole" if structure.whole else "array": structure.shape}
    if structure.places is not None:
        return {"sparse": [structure.places.shape[1], *structure.places.rows()]}
    if structure.kind == "dict":
        for key in structure.keys:
            if not isinstance(key, (str, int)):
                raise TypeError(f"save expected keys of type str or int in the arguments but got {key!r}")
        return {"dict": [[key, _of_structure(part)] for key, part in zip(structure.keys, structure.parts, strict=True)]}
    if structure.kind in ("list", "tuple"):
        return {structure.kind: [_of_structure(part) for part in structure.parts]}
    if structure.kind == "constant" and type(structure.keys[0]) is str:
        return {"constant": list(structure.keys)}
    if structure.kind in ("record", "constant"):
        # A file names no classes of the user's, since reading one must run nothing.
        raise TypeError(
            f"save expected numbers, arrays, lists, tuples, dicts, strings and None but got {structure}; pickle the "
            "program, or make it of a function of tuples or dicts"
        )
    return structure.kind


def _structure(content: Any, place: str) -> Structure:
    if isinstance(content, str):
        _check(content in ("number", "none"), f"{place} to be a structure", content)
        return Structure(content)
    _check(isinstance(content, dict) and len(content) == 1, f"{place} to be a structure", content)
    ((kind, inside),) = content.items()
    _check(kind in _KINDS and isinstance(inside, list), f"{place} to be a structure", content)
    if kind in ("array", "whole"):
        shape = _shape(inside, place)
        _check(bool(shape) or kind == "array", f"{place} to be an array", inside)
        return Structure("array", shape=shape, whole=kind == "whole")
    if kind == "sparse":
        _check(_is_below(next(iter(inside), -1), 2**31), f"{place} to say how many columns it has", inside)
        width, *rows = inside
        for row in rows:
            fits = isinstance(row, list) and all(_is_below(column, width) for column in row)
            _check(fits and row == sorted(set(row)), f"{place} to list columns below {width} in order", row)
        return Structure("sparse", places=Places.of_rows((len(rows), width), rows))
    if kind == "dict":
        for pair in inside:
            fits = isinstance(pair, list) and len(pair) == 2 and type(pair[0]) in (str, int)
            _check(fits, f"{place} to list keys and structures", pair)
        parts = tuple([_structure(part, f"{place}[{key!r}]") for key, part in inside])
        keys = [key for key, _ in inside]
        _check(len(set(keys)) == len(keys), f"{place} to have each key once", keys)
        return Structure("dict", parts, tuple(keys))
    if kind == "constant":
        _check(len(inside) == 1 and isinstance(inside[0], str), f"{place} to be one string", inside)
        return constant(inside[0])
    return Structure(kind, tuple([_structure(part, f"{place}[{k}]") for k, part in enumerate(inside)]))
