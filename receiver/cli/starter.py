"""What a new folder of `postsync init` has: each file's path below it, its text, what it is."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

from receiver.notification.argocd_config import example_notification
from receiver.rules.handlers.json_schema import rules_schema
from receiver.rules.handlers.registry import Registry

SENDER, OPERATOR = "argocd", "local"
"""Whose tokens are made."""

RULES = "rules"
"""The folder of rule files."""


@dataclass(frozen=True, slots=True)
class StarterFile:
    """One file; ``about`` is for the list that a user reads, "" for what nobody need look at."""

    path: str
    text: str
    about: str
    secret: bool = False


def starter_files() -> Iterator[StarterFile]:
    """Yield the files; the tokens are new ones each time."""
    yield StarterFile("settings.yaml", starter_settings(), "every setting, and what it means")
    yield StarterFile(f"{RULES}/first-steps.yaml", first_rule(), "a rule that needs no network")
    yield StarterFile("rules.schema.json", rules_schema_text(Registry.discover()),
                      "for editors: they complete and check rules by it")  # fmt: skip
    yield StarterFile("notification.json", example_notification().decode(),
                      "a sync, as Argo CD would tell of it")  # fmt: skip
    yield StarterFile(".postsync/.gitignore", "*\n", "", secret=True)  # makes the folder, too
    yield StarterFile(f".postsync/senders/{SENDER}", _token(),
                      "Argo CD's token: it may post notifications", secret=True)  # fmt: skip
    yield StarterFile(f".postsync/operators/{OPERATOR}", _token(),
                      "your token: it may look and act", secret=True)  # fmt: skip


def example_settings() -> str:
    """Return every setting with its default, and what it is for."""
    return files("receiver").joinpath("settings/example.yaml").read_text("utf-8")


def starter_settings() -> str:
    """Return the same with all as comments but where things are: later defaults shall count."""
    text = example_settings().replace("\nrules: [config/rules]\n", f"\nrules: [{RULES}]\n")
    return re.sub(r"^(?!home:|rules:)(?=[a-zA-Z]+:)", "# ", text, flags=re.MULTILINE)


def first_rule() -> str:
    """Return the rule file to begin with."""
    return files("receiver").joinpath("rules/first-steps.yaml").read_text("utf-8")


def rules_schema_text(registry: Registry) -> str:
    """Return the JSON Schema of rule files, as a file has it."""
    return json.dumps(rules_schema(registry), indent=2, ensure_ascii=False) + "\n"


def _token() -> str:
    return secrets.token_urlsafe(32) + "\n"
