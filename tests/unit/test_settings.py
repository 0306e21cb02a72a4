"""Flags over environment over file over defaults; what is wrong is named."""

from __future__ import annotations

from traceback import format_exception

import pytest

from scanner.core.errors import SettingsError
from scanner.settings import Settings, load, origins


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


SECRETS = [
    f"{section}.{name}"
    for section, part in Settings()
    for name, field in type(part).model_fields.items()
    if "SecretStr" in str(field.annotation)
]


def test_there_are_secrets() -> None:
    assert SECRETS == ["kafka.password", "oidc.client_secret", "ingest.api_token"]


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize("value", ["7", '["hunter2"]', '{value = "hunter2"}', "2024-01-01"])
def test_a_wrong_secret_is_named_and_never_shown(tmp_path, name, value) -> None:
    section, _, setting = name.partition(".")
    with pytest.raises(SettingsError, match=name) as caught:
        load(written(tmp_path, f"[{section}]\n{setting} = {value}\n"))
    assert "got" not in str(caught.value)
    assert "hunter2" not in "".join(format_exception(caught.value)), "neither there nor in what it came from"


def test_a_secret_in_the_environment_that_is_too_short_is_not_shown(monkeypatch) -> None:
    monkeypatch.setenv("SCANNER_INGEST__API_TOKEN", "hunter2")
    with pytest.raises(SettingsError, match=r"ingest\.api_token.*16") as caught:
        load()
    assert "hunter2" not in "".join(format_exception(caught.value))


@pytest.mark.parametrize("text", ['[[kafka]]\npassword = "hunter2"\n', 'kafka = "hunter2"\n'])
def test_what_stands_in_place_of_a_section_is_not_shown(tmp_path, text) -> None:
    with pytest.raises(SettingsError, match="setting kafka: ") as caught:
        load(written(tmp_path, text))
    assert "hunter2" not in "".join(format_exception(caught.value))


def test_a_wrong_value_that_is_no_secret_is_shown(tmp_path) -> None:
    with pytest.raises(SettingsError, match=r"scan\.cells.*\(got -1\)"):
        load(written(tmp_path, "[scan]\ncells = -1\n"))
    with pytest.raises(SettingsError, match=r"kafka\.bootstrap_servers\.1.*\(got 7\)"):
        load(written(tmp_path, '[kafka]\nbootstrap_servers = ["one:9092", 7]\n'))
