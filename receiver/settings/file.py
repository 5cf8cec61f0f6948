"""Reads the YAML file of the settings; its keys are the settings' names in camelCase."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic.alias_generators import to_camel

from receiver.core.errors import SettingsError, UnreadableFile
from receiver.core.user_files import read_text
from receiver.core.validation import near
from receiver.core.yaml_document import read_yaml


def read_settings_file(file: Path, names: Iterable[str]) -> dict[str, Any]:
    """Return the file's values by the settings' own names.

    Args:
        file: the YAML file; an empty one sets nothing.
        names: every setting, in snake_case.

    Raises:
        SettingsError: it cannot be read, is no YAML, or has keys that are no settings; all
            of these are named, each with the key that may have been meant.
    """
    keys = {to_camel(name): name for name in names}
    tree = _read(file)
    if wrong := [_unknown(key, keys) for key in tree if key not in keys]:
        raise SettingsError(f"settings file {file}: " + "; ".join(wrong))
    return {keys[key]: value for key, value in tree.items()}


def _read(file: Path) -> dict[str, Any]:
    try:
        document = read_yaml(str(file), read_text(file))
    except UnreadableFile as error:
        raise SettingsError(f"settings file {error}") from None
    if document.problems:
        raise SettingsError("settings file " + "; ".join(map(str, document.problems)))
    if not isinstance(document.data, dict | None):
        raise SettingsError(f"settings file {file} has no `key: value` lines")
    return document.data or {}


def _unknown(key: str, keys: Iterable[str]) -> str:
    hint = near(to_camel(key), keys)
    return f"{key} is no setting" + (f" ({hint})" if hint else "")
