"""Warnings of secrets that are not there, as far as `postsync check` can know."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from receiver.core.errors import Problem, TemporaryError
from receiver.core.validation import Path as Place
from receiver.rules.handlers.secret_refs import (
    ENV,
    SecretRef,
    pointer,
    replace_secrets,
    split_secrets,
)
from receiver.rules.loading.load import RuleSet, readings
from receiver.settings.model import Settings
from receiver.settings.secrets import Secrets


def secret_warnings(found: RuleSet, settings: Settings) -> Iterator[Problem]:
    """Yield the secrets that these rules name and that are not there.

    Whoever checks rules elsewhere than where they run has none at all: where no variable of a
    secret is set, or there is no secrets folder, nothing is known of these.
    """
    known = {
        "env": any(map(ENV.fullmatch, os.environ)),
        "file": settings.secrets.is_dir(),
    }
    secrets = Secrets(settings.secrets)
    for reading in readings(found):
        for path, _, action in reading.actions():
            for place, ref in _references(action.with_):
                if known.get(ref.kind) and (why := _why_not(secrets, ref)):
                    whole = (*path, "with", *place)
                    yield reading.document.problem(whole, *why)


def _references(parameters: Mapping[str, Any]) -> Iterator[tuple[Place, SecretRef]]:
    places: dict[str, Place] = {}
    replace_secrets(parameters, lambda path, _: places.setdefault(pointer(path), path))
    for name, ref in split_secrets(parameters)[1].items():
        yield places[name], ref


def _why_not(secrets: Secrets, ref: SecretRef) -> tuple[str, str] | None:
    try:
        secrets.resolve(ref)
    except TemporaryError as error:
        return f"{error.message}, so its runs would fail", error.hint
    return None
