"""Make machine code interruptible: every few thousand operations, loops check whether their call was told to end.

Each worker's memory begins with a watch: how many operations are left until the next look; the address of the call's
flag, which is 1 once it is to end; the address of a function that may raise the flag, since it is Python that can tell
whether the user pressed Ctrl-C; two numbers of its own; and the address of a function that has threads share a loop. A
count that ran out stays so while the flag is up, so that all loops end.
"""

from __future__ import annotations

from collections.abc import Iterable

from ...programs import WHILE, Loop, Program
from .instructions import weight

SIZE = 64  # bytes; work.Work and entry.pyx write to them
DECLARED = "declare i1 @chainrule_poll(ptr)\n"
SHARE_DECLARED = "declare void @chainrule_share(ptr, ptr, ptr, i64, ptr, i64)\n"
_BUDGET = 1 << 20  # operations from one look at the flag to the next, about a millisecond
_STRIP = 4096  # operations that are counted at once
_SHORT = 1 << 14  # loops that take fewer are counted by what they stand in
_PYTHON = 1000  # operations that take as long as a function of the user's


def cost(program: Program, places: Iterable[int], vectors: int) -> int:
    """Estimate how many operations some steps of a program take, on so many vectors at once."""
    total = 1
    for place in places:
        op = program.steps[place].op
        total += _cost_of_loop(op) if isinstance(op, Loop) else _PYTHON if op.custom else weight(op)
    return total * vectors


def _cost_of_loop(op: Loop) -> int:
    """Estimate a loop's operations; for a loop that counts its own, only those it does not count."""
    if op.kind == WHILE:
        return _STRIP
    return min(_STRIP, op.length * cost(op.body, range(len(op.body.steps)), 1))


def turns(cost: int, length: int | None) -> int:
    """Return how many turns of a loop are counted at once; 0 if the loop is too short to need counting."""
    if length is not None and length * cost < _SHORT:
        return 0
    return max(1, _STRIP // cost)


def look(name: str, leave: str, cost: int) -> str:
    """Write the code that counts operations, and jumps to a label if the call is to end."""
    return (
        f"%{name}.left = load i64, ptr %watch\n%{name}.less = sub i64 %{name}.left, {cost}\n"
        f"store i64 %{name}.less, ptr %watch\n%{name}.out = icmp slt i64 %{name}.less, 0\n"
        f"br i1 %{name}.out, label %{name}.ask, label %{name}.go\n{name}.ask:\n"
        f"%{name}.end = call i1 @chainrule_poll(ptr %watch)\n"
        f"br i1 %{name}.end, label %{leave}, label %{name}.go\n{name}.go:\n"
    )


def poll() -> str:
    """Write the function that tells whether a call is to end; if not, it resets the count."""
    return f"""define i1 @chainrule_poll(ptr %watch) #2 {{
%flag.at = getelementptr i8, ptr %watch, i64 8
%flag = load ptr, ptr %flag.at
%raised = load volatile i64, ptr %flag
%ends = icmp ne i64 %raised, 0
br i1 %ends, label %end, label %ask
ask:
%check.at = getelementptr i8, ptr %watch, i64 16
%check = load ptr, ptr %check.at
%known = icmp ne ptr %check, null
br i1 %known, label %call, label %go
call:
%answer = call i32 %check(ptr %watch)
%told = icmp ne i32 %answer, 0
br i1 %told, label %end, label %go
go:
store i64 {_BUDGET}, ptr %watch
ret i1 0
end:
ret i1 1
}}
"""


def share() -> str:
    """Write the function that runs all parts of a loop, or has threads do so.

    A part gets a context, its number, and a frame of so many bytes: where threads share them, each has its own.
    """
    return """define void @chainrule_share(ptr %watch, ptr %part, ptr %context, i64 %parts, ptr %frame, i64 %size) #2 {
begin:
%share.at = getelementptr i8, ptr %watch, i64 40
%share = load ptr, ptr %share.at
%known = icmp ne ptr %share, null
br i1 %known, label %threads, label %next
threads:
call void %share(ptr %watch, ptr %part, ptr %context, i64 %parts, ptr %frame, i64 %size)
ret void
next:
%k = phi i64 [ 0, %begin ], [ %more, %next ]
call void %part(ptr %context, i64 %k, ptr %frame, ptr %watch)
%more = add i64 %k, 1
%left = icmp slt i64 %more, %parts
br i1 %left, label %next, label %end
end:
ret void
}
"""
