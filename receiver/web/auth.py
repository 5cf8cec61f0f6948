"""Whose request it is: a bearer token, or basic auth with the name and the token."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from http import HTTPStatus

from receiver.settings.tokens import Keyring, Tokens
from receiver.web.problem_details import RETRY_AFTER, Refusal

ANONYMOUS = "anonymous"

PLACEHOLDER = re.compile(r"\$[A-Za-z0-9._:-]{1,200}")
"""What Argo CD leaves literally in a header when its Secret lacks the key."""


def authenticate(header: str, keys: Keyring, *folders: Tokens) -> str:
    """Return the name of the token in an Authorization header; any of the folders may have it.

    Raises:
        Refusal: 403 for a token of another of the server's folders, 503 for an unknown one while
            files of tokens cannot be read, and else 401, with the way out for the mistakes that
            Argo CD's users make.
    """
    name, token = _presented(header)
    for tokens in folders:
        owner = tokens.owner(token, name=name)
        if owner is not None:
            return owner
    for tokens in keys.folders:
        owner = tokens.owner(token, name=name)
        if owner is not None:
            raise Refusal(
                "forbidden",
                f"the token is that of {owner} in `{tokens.folder.name}`, which is not for this",
                hint=f"this needs a token of the server's {_named(folders)}",
                status=HTTPStatus.FORBIDDEN,
            )
    raise _unknown(name, token, keys, folders)


def has_known_token(header: str, keys: Keyring, *, reload: bool) -> bool:
    """Whether a header has a token of any folder; without ``reload`` no file is read."""
    try:
        _, token = _presented(header)
    except Refusal:
        return False
    return keys.contains(token, reload=reload)


def _unknown(name: str, token: str, keys: Keyring, folders: Sequence[Tokens]) -> Refusal:
    if PLACEHOLDER.fullmatch(token):
        return _unauthenticated(
            f"the token is the literal text {token}",
            f"Argo CD sent its placeholder: the key {token[1:].rpartition(':')[2]!r} is missing "
            "in the Secret argocd-notifications-secret",
        )
    if keys.unreadable:
        return Refusal(
            "tokens_away",
            "the server cannot read its files of tokens now, so it does not know this one",
            hint="try again; the server's log says which file (tokens.away)",
            status=HTTPStatus.SERVICE_UNAVAILABLE, headers={"Retry-After": RETRY_AFTER},
        )  # fmt: skip
    return _unauthenticated(
        "the token is not known" + (f" as one of {name!r}" if name else ""),
        f"valid are the lines of the files in the server's {_named(folders)}",
    )


def _named(folders: Sequence[Tokens]) -> str:
    return " or ".join(f"folder `{tokens.folder.name}`" for tokens in folders)


def _presented(header: str) -> tuple[str, str]:
    """Split the header into the demanded name ("" for a bearer token) and the token."""
    scheme, _, value = header.partition(" ")
    name, token = "", value.strip()
    if scheme.lower() == "basic":
        name, token = _basic(value)
    elif scheme.lower() != "bearer":
        raise _unauthenticated("there is no token", "send `Authorization: Bearer TOKEN`")
    if not token.isascii():
        raise _unauthenticated(
            "the token has characters outside ASCII, as no valid one has",
            "it may have been copied with more than itself; `openssl rand -hex 32` makes one",
        )
    return name, token


def _basic(value: str) -> tuple[str, str]:
    try:
        name, _, token = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:  # no base64, or no UTF-8
        hint = "it is base64 of NAME:TOKEN"
        raise _unauthenticated("the basic auth cannot be read", hint) from None
    if not name:
        raise _unauthenticated("the basic auth has no name", "its user name is the token's name")
    return name, token


def _unauthenticated(message: str, hint: str) -> Refusal:
    headers = {"WWW-Authenticate": 'Bearer realm="postsync", Basic realm="postsync"'}
    status = HTTPStatus.UNAUTHORIZED
    return Refusal("unauthenticated", message, hint=hint, status=status, headers=headers)
