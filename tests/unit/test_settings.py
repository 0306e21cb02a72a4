"""Flags over environment over file over defaults; what is wrong is named."""

from __future__ import annotations

import pytest

from scanner.core.errors import SettingsError
from scanner.settings import load, origins


@pytest.fixture(autouse=True)
def _alone(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SCANNER_SETTINGS", raising=False)


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    return path


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(monkeypatch, tmp_path) -> None:
    path = written(tmp_path, '[kafka]\ngroup = "file"\n[scan]\ncells = 3\nbatch_size = 7\n')
    assert load(path).kafka.group == "file"
    monkeypatch.setenv("SCANNER_KAFKA__GROUP", "environment")
    assert load(path).kafka.group == "environment"
    chosen = load(path, {"kafka.group": "flag", "scan.cells": None})
    assert (chosen.kafka.group, chosen.scan.cells, chosen.scan.batch_size) == ("flag", 3, 7)


def test_the_origin_of_each_setting_is_known(monkeypatch, tmp_path) -> None:
    path = written(tmp_path, "[scan]\ncells = 3\n")
    monkeypatch.setenv("SCANNER_KAFKA__GROUP", "x")
    flags = {"scan.device": "cpu"}
    told = {name: origin for name, _, origin, _ in origins(load(path, flags), path, flags)}
    assert told["scan.cells"] == str(path)
    assert told["kafka.group"] == "environment"
    assert told["scan.device"] == "flag"
    assert told["scan.model"] == "default"


def test_scanner_toml_in_the_folder_is_read(tmp_path) -> None:
    (tmp_path / "scanner.toml").write_text('[log]\nlevel = "error"\n')
    assert load().log.level == "error"


def test_lists_are_divided_by_commas_in_the_environment(monkeypatch) -> None:
    monkeypatch.setenv("SCANNER_KAFKA__BOOTSTRAP_SERVERS", "one:9092, two:9092")
    assert load().kafka.bootstrap_servers == ("one:9092", "two:9092")


@pytest.mark.parametrize("name", ["patrol_after_s", "shed_after_s"])
def test_what_never_shall_happen_is_an_empty_variable_or_an_empty_string(monkeypatch, tmp_path, name) -> None:
    assert getattr(load(written(tmp_path, f'[worker]\n{name} = ""\n')).worker, name) is None
    monkeypatch.setenv(f"SCANNER_WORKER__{name.upper()}", "")
    assert getattr(load().worker, name) is None
    monkeypatch.setenv(f"SCANNER_WORKER__{name.upper()}", "0")
    with pytest.raises(SettingsError, match=name):
        load()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[scan]\ncels = 3\n", "scan.cels"),
        ("[skan]\ncells = 3\n", "skan"),
        ("[scan]\ncells = -1\n", "scan.cells"),
        ("scan = 3\n", "scan"),
        ("[scan\n", "mine.toml"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text, message) -> None:
    with pytest.raises(SettingsError, match=message):
        load(written(tmp_path, text))


def test_a_named_file_that_is_missing_is_an_error(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("SCANNER_SETTINGS", str(tmp_path / "nothing.toml"))
    with pytest.raises(SettingsError, match=r"nothing\.toml does not exist"):
        load()


def test_every_setting_says_what_it_is_for_and_hides_secrets() -> None:
    chosen = load(flags={"kafka.password": "hush"})
    for name, value, _, meaning in origins(chosen):
        assert meaning.endswith("."), name
        assert "hush" not in str(value)
