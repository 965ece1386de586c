"""Every example in a docstring runs and gives what it shows; modules are found by import name, not by path."""

import doctest
import importlib
import pkgutil

import chainrule
import pytest

NAMES = ["chainrule", *(info.name for info in pkgutil.walk_packages(chainrule.__path__, "chainrule."))]


@pytest.mark.parametrize("name", NAMES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_modules_are_found():
    assert {"chainrule.operations.table", "chainrule.nn", "chainrule.viz", "chainrule.testing"} <= set(NAMES)
