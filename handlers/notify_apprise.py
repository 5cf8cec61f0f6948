"""`notify.apprise`: tell people through any service that Apprise knows.

https://github.com/caronc/apprise. Apprise sends by itself, not through our door, and says only
whether it went well: what it logs meanwhile is all that is known of a failure.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from receiver.contract import (
    Call,
    Handler,
    Outcome,
    Params,
    PermanentError,
    Succeeded,
    TemporaryError,
)

DENIED = frozenset(
    {
        *("dbus", "glib", "gnome", "kde", "qt", "macosx", "windows", "syslog", "rsyslog"),
        *("apprise", "apprises", "json", "jsons", "xml", "xmls", "form", "forms"),
        *("fcm", "vapid", "deltachat", "deltachats"),
    }
)
"""Schemes that write to this machine, read its files, or send anything anywhere: for the last
there is `http.request`, which our address policy and our retries know."""

FILES = frozenset({"template", "keyfile", "subfile", "file", "attach", "attachment", "pgpkey"})
"""Arguments by which a service reads a local file."""


class NotifyApprise(Params):
    """Whom to tell, and what."""

    url: str = Field(
        description="Address as Apprise writes it, its secrets included: `tgram://...`, "
        "`mailtos://...`; give it as a reference.",
        min_length=1,
    )
    body: str = Field(description="The message.", min_length=1)
    title: str = Field(default="", description="Its title, where the service has one.")
    type: Literal["info", "success", "warning", "failure"] = Field(
        default="info", description="Its tone, where the service shows one."
    )


def run(params: NotifyApprise, call: Call) -> Outcome:
    """Tell them. A lost attempt may tell them twice."""
    import apprise

    scheme, host = _checked(params.url)
    asset = apprise.AppriseAsset(async_mode=False, secure_logging=True, plugin_paths=None)
    service: Any = apprise.Apprise.instantiate(params.url, asset=asset)
    if service is None:
        raise PermanentError(
            f"Apprise does not understand this {scheme} address",
            hint="https://appriseit.com has the form of each service's",
        )
    if host and "." in host:
        call.http.addresses(host)  # refuses what our policy does, as far as a name can tell
    service.socket_connect_timeout = service.socket_read_timeout = call.timeout / 2
    with _heard() as lines:
        done = service.notify(body=params.body, title=params.title, notify_type=params.type)
    if not done:
        raise TemporaryError(f"{scheme} took no message: {'; '.join(lines) or 'no reason told'}")
    return Succeeded({"service": str(service.service_name)})


def _checked(url: str) -> tuple[str, str]:
    """Return scheme and host of an address that may be used; the address is never told."""
    scheme = url.partition("://")[0].lower()
    if scheme in DENIED or not scheme.isalnum():
        raise PermanentError(f"{scheme[:30]} may not be used: see docs/handlers.md")
    try:
        parts = urlsplit(url)
        named = {name.lower() for name in parse_qs(parts.query, keep_blank_values=True)}
        host = parts.hostname or ""
    except ValueError:
        raise PermanentError(f"this {scheme} address cannot be read") from None
    if found := sorted(named & FILES):
        raise PermanentError(f"the argument {found[0]} may not be used: it reads a local file")
    return scheme, host


@contextmanager
def _heard() -> Iterator[list[str]]:
    """Collect what Apprise logs in this thread; other threads tell of other messages."""
    lines: list[str] = []
    thread = threading.get_ident()

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.thread == thread:
                lines.append(record.getMessage())

    logger, listener = logging.getLogger("apprise"), Listener(logging.WARNING)
    logger.addHandler(listener)
    try:
        yield lines
    finally:
        logger.removeHandler(listener)


EXAMPLE = """\
url: {env: POSTSYNC_SECRET_TELEGRAM}
title: "${{ application.name }}"
body: Synced to ${{ sync.revision }}
type: success
"""

handler = Handler(
    name="notify.apprise",
    summary="Send a message through any service that Apprise knows.",
    params=NotifyApprise,
    run=run,
    example=EXAMPLE,
    extra="apprise",
    library="apprise",
    permissions="Those of the service: as a rule a token that can only write messages.",
)
