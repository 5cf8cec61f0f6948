"""Who looks at the page: a session is a cookie that the holder's token has signed.

The key is the token's SHA-256, which the keyring has: nothing is stored, every replica that knows
the token knows the session, and a token that is taken away takes its sessions along.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from receiver.settings.tokens import Keyring

LIFETIME = 12 * 3600
"""Seconds: a shift, and its handover."""

SKEW = 60
"""Seconds that the clock of the replica that made it may be ahead."""

MOST_DIGITS = 12
"""Of seconds since 1970: for 30,000 years."""

COOKIE = "postsync"
SECURE_COOKIE = f"__Host-{COOKIE}"
"""By its name a browser takes it only over TLS, from this very host (RFC 6265bis, 4.1.3.2)."""
SECURE_COOKIE_BELOW = f"__Secure-{COOKIE}"
"""Below a prefix: only over TLS. One that is kept to a path may not be called __Host-, and without
a path the other services of the host would get it."""

ROLES = {"o": "operators", "v": "viewers"}
"""The folders whose tokens may look at the page, by a letter in the cookie."""


@dataclass(frozen=True, slots=True)
class Session:
    """Whose it is, whether he may act, and the token that his forms carry against forgery.

    ``proxied`` is whether a proxy has logged him in, so that he cannot log out here.
    """

    name: str
    operator: bool
    csrf: str
    proxied: bool = False


def new_session(token: str, name: str, *, operator: bool, now: float | None = None) -> str:
    """Make the cookie of a token that is known to be valid, and that of ``name``."""
    issued = int(time.time() if now is None else now)
    text = f"{'o' if operator else 'v'}:{name}:{issued}:{secrets.token_urlsafe(12)}"
    return f"{text}:{_sign(sha256(token.encode()).digest(), 'session', text)}"


def read_session(
    cookies: str, keys: Keyring, *, secure: bool | None = None, prefix: str = "",
    reload: bool = True, now: Callable[[], float] = time.time,
) -> Session | None:  # fmt: skip
    """Return the session of a Cookie header; None if there is none that is valid now.

    Args:
        cookies: the header.
        keys: which tokens are valid.
        secure: whether the request came over TLS; None takes either name.
        prefix: the setting `urlPrefix`.
        reload: whether the token files may be read again.
        now: seconds since 1970.
    """
    for over_tls in (True, False) if secure is None else (secure,):
        value = read_cookie(cookies, cookie_name(secure=over_tls, prefix=prefix))
        text, _, signature = value.rpartition(":")
        parts = text.split(":")
        if len(parts) != len(("role", "name", "issued", "nonce")) or parts[0] not in ROLES:
            continue
        letter, name, issued, _nonce = parts
        if not _is_fresh(issued, now()):
            continue
        for key in keys.digests(ROLES[letter], name, reload=reload):
            if hmac.compare_digest(_sign(key, "session", text), signature):
                return Session(name, letter == "o", _sign(key, "form", text))
    return None


def cookie_name(*, secure: bool, prefix: str = "") -> str:
    """Return the cookie's name, over TLS or not, below a prefix or not."""
    if not secure:
        return COOKIE
    return SECURE_COOKIE_BELOW if prefix else SECURE_COOKIE


def read_cookie(cookies: str, wanted: str) -> str:
    """Return the value of a cookie in a Cookie header, "" if it has none that is ours.

    Ours are ASCII without quotes; werkzeug's reader breaks off at what is no UTF-8.
    """
    for pair in cookies.split(";"):
        name, _, value = pair.strip().partition("=")
        if name == wanted and value.isascii():
            return value
    return ""


def _is_fresh(issued: str, now: float) -> bool:
    if not issued.isdecimal() or len(issued) > MOST_DIGITS:
        return False
    return -SKEW <= now - int(issued) < LIFETIME


def _sign(key: bytes, use: str, text: str) -> str:
    return hmac.new(key, f"postsync page {use} {text}".encode(), sha256).hexdigest()
