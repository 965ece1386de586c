"""Write LLVM IR that functions share: counted loops that can be stopped, pointers, calls, basic blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from . import watch

_BLOCK = 200  # pieces of text between two labels: the order of a block's loads and stores takes quadratic time


def watched(name: str, start: str, stop: str, step: int, body: str, turns: int, cost: int) -> str:
    """Write a counted loop that can be stopped after so many turns of this cost each; 0 turns never look."""
    return in_strips(name, start, stop, step, lambda first, end: loop(name, first, end, step, body), turns, cost)


def in_strips(
    name: str, start: str, stop: str, step: int, inside: Callable[[str, str], str], turns: int, cost: int
) -> str:
    """Write what runs over %name from one number to another so that it can be stopped after so many turns."""
    if not turns:
        return inside(start, stop)
    strip = f"{name}.strip"
    text = watch.look(strip, f"{strip}.done", turns * cost)
    text += f"%{name}.far = add i64 %{strip}, {turns * step}\n%{name}.last = icmp sgt i64 %{name}.far, {stop}\n"
    text += f"%{name}.end = select i1 %{name}.last, i64 {stop}, i64 %{name}.far\n"
    return loop(strip, start, stop, turns * step, text + inside(f"%{strip}", f"%{name}.end"))


def loop(name: str, start: str, stop: str, step: int, body: str, phis: str = "") -> str:
    """Write a counted loop over %name; `phis` are what else it hands on from one turn to the next."""
    return f"""br label %{name}.enter
{name}.enter:
br label %{name}.head
{name}.head:
%{name} = phi i64 [ {start}, %{name}.enter ], [ %{name}.next, %{name}.latch ]
{phis}%{name}.more = icmp slt i64 %{name}, {stop}
br i1 %{name}.more, label %{name}.body, label %{name}.done
{name}.body:
{body}
br label %{name}.latch
{name}.latch:
%{name}.next = add i64 %{name}, {step}
br label %{name}.head
{name}.done:
"""


def at(name: str, base: str, offset: int | str) -> str:
    """Write the pointer that is so many bytes from another one."""
    return f"%{name} = getelementptr i8, ptr {base}, i64 {offset}\n"


def item(name: str, base: str, index: str) -> str:
    """Write the pointer to an item of an array of integers or pointers."""
    return f"%{name} = getelementptr i64, ptr {base}, i64 {index}\n"


def table(name: str, numbers: Sequence[int]) -> str:
    """Write an array of constant integers."""
    return f"@{name} = internal constant [{len(numbers)} x i64] [{', '.join(f'i64 {n}' for n in numbers)}]\n"


def moved_pointers(steps: Sequence[int], index: str, name: str = "q") -> str:
    """Write the pointers of one iteration."""
    return "".join(
        f"%{name}o{k} = mul i64 {index}, {step}\n%{name}{k} = getelementptr i8, ptr %r{k}, i64 %{name}o{k}\n"
        for k, step in enumerate(steps)
    )


def calls_of(names: Sequence[str], pointers: Sequence[str], frame: str = "%frame") -> str:
    """Write calls of functions with pointers, that to their frame and that to the watch."""
    operands = ", ".join(f"ptr {pointer}" for pointer in (*pointers, frame, "%watch"))
    return "".join(f"call void @{name}({operands})\n" for name in names)


def in_blocks(lines: list[str]) -> list[str]:
    """Split a long run of instructions into basic blocks."""
    found: list[str] = []
    for start in range(0, len(lines), _BLOCK):
        if start:
            found.append(f"br label %block{start}\nblock{start}:")
        found += lines[start : start + _BLOCK]
    return found
