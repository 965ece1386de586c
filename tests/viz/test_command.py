"""The command line computes what Python does, points at what is wrong, and runs nothing that is typed."""

import errno
import os
import re
import shutil
import subprocess
import sys
import webbrowser

import pytest
from chainrule.data.files import write_whole
from chainrule.viz.command import main

EXAMPLE = ["(x**2 + 3)**2 + y", "x=2", "y=3"]


def refuse(capsys, *arguments):
    assert main(list(arguments)) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and "Traceback" not in printed.err
    return printed.err


def test_grad(capsys):
    assert main(["grad", *EXAMPLE]) == 0
    assert capsys.readouterr().out == "value  52\nd/dx   56\nd/dy   1\n"


def test_expression_may_begin_with_a_minus(capsys):
    assert main(["grad", "-x**2", "x=-3"]) == 0
    assert capsys.readouterr().out == "value  -9\nd/dx   6\n"


def test_two_dashes_end_the_options(capsys):
    assert main(["grad", "--", "-x", "x=1"]) == 0
    assert capsys.readouterr().out == "value  -1\nd/dx   -1\n"


def test_a_file_may_follow_its_option_without_a_space(capsys, tmp_path, monkeypatch):
    pytest.importorskip("pygraphviz")
    monkeypatch.chdir(tmp_path)
    for arguments in (["x*x", "x=2", "-op3.svg"], ["-op3.svg", "-offset*2", "offset=1"]):
        assert main(["draw", *arguments]) == 0
        assert capsys.readouterr().out == "wrote p3.svg\n"


def test_playground(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["playground"]) == main(["playground", "-o", "a/b.html"]) == 0
    assert capsys.readouterr().out.splitlines() == ["wrote playground.html", f"wrote {os.path.join('a', 'b.html')}"]
    assert (tmp_path / "playground.html").read_bytes() == (tmp_path / "a/b.html").read_bytes()
    assert "a path ending in .html" in refuse(capsys, "playground", "-o", "page.png")


def test_formula(capsys):
    assert main(["formula", *EXAMPLE]) == 0
    out = capsys.readouterr().out
    assert out.startswith("(x**2 + 3)**2 + y\n") and "      = 56\n" in out and out.endswith("dL/dy = 1\n")
    assert main(["formula", "sqrt(x)/2", "x=2", "--latex"]) == 0
    assert capsys.readouterr().out == "\\frac{\\sqrt{x}}{2}\n"


def test_draw_and_explain_write_files(capsys, tmp_path, monkeypatch):
    pytest.importorskip("pygraphviz")
    monkeypatch.chdir(tmp_path)
    assert main(["draw", *EXAMPLE]) == main(["explain", *EXAMPLE]) == main(["draw", *EXAMPLE, "-o", "a/b.svg"]) == 0
    assert capsys.readouterr().out.splitlines()[:2] == ["wrote graph.svg", "wrote steps.html"]
    assert "<svg" in (tmp_path / "graph.svg").read_text() and "<svg" in (tmp_path / "a/b.svg").read_text()
    assert "<html" in (tmp_path / "steps.html").read_text()


@pytest.mark.parametrize(
    ("expression", "column", "message"),
    [
        ("x*snh(x)", 3, "did you mean sinh?"),
        ("x*q", 3, "q has no value; add q=..."),
        ("x + ", 4, "no expression"),
        ("(x", 1, "never closed"),
        ("x.__class__", 2, "a dot"),
        ("().__class__", 3, "a dot"),
        ("2 + x[0]", 6, "square brackets"),
        ("x^2", 2, "a power is written **"),
        ("x @ x", 2, "got @"),
        ("x if x else 1", 1, "write where"),
        ("max(x, 1)", 1, "did you mean maximum?"),
        ("softmax([x, 1])", 1, "does not give one number"),
        ("[x for x in x]", 1, "a loop"),
        ("f'{x}'", 1, "text"),
        ("1j*x", 1, "text or a constant"),
        ("x = 1", 3, "no expression"),
        ("__import__('os')", 1, "not a function"),
        ("(lambda: 1)()", 2, "name of a function"),
        ("x < 2", 2, "a comparison"),
        ("True*x", 1, "text or a constant"),
        ("sin(x, 2)", 1, "expected 1 argument"),
        ("sin(x=2)", 7, "no arguments by name"),
        ("1 + sin", 5, "is a function"),
        ("[x, 1]", 1, "got a list"),
        ("é*x", 1, "é has no value"),
        ("(" * 60 + "x" + ")" * 60, 51, "at most 50 nested"),
        ("(" * 10_000 + "x", 1, "at most 10,000 characters"),
        ("+".join("x" * 900), 1, "at most 400 operations"),
        ("-" * 5000 + "x", None, ""),
        ("", 1, "nothing"),
    ],
)
def test_errors_point_at_the_column(capsys, expression, column, message):
    error = refuse(capsys, "grad", expression, "x=1") if "x" in expression else refuse(capsys, "grad", expression)
    assert message in error
    if column is not None:
        assert f"(column {column})" in error and error.rstrip("\n").endswith("^")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["x"], "name=value"),
        (["x="], "a number for x"),
        (["=2"], "name=value"),
        (["--theme"], "but got '--theme'"),
        (["x=two"], "a number for x"),
        (["x=1", "x=2"], "x twice"),
        (["sin=1"], "is a function"),
        (["lambda=1"], "lambda is a word of Python"),
    ],
)
def test_values_are_checked(capsys, values, message):
    assert message in refuse(capsys, "grad", "x*x", *values)


def test_a_mistyped_name_is_told(capsys):
    assert "z is given a value but is not in the expression; x has no value yet" in refuse(capsys, "grad", "x*x", "z=1")
    assert "p is given a value but is not in the expression\n" in refuse(capsys, "grad", "x+exp(pi*x)", "x=1", "p=2")
    assert main(["grad", "e*x", "x=1", "e=2"]) == 0  # e is a constant only where it has no value


def test_huge_numbers_are_infinite(capsys):
    assert main(["grad", "9**9**9 + 1/0 + 1e400 + " + "9" * 400]) == 0
    assert capsys.readouterr().out == "value  inf\n"


def test_names_and_numbers_of_every_kind(capsys):
    assert main(["grad", "αβ*x + x", "x=nan", " αβ = 2 "]) == 0
    assert capsys.readouterr().out == "value  nan\nd/dx   3\nd/dαβ  nan\n"
    assert main(["grad", "ﬁ*2", "ﬁ=-inf"]) == 0  # Python reads the ligature as two letters
    assert capsys.readouterr().out == "value  -inf\nd/dfi  2\n"


@pytest.mark.parametrize("expression", ["-" * 9000 + "x", "x" + "**x" * 3000, "9**9**9**9*x", "x" * 10_001])
def test_what_is_huge_is_read_or_refused(capsys, expression):
    assert main(["grad", expression, "x=1"]) in (0, 2)
    assert "Traceback" not in capsys.readouterr().err


def test_wrong_files_are_told(capsys, tmp_path):
    assert ".svg, .png, .pdf" in refuse(capsys, "draw", "x*x", "x=1", "-o", str(tmp_path / "a.txt"))
    (tmp_path / "file").touch()
    inside = str(tmp_path / "file" / "a.svg")
    assert refuse(capsys, "draw", "x*x", "x=1", "-o", inside).startswith(f"chainrule: cannot write {inside}: ")
    assert "a variable" in refuse(capsys, "explain", "1 + 2")
    for name in ("x.pdf", "x.svg", "x"):
        told = refuse(capsys, "explain", "x*x", "x=1", "-o", str(tmp_path / name))
        assert told.startswith("chainrule: explain expected a path ending in .html but got path=")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_what_the_output_cannot_hold_is_spelled_out():
    command = [sys.executable, "-m", "chainrule", "formula", "x*x*x", "x=2"]
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert "\\u2202L/\\u2202x" in done.stdout


def test_module_and_help():
    done = subprocess.run([sys.executable, "-m", "chainrule", "--help"], capture_output=True, text=True, check=True)
    assert 'chainrule grad "x * sin(y)" x=2 y=0.5' in done.stdout
    done = subprocess.run([sys.executable, "-m", "chainrule", "plot"], capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr


# Every subcommand, and what argparse prints by itself.
COMMANDS = {
    "draw": ["draw", "x*x", "x=2", "-o", "p.svg"],
    "explain": ["explain", "x*x", "x=2", "-o", "p.html"],
    "formula": ["formula", "x*x", "x=2"],
    "latex": ["formula", "x*x", "x=2", "--latex"],
    "grad": ["grad", "x*x", "x=2"],
    "help": ["--help"],
    "version": ["--version"],
}


def in_shell(folder, words, redirection):
    """Run the command in a shell and return its exit status and error output."""
    script = f'"$0" -m chainrule "$@" {redirection}'
    done = subprocess.run(["bash", "-c", script, sys.executable, *words], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stderr


@pytest.mark.skipif(shutil.which("bash") is None or not os.path.exists("/dev/full"), reason="needs bash and /dev/full")
@pytest.mark.parametrize("words", COMMANDS.values(), ids=COMMANDS)
def test_an_output_that_takes_no_text(words, tmp_path):
    if words[0] == "draw":
        pytest.importorskip("pygraphviz")
    nobody, pipe = os.pipe()
    os.close(nobody)  # as `| head -0` does, sooner or later
    command = [sys.executable, "-m", "chainrule", *words]
    done = subprocess.run(command, cwd=tmp_path, stdout=pipe, stderr=subprocess.PIPE, text=True)
    os.close(pipe)
    assert (done.returncode, done.stderr) == (141, "")
    full = (2, "chainrule: cannot write the answer: No space left on device\n")
    assert in_shell(tmp_path, words, "> /dev/full") == full
    assert in_shell(tmp_path, words, ">&-") == (2, "chainrule: cannot write the answer: the output is closed\n")
    assert in_shell(tmp_path, words, "> /dev/full 2> /dev/full") == (2, "")
    assert in_shell(tmp_path, [*words, "--wrong"], "2> /dev/full")[0] == (0 if words[0].startswith("--") else 2)


def test_a_full_disk_leaves_what_was_there(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p.html").write_text("before")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("chainrule.data.files.os.replace", full)
    for command, name in (("draw", "p.svg"), ("draw", "p.png"), ("draw", "p.pdf"), ("explain", "p.html")):
        told = refuse(capsys, command, "x*x", "x=2", "-o", name)
        assert told == f"chainrule: cannot write {name}: No space left on device\n"
    assert [path.name for path in tmp_path.iterdir()] == ["p.html"]
    assert (tmp_path / "p.html").read_text() == "before"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes that have a name")
def test_devices_are_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write_whole(tmp_path / "pipe", b"text")
    assert os.read(reader, 10) == b"text"
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_pictures_are_styled_and_opened(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pygraphviz")
    opened = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or True)
    path = tmp_path / "graph.svg"
    given = ["draw", "x/y", "x=1", "y=3", "-o", str(path), "--theme", "dark", "--direction", "TB", "--digits", "3"]
    assert main([*given, "--open"]) == 0
    assert opened == [path.as_uri()] and capsys.readouterr().out == f"wrote {path}\n"
    picture = path.read_text("utf-8")
    assert "0.333<" in picture and "0.3333" not in re.sub("<title>.*?</title>", "", picture)
    assert 'fill="#14181f"' in picture
    assert main(["draw", "x/y", "x=1", "y=3", "-o", str(path), "--digits", "99"]) == 2
    assert "digits" in capsys.readouterr().err
    assert main(["draw", "x", "x=1", "--theme", "pink"]) == 2
    page = tmp_path / "steps.html"
    assert main(["explain", "x*y", "x=1", "y=3", "-o", str(page), "--open"]) == 0 and opened[-1] == page.as_uri()
