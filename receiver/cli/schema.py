"""`postsync schema`: prints the JSON Schema of a rule file, or the definition of PostSyncRule."""

from __future__ import annotations

from pathlib import Path

import click

from receiver.cli.screen import write_text
from receiver.cli.starter import example_settings, first_rule, rules_schema_text
from receiver.core.errors import PostsyncError
from receiver.notification.argocd_config import example_notification
from receiver.rules.handlers.reference_page import handlers_page
from receiver.rules.handlers.registry import Registry
from receiver.rules.tenants.definition import definition_text

SCHEMA_FILE = Path("config/rules.schema.json")
PAGE_FILE = Path("docs/handlers.md")
EXAMPLE_FILE = Path("config/examples/notification.json")
RULE_FILE = Path("config/rules/first-steps.yaml")
SETTINGS_FILE = Path("config/settings.example.yaml")
DEFINITION_FILE = Path("k8s/components/postsyncrules/definition.yaml")


@click.command()
@click.option("--crd", is_flag=True, help="The definition of PostSyncRule, to apply to a cluster.")
@click.option("--write", is_flag=True, hidden=True, help="Write the generated files.")
@click.option("--check", is_flag=True, hidden=True, help="Fail if a generated file is stale.")
def schema(*, crd: bool, write: bool, check: bool) -> None:
    """Print the JSON Schema of a rule file, for editors; or the definition of PostSyncRule.

    Save the schema and begin a rule file with the line: # yaml-language-server: $schema=FILE

    \b
      postsync schema > rules.schema.json
      postsync schema --crd | kubectl apply --filename -
    """  # noqa: D301 click's \b keeps the lines
    if crd:
        write_text(definition_text())
        return
    registry = Registry.discover()
    text = rules_schema_text(registry)
    files = {
        SCHEMA_FILE: text,
        PAGE_FILE: handlers_page(registry),
        EXAMPLE_FILE: example_notification().decode(),
        RULE_FILE: first_rule(),
        SETTINGS_FILE: example_settings(),
        DEFINITION_FILE: definition_text(),
    }
    if write:
        for file, wanted in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(wanted, encoding="utf-8")
    elif check:
        stale = [str(file) for file, wanted in files.items() if not _holds(file, wanted)]
        if stale:
            raise PostsyncError(f"not as generated: {', '.join(stale)}", hint="run `make generate`")
    else:
        write_text(text)


def _holds(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text
