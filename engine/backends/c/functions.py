"""Write the body of a C function from the steps of a program, split into parts if it is long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ...programs import Loop, Numbers, Program, Structural, contiguous, size_of
from .arrays import arrange
from .expressions import expression, literal
from .loops import Function, loop, reach
from .places import Frame, Slot, Statement, Target, array, step_between

_PART = 256  # statements of one function: compilers take the square of the time for longer ones, and much of the stack
_ALIKE = 8  # steps that are alike from which on they become a loop


class Body:
    """Collect the statements of a function, then write them.

    Args:
        program: whose steps they are.
        frame: where inputs and constants stand.
        functions: those of the inner programs.
        parameters: how the arrays and counters that the frame names are declared.
    """

    def __init__(
        self,
        program: Program,
        frame: Frame,
        functions: Functions,
        parameters: Mapping[str, str],
    ) -> None:
        self.program, self.frame, self.functions = program, frame, functions
        self.parameters = {**parameters, "work": "double *work", "scratch": "double *scratch"}
        self.used: set[str] = set()  # what the lines refer to
        # What is done once, and what for each sample.
        self._sections: list[list[Statement]] = [[]]

    def begin_samples(self) -> None:
        """Begin the statements that run for each sample."""
        self._sections.append([])

    def text(self, lines: str, *names: str) -> None:
        """Add lines unchanged."""
        self._add([Statement(lambda: self._marked(lines, names), ())])

    def move(self, values: Sequence[int], target: Target, sign: str = "=") -> None:
        """Add the statements that write values to a target."""
        self._add(self.frame.move(values, target, sign))

    def steps(self, places: Sequence[int]) -> None:
        """Add the steps of the program at these places."""
        # A number of an array needs no statement.
        places = [k for k in places if self.program.firsts[k] not in self.frame.numbers]
        at = 0
        while at < len(places):
            (op, args), value = self.program.steps[places[at]], self.program.firsts[places[at]]
            count = 1
            if isinstance(op, Loop):
                self._add(loop(op, args, value, self.frame, self.functions))
            elif isinstance(op, Structural):
                self._add(arrange(op, args, value, self.frame))
            else:
                count, strides = self._alike(places, at)
                self._add([self._repeated(places[at : at + count], strides) if count > 1 else self._single(places[at])])
            at += count

    def _alike(self, places: Sequence[int], at: int) -> tuple[int, list[int]]:
        """Count the steps from one on that do the same to numbers at constant distances; return those, too."""
        op, args = self.program.steps[places[at]]
        strides: list[int | None] = []
        count = 1
        while at + count < len(places):
            other, next_ = self.program.steps[places[at + count]]
            if other is not op or len(args) != len(next_):
                break
            found = [self._stride(*pair) for pair in zip(args, next_, strict=True)]
            if None in found or (count > 1 and found != strides):
                break
            strides, args, count = found, next_, count + 1
        if count < _ALIKE:
            return 1, []
        return count, [stride for stride in strides if stride is not None]

    def _stride(self, one: int, next_: int) -> int | None:
        slots = self.frame.slot(one), self.frame.slot(next_)
        # A step of the run itself has no place yet.
        return step_between(*slots) if slots[0].name and slots[1].name else None

    def _single(self, place: int) -> Statement:
        (op, args), value, frame = self.program.steps[place], self.program.firsts[place], self.frame
        frame.slots[value] = Slot(f"v{place}")

        def lines() -> Iterator[str]:
            text = expression(op, [frame.text(arg) for arg in args])
            yield f"{'const double ' if frame.slot(value).place is None else ''}{frame.text(value)} = {text};"

        return Statement(lines, args, value)

    def _repeated(self, places: Sequence[int], strides: Sequence[int]) -> Statement:
        (op, args), frame = self.program.steps[places[0]], self.frame
        first = frame.take(len(places))
        for k, place in enumerate(places):
            frame.slots[self.program.firsts[place]] = Slot("work", first + k)

        def lines() -> Iterator[str]:
            words = [frame.text(arg, (stride, "k")) for arg, stride in zip(args, strides, strict=True)]
            yield f"for (size_t k = 0; k < {len(places)}; k++)"
            yield f"    {frame.element(Slot('work', first), (1, 'k'))} = {expression(op, words)};"

        return Statement(lines, args)

    def _add(self, statements: Iterable[Statement]) -> None:
        self._sections[-1] += statements

    def _marked(self, lines: str, names: Sequence[str]) -> Iterator[str]:
        self.frame.used.update(names)
        yield from lines.split("\n")

    # ---- writing ----

    def lines(self, name: str, of_samples: Mapping[str, str]) -> Iterator[str]:
        """Yield the lines of the body of a function; a long body calls parts, which are written before it.

        `of_samples` says how arrays that each sample has for itself are defined, where they are used.
        """
        sections = self._sections
        parts = [[section] for section in sections]
        if sum(map(len, sections)) > _PART:
            parts = [[part[k : k + _PART] for k in range(0, len(part), _PART)] for part in sections]
            self._keep_what_crosses([part for section in parts for part in section])
        is_whole = parts == [[section] for section in sections]
        written, count = [], 0
        for section in parts:
            text: list[str] = []
            for part in section:
                self.frame.used = set()
                lines = [line for statement in part for line in statement.lines()]
                names = [word for word in self.parameters if word in self.frame.used]
                self.used |= self.frame.used
                if is_whole:
                    text += lines
                    continue
                own = f"{name}_part{count}"
                count += 1
                parameters = ", ".join([self.parameters[word] for word in names]) or "void"
                head = f"static void {own}({parameters})\n{{"
                self.functions.written.append("\n".join([head, *indented(lines), "}\n"]))
                text.append(f"{own}({', '.join(names)});")
            written.append(text)
        if "scratch" in self.used:
            yield f"    double *const scratch = work + {self.frame.own};"
        yield from indented(written[0])
        if len(sections) > 1:
            yield "    for (size_t i = 0; i < n; i++) {"
            yield from (f"        {line}" for word, line in of_samples.items() if word in self.used)
            yield from indented(indented(written[1]))
            yield "    }"

    def _keep_what_crosses(self, parts: Sequence[Sequence[Statement]]) -> None:
        """Give a place in memory to values that one part computes and another reads."""
        home: dict[int, int] = {}
        slots = self.frame.slots
        for number, part in enumerate(parts):
            for statement in part:
                for value in statement.reads:
                    if home.get(value, number) != number and slots[value].place is None:
                        slots[value] = Slot("work", self.frame.take(1))
                if statement.makes >= 0:
                    home[statement.makes] = number


def indented(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines four columns further in."""
    return (f"    {line}" for line in lines)


class Functions:
    """Write a function for each inner program, callees first, and the arrays of constants.

    Attributes:
        written: the functions so far.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.written: list[str] = []
        self._known: dict[Any, Function] = {}
        self._tables: dict[Numbers, str] = {}
        self._used: set[str] = set()

    def __call__(self, program: Program, carry: int, strides: Sequence[tuple[int, ...]]) -> Function:
        """Return the function of an inner program that reads arrays with these strides (see `Function`)."""
        key = program, carry, tuple(strides)
        if key not in self._known:
            function = self._function(program, carry, strides)
            self._known[key] = function
        return self._known[key]

    def _function(self, program: Program, carry: int, strides: Sequence[tuple[int, ...]]) -> Function:
        slots, place, own = [], 0, iter(strides)
        for k, shape in enumerate(program.shapes):
            if shape and k >= carry:
                steps = next(own)
                slots.append(Slot(f"x{k}", reach(shape, steps), steps))
            else:
                slots.append(Slot("x", place, contiguous(shape)))
                place += size_of(shape)
        names = ["x", *[slot.name for slot in slots if slot.name != "x"]]
        parameters = {name: f"const double *{name}" for name in names}
        parameters = {"x": parameters.pop("x"), "y": "double *y", **parameters}
        frame = Frame(program, [*slots, *self.constants(program)])
        body = Body(program, frame, self, parameters)
        body.steps(range(len(program.steps)))
        body.move(program.outputs, array("y"))
        name = f"{self.prefix}_inner{len(self._known)}"
        lines = list(body.lines(name, {}))
        self._used |= body.used
        work = frame.own + frame.scratch
        unused = [f"    (void){word};" for word in parameters if word not in body.used]
        head = ", ".join([*parameters.values(), *["double *work"] * bool(work)])
        self.written.append("\n".join([f"static void {name}({head})\n{{", *unused, *lines, "}\n"]))
        return Function(name, work)

    def constants(self, program: Program) -> Iterator[Slot]:
        """Yield where each constant of a program stands."""
        for item in program.constants:
            if isinstance(item, Numbers):
                name = self._tables.setdefault(item, f"{self.prefix}_table{len(self._tables)}")
                yield Slot(name, 0, contiguous(item.shape))
            else:
                yield Slot(literal(item))

    def tables(self, used: set[str]) -> Iterator[str]:
        """Yield the arrays of constants that the functions written, or another with such names, refer to."""
        for item, name in self._tables.items():
            if name in used | self._used:
                numbers = list(map(literal, item))
                lines = [", ".join(numbers[k : k + 8]) for k in range(0, len(numbers), 8)]
                text = ",\n    ".join(lines)
                yield f"static const double {name}[{len(numbers)}] = {{\n    {text}}};\n"
