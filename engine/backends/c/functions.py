"""Write the body of a C function from the steps of a program, split into parts if it is long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from ...programs import Loop, Program
from .expressions import expression, literal
from .loops import Function, loop
from .places import Frame, Place, Statement, Target, array, step_between

_PART = 256  # statements of one function: compilers take the square of the time for longer ones, and much of the stack
_ALIKE = 8  # steps that are alike from which on they become a loop


class Body:
    """Collect the statements of a function, then write them.

    Args:
        program: whose steps they are.
        frame: where inputs and constants stand.
        functions: those of the inner programs.
        parameters: how the arrays and counters that the frame names are declared.
        name: of the function.
    """

    def __init__(
        self,
        program: Program,
        frame: Frame,
        functions: Mapping[Program, Function],
        parameters: Mapping[str, str],
        name: str,
    ) -> None:
        self.program, self.frame, self.functions = program, frame, functions
        self.parameters = {**parameters, "work": "double *work", "scratch": "double *scratch"}
        self.name = name
        self.used: set[str] = set()  # of the parameters
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
        at = 0
        while at < len(places):
            (op, args), value = self.program.steps[places[at]], self.program.firsts[places[at]]
            count = 1
            if isinstance(op, Loop):
                self._add(loop(op, args, value, self.frame, self.functions))
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
        places = self.frame.places
        # A step of the run itself has no place yet.
        return step_between(places[one], places[next_]) if places[one][0] and places[next_][0] else None

    def _single(self, place: int) -> Statement:
        (op, args), value, frame = self.program.steps[place], self.program.firsts[place], self.frame
        frame.places[value] = (f"v{place}", None)

        def lines() -> Iterator[str]:
            text = expression(op, [frame.text(arg) for arg in args])
            yield f"{'const double ' if frame.places[value][1] is None else ''}{frame.text(value)} = {text};"

        return Statement(lines, args, value)

    def _repeated(self, places: Sequence[int], strides: Sequence[int]) -> Statement:
        (op, args), frame = self.program.steps[places[0]], self.frame
        first = frame.take(len(places))
        for k, place in enumerate(places):
            frame.places[self.program.firsts[place]] = ("work", first + k)

        def lines() -> Iterator[str]:
            words = [frame.text(arg, (stride, "k")) for arg, stride in zip(args, strides, strict=True)]
            yield f"for (size_t k = 0; k < {len(places)}; k++)"
            yield f"    {frame.element(('work', first), (1, 'k'))} = {expression(op, words)};"

        return Statement(lines, args)

    def _add(self, statements: Iterable[Statement]) -> None:
        self._sections[-1] += statements

    def _marked(self, lines: str, names: Sequence[str]) -> Iterator[str]:
        self.frame.used.update(names)
        yield from lines.split("\n")

    # ---- writing ----

    def lines(self, functions: list[str], of_samples: Mapping[str, str]) -> Iterator[str]:
        """Yield the lines of the body; a long body calls parts, which are added to `functions`.

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
                names = [name for name in self.parameters if name in self.frame.used]
                self.used.update(names)
                if is_whole:
                    text += lines
                    continue
                name = f"{self.name}_part{count}"
                count += 1
                parameters = ", ".join([self.parameters[name] for name in names]) or "void"
                functions.append("\n".join([f"static void {name}({parameters})\n{{", *indented(lines), "}\n"]))
                text.append(f"{name}({', '.join(names)});")
            written.append(text)
        if "scratch" in self.used:
            yield f"    double *const scratch = work + {self.frame.own};"
        yield from indented(written[0])
        if len(sections) > 1:
            yield "    for (size_t i = 0; i < n; i++) {"
            yield from (f"        {line}" for name, line in of_samples.items() if name in self.used)
            yield from indented(indented(written[1]))
            yield "    }"

    def _keep_what_crosses(self, parts: Sequence[Sequence[Statement]]) -> None:
        """Give a place in memory to values that one part computes and another reads."""
        home: dict[int, int] = {}
        places = self.frame.places
        for number, part in enumerate(parts):
            for statement in part:
                for value in statement.reads:
                    if home.get(value, number) != number and places[value][1] is None:
                        places[value] = ("work", self.frame.take(1))
                if statement.makes >= 0:
                    home[statement.makes] = number


def indented(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines four columns further in."""
    return (f"    {line}" for line in lines)


def inner_functions(
    program: Program, prefix: str, written: list[str], found: dict[Program, Function] | None = None
) -> dict[Program, Function]:
    """Write a function for each inner program, callees first, and return their names.

    Each takes x, what the program takes, and y for what it returns, and memory to work in where it needs any.
    """
    found = {} if found is None else found
    for op, _ in program.steps:
        for inner in op.programs() if isinstance(op, Loop) else ():
            if inner in found:
                continue
            inner_functions(inner, prefix, written, found)
            name = f"{prefix}_inner{len(found)}"
            places: list[Place] = [("x", k) for k in range(len(inner.names))] + [
                (literal(x), None) for x in inner.constants
            ]
            places += [("", None)] * (inner.count - inner.offset)
            frame = Frame(places)
            body = Body(inner, frame, found, {"x": "const double *x", "y": "double *y"}, name)
            body.steps(range(len(inner.steps)))
            body.move(inner.outputs, array("y"))
            lines = list(body.lines(written, {}))
            function = Function(name, frame.own + frame.scratch)
            work = ", double *work" if function.work else ""
            unused = [f"    (void){name};" for name in ("x", "y") if name not in body.used]
            head = f"static void {name}(const double *x, double *y{work})\n{{"
            written.append("\n".join([head, *unused, *lines, "}\n"]))
            found[inner] = function
    return found
