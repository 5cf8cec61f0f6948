"""Which libraries of vendors the handlers import, and why each may."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

HANDLERS = Path(__file__).parents[1] / "handlers"

SENDS_BY_ITSELF = {
    "apprise": "it knows 170 services and has no door for another's transport; its schemes are "
    "restricted, and the address policy is asked by name",
    "botocore": "it signs and serialises; only its credential chain may ask AWS's token service "
    "where the rule gives no key",
}
ONLY_SIGNS_OR_SERIALISES = {
    "akamai": "computes EdgeGrid's header",
    "cloudevents": "builds and writes an event",
    "google": "signs for a token; its requests go through our door",
    "jwt": "signs a GitHub App's token",
    "standardwebhooks": "signs a body",
}
NO_NETWORK = {"pydantic", "yaml", "handlers", "receiver"}


def imported(path: Path) -> set[str]:
    """The top-level modules that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names


def test_every_library_of_a_vendor_is_listed_with_its_reason() -> None:
    """Whoever brings another one says whether it sends by itself, and why that must be."""
    found = {name for path in HANDLERS.rglob("*.py") for name in imported(path)}
    vendors = found - set(sys.stdlib_module_names) - NO_NETWORK
    listed = SENDS_BY_ITSELF.keys() | ONLY_SIGNS_OR_SERIALISES.keys()
    assert vendors == listed


def test_no_handler_opens_a_connection_by_itself() -> None:
    """Neither with a socket nor with the standard library's clients."""
    clients = {"socket", "ssl", "ftplib", "smtplib", "requests", "urllib3", "httpx"}
    for path in HANDLERS.rglob("*.py"):
        assert not imported(path) & clients, path
