"""Loads the settings: a command's options, over POSTSYNC_* variables, over a YAML file."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource
from pydantic_settings.exceptions import SettingsError as SourceError

from receiver.core.errors import SettingsError, UnreadableFile
from receiver.core.user_files import read_text
from receiver.core.validation import did_you_mean, dotted, keys_at, message_of
from receiver.core.yaml_document import read_yaml
from receiver.settings.argocd import ConnectionSetting
from receiver.settings.model import Settings
from receiver.settings.relative_paths import resolve_paths

RULE_SECRETS = "POSTSYNC_SECRET_"
"""Prefix of the variables that rules may refer to as secrets."""

SENDERS_KEYS = {*keys_at(ConnectionSetting, ())}
"""Keys below a sender's name."""

FILE = "POSTSYNC_SETTINGS"
"""The variable that names the file of settings where no option does."""

COMMAND_VARIABLES = {FILE, "POSTSYNC_URL", "POSTSYNC_TOKEN", "POSTSYNC_CA", "POSTSYNC_BANNER"}
"""Variables that commands read; they are no settings themselves."""


def load_settings(file: Path | None = None, **options: Any) -> Settings:
    """Read the settings; ``options`` are a command's own, None means not given.

    Without ``file`` it is that of POSTSYNC_SETTINGS, if there is one.

    Raises:
        SettingsError: names each setting that is not usable, and the file if one was read.
    """
    given = {name: value for name, value in options.items() if value is not None}
    file = file or _named_file()
    written = _read_file(file) if file else {}

    class FromFile(Settings):
        @classmethod
        def settings_customise_sources(
            cls, settings_cls: type[BaseSettings], *sources: Any, **named: Any
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            """Give the file the lowest priority."""
            above = super().settings_customise_sources(settings_cls, *sources, **named)
            return *above, InitSettingsSource(settings_cls, written)

    try:
        return FromFile(**given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        lines = [_setting_names(item["loc"]) + _told(item) for item in found]
        where = f"settings ({file} and POSTSYNC_* variables)" if file else "POSTSYNC_* variables"
        raise SettingsError(f"{where}: " + "; ".join(dict.fromkeys(lines))) from None
    except SourceError as error:
        field = re.search(r'field "(\w+)"', str(error))
        raise SettingsError(
            f"POSTSYNC_{field[1].upper() if field else '*'} cannot be read",
            hint="""a list is written as one,two or as JSON: '["one", "two"]'; a mapping as JSON """
            """alone: '{"key": 1}'""",
        ) from None


def settings_if_any(file: Path | None = None) -> Settings | None:
    """Read the settings, if a file or a variable has any: rules can be judged without."""
    return load_settings(file) if file is not None or _has_settings(os.environ) else None


def _has_settings(environ: Collection[str]) -> bool:
    """Whether any of the variables is a setting, or names a file of them."""
    variables = {FILE, *(f"POSTSYNC_{name.upper()}" for name in Settings.model_fields)}
    return not variables.isdisjoint(environ)


def unknown_variables(environ: Iterable[str]) -> dict[str, str]:
    """Return each POSTSYNC_* variable that is no setting, with the one that may have been meant."""
    known = {f"POSTSYNC_{name.upper()}" for name in Settings.model_fields} | COMMAND_VARIABLES
    of_connections = {
        f"POSTSYNC_{name.upper()}": f"{to_camel(name)} is said for each sender, in POSTSYNC_ARGOCD"
        for name in ConnectionSetting.model_fields
    }
    return {
        name: of_connections.get(name) or did_you_mean(name, known)
        for name in sorted(environ)
        if name.startswith("POSTSYNC_") and name not in known and not name.startswith(RULE_SECRETS)
    }


def _told(item: ErrorDetails) -> str:
    """Return what is wrong with a setting, and what may have been meant."""
    *place, key = item["loc"] or ("",)
    wrong = item["type"] == "extra_forbidden"
    if item["loc"][:1] == ("argocd",) and {*item["loc"][1:2]} <= SENDERS_KEYS:
        hint = "is the sender's name missing? argocd: {NAME: {server: ...}}"
    elif wrong and str(key) in map(to_camel, Settings.model_fields):
        hint = f"it is a setting of its own, beside {place[0]}"
    else:
        hint = did_you_mean(str(key), keys_at(Settings, place)) if wrong else ""
    message = "is no setting" if wrong else message_of(item)
    return message + (f" ({hint})" if hint else "")


def _setting_names(place: tuple[int | str, ...]) -> str:
    """Return a setting's key, its variable and the keys within; "" for several settings."""
    if not place:
        return ""
    name = str(place[0])
    inside = takewhile(lambda depth: _is_written(place, depth), range(1, len(place)))
    keys = dotted([place[depth] for depth in inside])
    return f"{to_camel(name)} (POSTSYNC_{name.upper()}): " + (f"{keys}: " if keys else "")


def _is_written(place: tuple[int | str, ...], depth: int) -> bool:
    """Whether this part of a place is a key or an entry of the settings.

    Where there may be one of several types, pydantic's names of these are for nobody.
    """
    part, before = place[depth], place[depth - 1]
    if isinstance(part, int) or isinstance(before, int):
        return bool(keys_at(Settings, place[: depth + isinstance(part, int)]))
    return "[" not in part


def _named_file() -> Path | None:
    return Path(name) if (name := os.environ.get(FILE)) else None


def _read_file(file: Path) -> dict[str, Any]:
    """Return the values of a YAML file by the settings' own names; an empty one sets nothing."""
    try:
        document = read_yaml(str(file), read_text(file))
    except UnreadableFile as error:
        by = f"{FILE} names it" if file == _named_file() else ""
        way = "" if file.exists() else "`postsync init FOLDER` makes one to begin with"
        hint = "; ".join(filter(None, (by, way)))
        raise SettingsError(f"settings file {error}", hint=hint) from None
    if document.problems:
        raise SettingsError("settings file " + "; ".join(map(str, document.problems)))
    if not isinstance(document.data, dict | None):
        raise SettingsError(f"settings file {file} has no `key: value` lines")
    tree = document.data or {}
    keys = {to_camel(name): name for name in Settings.model_fields}
    if wrong := [_unknown(key, keys) for key in tree if key not in keys]:
        raise SettingsError(f"settings file {file}: " + "; ".join(wrong))
    return resolve_paths(file.parent, {keys[key]: value for key, value in tree.items()})


def _unknown(key: str, keys: Iterable[str]) -> str:
    hint = did_you_mean(to_camel(key), keys)
    return f"{key} is no setting" + (f" ({hint})" if hint else "")
