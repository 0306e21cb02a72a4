"""The training steps as verbs: their own arguments, their own help, a clear word when the extra is missing."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
from typer.testing import CliRunner

from scanner.cli.app import app
from scanner.cli.train import MODULES, STEPS, forward
from scanner.core.errors import SettingsError


@pytest.fixture(autouse=True)
def _arguments(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["scanner"])  # the steps read it, and forwarding sets it


def test_every_step_is_a_module_with_a_main():
    assert all(find_spec(f"scanner.training.{MODULES.get(step, step)}") for step in STEPS)


def test_a_step_gets_its_own_help():
    told = CliRunner().invoke(app, ["train", "survey", "--help"])
    assert told.exit_code == 0
    assert "usage: scanner train survey" in told.output
    assert "--jobs" in told.output


def test_a_missing_library_is_named_with_the_extra_that_brings_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    for module in ("scanner.training.export", "scanner.training.model"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    with pytest.raises(SettingsError, match=r"scanner export needs torch: pip install 'scanner\[train\]'"):
        forward("export", "scanner export", ["--help"])


def test_verbs_are_listed():
    listed = CliRunner().invoke(app, ["train", "--help"]).output
    assert all(step in listed for step in STEPS)
    assert "export" in CliRunner().invoke(app, ["--help"]).output
