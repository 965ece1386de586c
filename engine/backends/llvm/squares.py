"""Write the exchange of rows and columns of a square of numbers that stands in registers."""

from __future__ import annotations

from collections.abc import Sequence


def turned(name: str, rows: Sequence[str], type_: str) -> tuple[str, list[str]]:
    """Return the text, in which all names begin with one, and the columns: blocks of 1, 2, 4 ... lanes change places.

    >>> text, columns = turned("t", ["%a", "%b"], "<2 x double>")
    >>> print(text, end="")
    %t.1.0 = shufflevector <2 x double> %a, <2 x double> %b, <2 x i32> <i32 0, i32 2>
    %t.1.1 = shufflevector <2 x double> %a, <2 x double> %b, <2 x i32> <i32 1, i32 3>
    >>> columns
    ['%t.1.0', '%t.1.1']
    """
    text, step, lanes, found = "", 1, len(rows), list(rows)
    while step < lanes:
        low = ", ".join(f"i32 {lanes + k - step if k & step else k}" for k in range(lanes))
        high = ", ".join(f"i32 {lanes + k if k & step else k + step}" for k in range(lanes))
        for k in [k for k in range(lanes) if not k & step]:
            pair = f"{type_} {found[k]}, {type_} {found[k + step]}"
            for place, chosen in ((k, low), (k + step, high)):
                found[place] = f"%{name}.{step}.{place}"
                text += f"{found[place]} = shufflevector {pair}, <{lanes} x i32> <{chosen}>\n"
        step *= 2
    return text, found
