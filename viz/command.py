"""Draw, differentiate, explain and write out expressions from the command line: ``chainrule grad "x*sin(x)" x=2``."""

from __future__ import annotations

import argparse
import contextlib
import keyword
import os
import sys
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import chainrule
from chainrule import MissingDependencyError, Var
from chainrule.errors import describe
from chainrule.operations import PARTS

from .formulas import CONSTANTS, ExpressionError, chain, evaluate, formula, functions, number, variables
from .pages import explain, playground
from .showing import render, show

_EXAMPLES = """examples:
  chainrule draw "(x**2 + 3)**2 + y" x=2 y=3 -o graph.svg --open
  chainrule grad "x * sin(y)" x=2 y=0.5
  chainrule explain "tanh(w*x + b)" w=0.9 x=0.7 b=-0.2 -o steps.html
  chainrule formula "sqrt(x**2 + y**2)" x=3 y=4 --latex
  chainrule playground -o playground.html

An expression has numbers, names, + - * / // % **, pi, e, and these functions:
"""


_SUFFIXES = (".svg", ".png", ".pdf", ".html")
_CLOSED_PIPE = 128 + 13  # as shells tell of a program that SIGPIPE ended
_OPTIONS = ("-h", "--help", "--version", "-o", "--output", "--latex", "--open")
_OF_PICTURES = ("--theme", "--direction", "--digits")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (those of the process by default) and return its exit status.

    It is 0, or 2 with a message on the error output where arguments are wrong or something cannot be written, or 141
    where nobody reads the answer to its end, as of a program that a closed pipe ends.

    >>> main(["grad", "(x**2 + 3)**2 + y", "x=2", "y=3"])
    value  52
    d/dx   56
    d/dy   1
    0
    """
    try:
        options = _parser().parse_args(_marked(sys.argv[1:] if argv is None else argv))
        _tell(sys.stdout, _answer(options))
    except _Unsaid as error:
        if error.nobody_listens:
            return _CLOSED_PIPE
        return _complain(f"cannot write the answer: {error}")
    except SystemExit as end:
        return int(end.code or 0)
    except (ExpressionError, MissingDependencyError, RuntimeError, ValueError) as error:
        return _complain(str(error))
    except OSError as error:
        return _complain(f"cannot write {options.output}: {error.strerror}" if error.strerror else str(error))
    return 0


class _Unsaid(Exception):
    """Report an output that cannot be written to."""

    def __init__(self, reason: str | None, nobody_listens: bool = False) -> None:
        super().__init__(reason)
        self.nobody_listens = nobody_listens


class _Parser(argparse.ArgumentParser):
    """Print in the same way as the rest of the command."""

    def _print_message(self, message: str, file: Any = None) -> None:
        _tell(file, message.rstrip("\n"))


def _tell(stream: Any, text: str) -> None:
    """Print a text and flush, so that a failure shows here and not when Python exits."""
    if stream is None:
        raise _Unsaid("the output is closed")
    # What the output cannot hold is spelled out, such as ∂ in a file on some systems.
    encoding = stream.encoding or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except OSError as error:
        # Python would try once more at its end, and say so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        raise _Unsaid(error.strerror, isinstance(error, BrokenPipeError)) from error


def _complain(message: str) -> int:
    # Where the error output takes no text either, the status alone tells.
    with contextlib.suppress(_Unsaid):
        _tell(sys.stderr, f"chainrule: {message}")
    return 2


def _marked(given: Sequence[str]) -> list[str]:
    """Put a space before an expression that begins with a minus: argparse would take it for an option."""
    marked, options_end = [], False
    known = _OPTIONS + (_OF_PICTURES if "draw" in given[:1] else ())
    for text in given:
        if text == "--" and not options_end:
            options_end = True
        elif text.startswith("-") and (options_end or not _is_option(text, known)):
            marked.append(f" {text}")
        else:
            marked.append(text)
    return marked


def _is_option(text: str, known: Sequence[str]) -> bool:
    # No expression ends like a file: -offset*2 is one, -offset.svg is none.
    return text.partition("=")[0] in known or (text.startswith("-o") and text.endswith(_SUFFIXES))


def _answer(options: argparse.Namespace) -> str:
    """Carry out the command and return what to print."""
    if options.command == "playground":
        return f"wrote {playground(options.output)}"
    values = _values(options.values)
    _check_names(options.expression, values)
    root = evaluate(options.expression, values)
    if not root.requires_grad and options.command == "explain":
        raise ValueError("explain expected an expression with a variable, such as x*x with x=2")
    if options.command == "draw":
        if root.requires_grad:
            root.backward()
        told = {name: getattr(options, name) for name in ("theme", "direction", "digits")}
        return _written(render(root, options.output, **told), options.open)
    if options.command == "explain":
        return _written(explain(root, options.output), options.open)
    if options.command == "formula":
        if options.latex:
            return formula(root, "latex")
        return "\n\n".join([formula(root), *[chain(root, x) for x in values.values()]])
    if root.requires_grad:
        root.backward()
    rows = {"value": root.value} | {f"d/d{name}": x.grad for name, x in values.items()}
    wide = max(map(len, rows))
    return "\n".join([f"{name.ljust(wide)}  {number(value).text}" for name, value in rows.items()])


def _written(path: Path, is_shown: bool) -> str:
    if is_shown:
        show(path)
    return f"wrote {path}"


def _values(texts: list[str]) -> dict[str, Var]:
    values: dict[str, Var] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        # As Python normalises the names in the expression.
        name = unicodedata.normalize("NFKC", name.strip())
        if equals and keyword.iskeyword(name):
            raise ValueError(f"expected a name for a variable but {name} is a word of Python; choose another")
        if not equals or not name.isidentifier():
            raise ValueError(f"expected name=value, such as x=2, but got {text.strip()!r}")
        if name in functions():
            raise ValueError(f"expected a name for a variable but {name} is a function; choose another")
        if name in values:
            raise ValueError(f"expected each name once but got {name} twice")
        try:
            values[name] = Var(_number(value), label=name)
        except ValueError:
            raise ValueError(
                f"expected a number for {name}, such as 0.5, 1/3 or pi, but got {describe(name, value)}"
            ) from None
    return values


def _number(text: str) -> float:
    """Return the value of a number, or of an expression of numbers."""
    try:
        return float(text)
    except ValueError:
        return float(evaluate(text, {}).value)


def _check_names(expression: str, values: dict[str, Var]) -> None:
    """Refuse values for names that are not in the expression: usually one of the two is mistyped."""
    wanted = variables(expression)
    unused = [name for name in values if name not in wanted]
    if unused:
        missing = [name for name in wanted if name not in values and name not in CONSTANTS]
        advice = f"; {missing[0]} has no value yet" if missing else ""
        raise ValueError(f"{unused[0]} is given a value but is not in the expression{advice}")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="chainrule",
        description="Compute an expression, its derivatives, and pictures of how they come about.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=_EXAMPLES + _listed([name for name in functions() if name not in PARTS]),
    )
    parser.add_argument("--version", action="version", version=f"chainrule {chainrule.__version__}")
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="draw | grad | explain | formula | playground"
    )
    about = {
        "draw": "draw the graph as SVG, PNG or PDF",
        "grad": "print the value and the derivative by each variable",
        "explain": "write a page that steps through both passes",
        "formula": "print the formula and the chain rule for each variable",
    }
    for name, summary in about.items():
        command = commands.add_parser(
            name,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=_EXAMPLES + _listed([name for name in functions() if name not in PARTS]),
        )
        command.add_argument("expression", metavar="EXPRESSION", help='such as "(x**2 + 3)**2 + y"')
        command.add_argument("values", metavar="name=value", nargs="*", help="the value of each variable")
        if name in ("draw", "explain"):
            default = "graph.svg" if name == "draw" else "steps.html"
            command.add_argument("-o", "--output", metavar="FILE", default=default, help=f"default: {default}")
            command.add_argument("--open", action="store_true", help="show it in the browser")
        if name == "draw":
            command.add_argument("--theme", choices=("light", "dark"), default="light", help="default: light")
            command.add_argument(
                "--direction", choices=("LR", "RL", "TB", "BT"), default="LR", help="LR for left to right: the default"
            )
            command.add_argument("--digits", type=int, default=6, metavar="N", help="of the numbers; default: 6")
        if name == "formula":
            command.add_argument("--latex", action="store_true", help="write the formula in LaTeX")
    summary = "write a page on which expressions and networks run without Python"
    command = commands.add_parser("playground", help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    default = "playground.html"
    command.add_argument("-o", "--output", metavar="FILE", default=default, help=f"default: {default}")
    return parser


def _listed(names: list[str]) -> str:
    lines = ["  "]
    for name in names:
        if len(lines[-1]) + len(name) > 90:
            lines.append("  ")
        lines[-1] += f"{name} "
    return "\n".join([line.rstrip() for line in lines])


if __name__ == "__main__":
    sys.exit(main())
