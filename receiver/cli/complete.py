"""Shell completion, from files alone: no server is asked, and errors are silent.

What it reads with is imported when a name is completed: the commands start without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import click
from click.shell_completion import CompletionItem

from receiver.core.errors import PostsyncError
from receiver.core.terminal_text import escape_controls


def rules(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """Complete the name of a rule, from the files of the settings."""
    return _fitting(_rule_names(), begun)


def handlers(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Complete the name of a handler."""
    from receiver.rules.handlers.registry import Registry

    return _fitting([handler.name for handler in Registry.discover()], begun)


def _fitting(names: Iterable[str], begun: str) -> list[CompletionItem]:
    """Return the names that fit, without those that have control characters."""
    fitting = {name for name in names if name.startswith(begun) and name == escape_controls(name)}
    return [CompletionItem(name) for name in sorted(fitting)]


def _rule_names() -> Iterator[str]:
    from receiver.core.yaml_document import read_yaml
    from receiver.rules.loading.files import read_text, rule_files
    from receiver.settings.loading import load_settings

    try:
        for file in rule_files(load_settings().rules):
            text = read_text(file)
            data = read_yaml(str(file), text).data if isinstance(text, str) else None
            rules = data.get("rules") if isinstance(data, dict) else None
            for rule in rules if isinstance(rules, list) else ():
                if isinstance(rule, dict) and isinstance(rule.get("name"), str):
                    yield rule["name"]
    except (PostsyncError, OSError):
        return
