"""The HTTP client of the commands: one server, with a sender's or an operator's token."""

from __future__ import annotations

import getpass
import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlencode

from receiver.cli.screen import Styled, write_line
from receiver.core.errors import (
    AttemptError,
    PermanentError,
    ServerError,
    Unreachable,
    UnreadableFile,
)
from receiver.core.model import Json
from receiver.core.user_files import read_text
from receiver.outbound import Outbound
from receiver.outbound.secret_masking import Masker
from receiver.settings.token_files import token_command

DEFAULT_URL = "http://127.0.0.1:8080"
PATIENCE = 30.0
"""Seconds that a command waits for an answer."""

TRUST = "--ca or POSTSYNC_CA names the PEM file of the authority that signed its certificate"
"""The way out when a server's certificate is not trusted."""

START = "start one with `make run` or `postsync serve`, or set POSTSYNC_URL"
PLAIN = "; if it speaks no TLS, write http://"

PAGE = 500
"""Rows that the API returns at once at most."""

Query: TypeAlias = Mapping[str, str | Sequence[str]]


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token, and for the message when it is refused: where it came from, and what helps."""

    token: str
    origin: str
    hint: str = ""


def find_token(folder: Path, file: Path | None, name: str = "") -> Credentials:
    """Find the token to use: the file's, POSTSYNC_TOKEN, or the first one of the home's folder.

    Args:
        folder: ``senders`` or ``operators`` of the home.
        file: a file whose first line is the token.
        name: a certain name in the folder.

    Raises:
        ServerError: the file cannot be read.
    """
    if file is None and not name and (value := os.environ.get("POSTSYNC_TOKEN")):
        return Credentials(value, "POSTSYNC_TOKEN", OTHER_SERVER)
    files = [folder / name] if name else sorted(folder.glob("[!.]*")) if folder.is_dir() else []
    path = file or next(iter(files), None)
    if path is None:
        return Credentials("", "nowhere", _token_hint(folder))
    return Credentials(_first_word(path, folder), str(path), OTHER_SERVER)


OTHER_SERVER = "is it a token of this server, in its HOME/operators, or HOME/senders for `send`?"


def _token_hint(home: Path) -> str:
    """Return where a token may come from, and how to make one for the server of this home."""
    me = home / getpass.getuser() if home.name == "operators" else home / "argocd"
    return (
        f"neither {home} nor POSTSYNC_TOKEN has one; for the server of this home: "
        f"`{token_command(me)}`; another one's is named by --token-file or POSTSYNC_TOKEN"
    )


def _first_word(path: Path, home: Path) -> str:
    try:
        words = read_text(path).split()
    except UnreadableFile as error:
        there = [one.name for one in sorted(home.glob("[!.]*"))] if path.parent == home else []
        others = f"there is {', '.join(there)}; " if there else ""
        hint = "" if path.exists() else others + _token_file_hint(path, home)
        raise ServerError(f"the token file {path} {error.why}", hint=hint) from None
    if not words:
        raise ServerError(f"the token file {path} is empty", hint=_token_file_hint(path, home))
    return words[0]


def _token_file_hint(path: Path, home: Path) -> str:
    """Return what to write into a token's file; a new one only in the server's own home."""
    if path.parent == home:
        return f"`{token_command(path)}` makes one"
    return f"write a token into it that the server has in its HOME/{home.name}"


class _Answer(dict[str, Any]):
    """A server's JSON object; one that lacks an expected key is another service's."""

    def __init__(self, url: str, data: Mapping[str, Any]) -> None:
        super().__init__(data)
        self._url = url

    def __missing__(self, key: str) -> Any:
        raise _not_postsync(self._url, f"an answer without {key}")


def _not_postsync(url: str, what: str, status: int = HTTPStatus.OK) -> ServerError:
    hint = "is it Postsync's address? --url or POSTSYNC_URL names it"
    return ServerError(f"{url} answered {status}, and {what}", hint=hint, status=status)


class Client:
    """One server, one token. Each warning of the server is written to stderr once.

    Raises:
        ServerError: the file of the authority does not exist.
    """

    def __init__(self, url: str | None, credentials: Credentials, ca: Path | None = None) -> None:
        self.url = (url or os.environ.get("POSTSYNC_URL") or DEFAULT_URL).rstrip("/")
        self._credentials = credentials
        ca = ca or (Path(named) if (named := os.environ.get("POSTSYNC_CA")) else None)
        if ca is not None and not ca.is_file():
            raise ServerError(f"the authority's file {ca} does not exist", hint=TRUST)
        self._outbound = Outbound(ca_bundle=ca)
        self._warned = {""}

    def get(self, path: str, query: Query | None = None) -> Any:
        """GET a path of the API, empty parts of the query left out; see `call`."""
        given = {name: value for name, value in (query or {}).items() if value}
        return self.call("GET", f"{path}?{urlencode(given, doseq=True)}" if given else path)

    def pages(self, path: str, key: str, query: Query, most: int) -> Iterator[Any]:
        """Yield what a list of the API has under ``key``, page by page, up to ``most`` rows."""
        cursor: str | None = ""
        while most > 0 and cursor is not None:
            page = self.get(path, {**query, "limit": str(min(most, PAGE)), "cursor": cursor})
            yield from page[key]
            most -= len(page[key])
            cursor = page.get("next")

    def send(self, method: str, path: str, document: Json = None) -> Any:
        """Send JSON, None for no body; see `call`."""
        return self.call(method, path, None if document is None else json.dumps(document).encode())

    def call(self, method: str, path: str, body: bytes | None = None) -> Any:
        """Send a request and return the JSON that came back.

        Raises:
            Unreachable: nothing answered.
            ServerError: the server refused, with its own words.
        """
        headers = {"Content-Type": "application/json"}
        if self._credentials.token:
            headers["Authorization"] = f"Bearer {self._credentials.token}"
        http = self._outbound.http(time.monotonic() + PATIENCE, Masker([self._credentials.token]))
        try:
            answer = http.send(
                method, self.url + path, headers=headers, body=body, max_answer=64 << 20
            )
        except AttemptError as error:
            raise self._unreachable(error) from None
        try:
            data = answer.json()
        except ValueError:
            raise _not_postsync(self.url, "no JSON", answer.status) from None
        if not isinstance(data, dict):
            raise _not_postsync(self.url, "no JSON object", answer.status)
        if answer.status >= 400:  # noqa: PLR2004 where errors begin
            raise ServerError(
                self._message(answer.status, data), hint=self._hint(answer.status, data),
                status=answer.status,
            )  # fmt: skip
        warning = data.get("warning", "")
        if warning not in self._warned:
            self._warned.add(warning)
            write_line(Styled(f"warning: {warning}", "yellow"), err=True)
        return _Answer(self.url, data)

    def _unreachable(self, error: AttemptError) -> Unreachable:
        tls = self.url.startswith("https:")
        if isinstance(error, PermanentError):
            hint = TRUST if tls else "--url or POSTSYNC_URL names it"
            return Unreachable(f"{self.url} cannot be asked: {error.message}", hint=hint)
        hint = START + (PLAIN if tls else "")
        return Unreachable(f"no server answers at {self.url}: {error}", hint=hint)

    def _message(self, status: int, data: Mapping[str, Any]) -> str:
        why = data.get("detail") or "; ".join(data.get("reasons", ()))
        text = f"the server answered {status}: {why}"
        if status == HTTPStatus.UNAUTHORIZED and self._credentials.token:
            text += f" (the token came from {self._credentials.origin})"
        return text

    def _hint(self, status: int, data: Mapping[str, Any]) -> str:
        if status == HTTPStatus.UNAUTHORIZED and self._credentials.hint:
            return self._credentials.hint
        return in_commands(str(data.get("hint", "")))


COMMAND_OF = (
    (r"GET /v1/(syncs|runs|plans)\?state=(\w+)", r"`postsync \1 --state \2`"),
    (r"GET /v1/runs\?(sync|plan)=(\S+[a-z0-9])", r"`postsync runs --\1 \2`"),
    (r"GET /v1/(syncs|runs|plans|deliveries)/(\S+[a-z0-9])", r"`postsync show \2`"),
    (r"GET /v1/(syncs|runs|plans)\b", r"`postsync \1`"),
    (r"POST /v1/syncs/(\S+)/replay", r"`postsync replay \1`"),
    (r"POST /v1/(?:runs|plans)/(\S+)/approve", r"`postsync approve \1`"),
    (r"POST /v1/runs/(\S+)/retry", r"`postsync retry \1`"),
    (r"POST /v1/runs/(\S+)/hurry", r"`postsync retry --now \1`"),
)
"""A request in the API's hints, and the command that does the same."""


def in_commands(text: str) -> str:
    """Return a text of the API with the commands in place of its requests."""
    for request, command in COMMAND_OF:
        text = re.sub(request, command, text)
    return text
