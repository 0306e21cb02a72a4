"""Flags over environment variables over a TOML file over defaults; what is wrong is named."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr, ValidationError

from scanner.core.errors import SettingsError
from scanner.settings.sections import Settings

PREFIX = "SCANNER_"
FILE_VARIABLE = "SCANNER_SETTINGS"
DEFAULT_FILE = Path("scanner.toml")

Tree = dict[str, dict[str, Any]]
"""section to setting to value, as one source gives them"""


def load(file: Path | None = None, flags: Mapping[str, Any] | None = None) -> Settings:
    """Reads the settings. Raises SettingsError naming the setting.

    Args:
        file: a TOML file; without it the one SCANNER_SETTINGS names, or ./scanner.toml if there is one.
        flags: values from the command line, keyed "section.name"; None values do not count.
    """
    merged: Tree = {}
    for source in (_written(settings_file(file)), _environment(), _given(flags or {})):
        for section, values in source.items():
            merged[section] = {**merged.get(section, {}), **values} if isinstance(values, dict) else values
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise SettingsError(f"no such setting: {place}; `scanner config show` lists all") from error
        got = f" (got {first['input']!r:.80})" if _may_be_shown(first["loc"]) else ""
        raise SettingsError(f"setting {place}: {first['msg']}{got}") from error


def _may_be_shown(place: Sequence[str | int]) -> bool:
    """Whether what was given there is no secret. Where a section should be, anything may stand, secrets in it too."""
    if len(place) < 2 or place[0] not in Settings.model_fields:
        return False
    field = type(Settings.model_fields[str(place[0])].default).model_fields[str(place[1])]
    return SecretStr not in (field.annotation, *get_args(field.annotation))


def origins(
    settings: Settings, file: Path | None = None, flags: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, Any, str, str]]:
    """For every setting: its dotted name, value, where the value came from, and what it means."""
    path = settings_file(file)
    sources = (("flag", _given(flags or {})), ("environment", _environment()), (str(path), _written(path)))
    for section_name in Settings.model_fields:
        section = getattr(settings, section_name)
        for name, field in type(section).model_fields.items():
            origin = next((told for told, tree in sources if name in tree.get(section_name, {})), "default")
            yield f"{section_name}.{name}", getattr(section, name), origin, field.description or ""


def settings_file(file: Path | None) -> Path | None:
    """The file that `load` reads. Raises SettingsError when one was named and is not there."""
    named = file or (Path(os.environ[FILE_VARIABLE]) if FILE_VARIABLE in os.environ else None)
    if named is not None and not named.is_file():
        raise SettingsError(f"settings file {named} does not exist")
    return named or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)


def _written(path: Path | None) -> Tree:
    try:
        return tomllib.loads(path.read_text("utf-8")) if path else {}
    except (OSError, ValueError, RecursionError) as error:
        raise SettingsError(f"settings file {path}: {error}") from error


def _environment() -> Tree:
    named = {name[len(PREFIX) :].lower(): value for name, value in os.environ.items() if name.startswith(PREFIX)}
    return _given({name.replace("__", ".", 1): value for name, value in named.items() if "__" in name})


def _given(values: Mapping[str, Any]) -> Tree:
    tree: Tree = {}
    for dotted, value in values.items():
        if value is not None:
            section, _, name = dotted.partition(".")
            tree.setdefault(section, {})[name] = value
    return tree
