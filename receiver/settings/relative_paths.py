"""Relative paths in a file of settings begin at its folder, wherever a command is called."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from receiver.settings.argocd import ConnectionSetting
from receiver.settings.model import Settings


def _paths(fields: Mapping[str, FieldInfo]) -> frozenset[str]:
    """Return the fields that are a path, perhaps one, or a list of them."""
    return frozenset(
        name
        for name, field in fields.items()
        if Path in (field.annotation, *get_args(field.annotation))
    )


OWN = _paths(Settings.model_fields)
OF_CONNECTIONS = frozenset(map(to_camel, _paths(ConnectionSetting.model_fields)))


def resolve_paths(folder: Path, written: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file of this folder has, by the settings' names, its paths as seen from here.

    What is of a wrong type stays as it is: the settings refuse it.
    """
    found = {
        name: _below(folder, value) if name in OWN else value for name, value in written.items()
    }
    senders = written.get("argocd")
    if isinstance(senders, dict):
        found["argocd"] = {name: _connection(folder, one) for name, one in senders.items()}
    return found


def _connection(folder: Path, connection: Any) -> Any:
    if not isinstance(connection, dict):
        return connection
    return {
        key: _below(folder, value) if key in OF_CONNECTIONS else value
        for key, value in connection.items()
    }


def _below(folder: Path, value: Any) -> Any:
    if isinstance(value, list):
        return [_below(folder, entry) for entry in value]
    return folder / value if isinstance(value, str) else value
