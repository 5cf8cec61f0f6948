"""The app over a real ledger, with a sender's and an operator's token in real files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from receiver.app.composition import Intake
from receiver.core.logs import configure_logs
from receiver.inspection.application_view import ApplicationView
from receiver.inspection.bounded_backtest import Backtester
from receiver.inspection.explain import Explainer
from receiver.inspection.name_hints import NameHints
from receiver.ledger.engine.ledger import Ledger
from receiver.ledger.inbox.group_commit import IntakeWriter
from receiver.ledger.inbox.hook_messages import HookMessages
from receiver.ledger.inbox.own_notifications import OwnNotifications
from receiver.ledger.operations.service import Operations
from receiver.ledger.queries.reader import Reader
from receiver.settings.model import Settings
from receiver.settings.tenants import tenants_of
from receiver.settings.tokens import Keyring
from receiver.web.app import create_app

SENDER = "token-of-argocd-0123456789"
OPERATOR = "token-of-an-operator-0123"
VIEWER = "token-of-a-viewer-0123456"
AS_SENDER = {"Authorization": f"Bearer {SENDER}"}
AS_OPERATOR = {"Authorization": f"Bearer {OPERATOR}"}
AS_VIEWER = {"Authorization": f"Bearer {VIEWER}"}


_compiled = Rule._compile_builder
_kept: dict[object, Callable[..., tuple[str, str]]] = {}


def _kept_builder(rule: Rule, append_unknown: bool = True) -> Callable[..., tuple[str, str]]:
    """Compile what makes a route's URLs once for the apps of all tests: else it is most of an app.

    Private: Werkzeug may do it otherwise, which `test_private_seams` would tell.
    """
    key = rule.rule, *rule._trace, str(rule.defaults), append_unknown
    if key not in _kept:
        _kept[key] = _compiled(rule, append_unknown)
    return _kept[key]


Rule._compile_builder = _kept_builder  # type: ignore[assignment,method-assign]


@dataclass(frozen=True)
class Doors:
    """The app and what is behind it."""

    app: Flask
    client: FlaskClient
    intake: Intake
    ledger: Ledger
    home: Path


def token_file(home: Path, name: str, *tokens: str) -> Path:
    """Write a token file such as ``senders/argocd``."""
    path = home / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(tokens) + "\n")
    return path


def build(ledger: Ledger, home: Path, writer: IntakeWriter, **options: Any) -> Doors:
    """Build the app around a writer."""
    token_file(home, "senders/argocd", SENDER)
    token_file(home, "operators/ann", OPERATOR)
    token_file(home, "viewers/bob", VIEWER)
    log = configure_logs("json")
    settings = Settings(home=home, **options)
    intake = Intake(
        settings, writer, Reader(ledger),
        Explainer(ledger, tenants_of(settings.tenants)), NameHints(ledger),
        Keyring(home, log), log,
        HookMessages(ledger, lambda _at, _events: None),
        Operations(
            ledger, lambda _at, _events: None, OwnNotifications(settings.page_url, reaches=True)
        ),
        ApplicationView(ledger, settings.page_url), Backtester(ledger),
    )  # fmt: skip
    app = create_app(intake)
    return Doors(app, app.test_client(), intake, ledger, home)


@contextmanager
def doors(ledger: Ledger, home: Path, **options: Any) -> Iterator[Doors]:
    """Build the app with its writer running."""
    writer = IntakeWriter(ledger, lambda _at, _events: None)
    writer.start()
    try:
        yield build(ledger, home, writer, **options)
    finally:
        writer.stop()
