"""`notify.apprise`: send a message through any service that Apprise supports.

https://github.com/caronc/apprise. Apprise sends by itself, not through `Call.http`: the address
policy checks the host that it will call once, and proxies are those of the environment. It returns
only whether it succeeded; of a failure only what it logs is known, so every failure is temporary.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import unquote

from pydantic import Field

from receiver.contract import (
    Call,
    Handler,
    Outcome,
    Params,
    PermanentError,
    Secret,
    Succeeded,
    TemporaryError,
)
from receiver.core.threads import start_daemon

DENIED = frozenset(
    {
        *("blink1", "dbus", "gio", "glib", "gnome", "kde", "qt", "macosx", "windows", "syslog"),
        *("apprise", "apprises", "form", "forms", "json", "jsons", "xml", "xmls", "rsyslog"),
        *("deltachat", "deltachats", "fcm", "vapid"),
    }
)
"""Schemes that write to this machine, send anything anywhere (for that there is `http.request`,
which our address policy and retries apply to), or work from files of this machine."""

TOKEN_FOR_HOST = frozenset({"cloud", "t2bot"})
"""Modes of ntfy and Matrix in which a token or topic stands where others have a host."""


PARTS = re.compile(r"[/:@?&=;,#]+")
SHORTEST = 5
"""Characters of a part that is masked; shorter ones are parts of common words."""


class NotifyApprise(Params):
    """Whom to tell, and what."""

    url: Secret = Field(
        description="Address as Apprise writes it, its secrets included: `tgram://...`, "
        "`mailtos://...`; give it as a reference.",
        min_length=1,
    )
    body: str = Field(
        description="The message; what is longer than the service takes is cut off, unless the "
        "address says `overflow=split`.",
        min_length=1,
    )
    title: str = Field(default="", description="Its title, where the service has one.")
    type: Literal["info", "success", "warning", "failure"] = Field(
        default="info", description="Its tone, where the service shows one."
    )


def run(params: NotifyApprise, call: Call) -> Outcome:
    """Send it. An attempt that was lost may have sent it already."""
    scheme = params.url.partition("://")[0].lower()
    if scheme in DENIED or not scheme.isalnum():
        raise PermanentError(f"{scheme[:30]} may not be used: it is no service that tells people")
    for piece in _pieces(params.url):
        call.hide(piece)
    with _captured_log():  # it logs pieces of an address that it cannot read
        service = _service(params.url, scheme)
    for host in _hosts(service):
        call.http.addresses(host)
    if "overflow_mode" not in vars(service):  # it is where the address says overflow=...
        service.overflow_mode = "truncate"
    service.redirects = False
    service.socket_connect_timeout = service.socket_read_timeout = call.timeout / 2
    done, lines = _notify(service, params, call.timeout)
    if not done:
        raise TemporaryError(f"{scheme} took no message: {'; '.join(lines) or 'no reason told'}")
    return Succeeded({"service": str(service.service_name)})


def _service(url: str, scheme: str) -> Any:
    """Return Apprise's service for an address; no message quotes the address.

    It is checked as Apprise has parsed it: two parsers of one address may disagree.
    """
    import apprise

    asset = apprise.AppriseAsset(async_mode=False, secure_logging=True)
    service: Any = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        raise PermanentError(
            f"Apprise does not understand this {scheme} address",
            hint="https://appriseit.com has the form of each service's",
        )
    if DENIED & set(service.schemas()):
        raise PermanentError(f"{scheme} may not be used: it is no service that tells people")
    if _names_a_file(service):
        raise PermanentError(f"this {scheme} address names a file, and none may be read")
    if not service.verify_certificate:
        raise PermanentError(
            "verify=no may not be used: certificates are always checked",
            hint="the variable REQUESTS_CA_BUNDLE names further authorities to Apprise",
        )
    return service


def _names_a_file(service: Any) -> bool:
    """Whether an argument (template, keyfile, pgppub, ...) became something to be read."""
    from apprise.apprise_attachment import AppriseAttachment

    own = vars(service).values()
    inner = (value for one in own for value in getattr(one, "__dict__", {}).values())
    return any(isinstance(value, AppriseAttachment) and len(value) for value in (*own, *inner))


def _hosts(service: Any) -> list[str]:
    """Return the hosts that it will call, as far as its address and not its code names them."""
    if not any("{host}" in template for template in service.templates):
        return []
    if getattr(service, "mode", None) in TOKEN_FOR_HOST:
        return []
    named = getattr(service, "smtp_host", None) or service.host
    return [named.strip("[]")] if named else []


def _notify(service: Any, params: NotifyApprise, seconds: float) -> tuple[bool, list[str]]:
    """Return whether it succeeded, and what Apprise logged.

    Each of its requests has a timeout, all together have none; so it sends in a thread of its
    own, which is abandoned when the time is over.
    """
    ended: list[bool] = []
    lines: list[str] = []

    def notify() -> None:
        try:
            with _captured_log(lines):
                done = service.notify(body=params.body, title=params.title, notify_type=params.type)
            ended.append(bool(done))
        except BaseException as error:  # noqa: BLE001 a thread's traceback would go past the masking
            lines.append(f"it broke off with {type(error).__name__}")

    thread = start_daemon("apprise", notify)
    thread.join(seconds)
    if thread.is_alive():
        return False, [f"it took longer than {seconds:g} s"]
    return ended == [True], lines


def _pieces(url: str) -> set[str]:
    """Return the parts of an address: it is a secret as a whole, and so is each of them."""
    rest = url.partition("://")[2]
    parts = {part for form in (rest, unquote(rest)) for part in PARTS.split(form)}
    return {part for part in parts if len(part) >= SHORTEST}


@contextmanager
def _captured_log(lines: list[str] | None = None) -> Iterator[None]:
    """Capture what Apprise logs in this thread, instead of logging it."""
    thread = threading.get_ident()
    found = [] if lines is None else lines

    def keep(record: logging.LogRecord) -> bool:
        own = record.thread == thread
        if own and record.levelno >= logging.WARNING:
            found.append(record.getMessage())
        return not own

    logger = logging.getLogger("apprise")
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)


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
    output="`service`, its name.",
    errors="Apprise does not tell one failure from another: each is tried again by the retry "
    "policy. An address that may not be used or is not understood fails the run.",
    extra="apprise",
    library="apprise",
    permissions="Those of the service: as a rule a token that can only write messages.",
)
