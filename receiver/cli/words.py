"""What a server says, in the words of whoever types commands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

COMMANDS = (
    (r"GET /v1/(syncs|runs|plans)\?state=(\w+)", r"`postsync \1 --state \2`"),
    (r"GET /v1/(syncs|runs|plans)/(\S+[a-z0-9])", r"`postsync show \2`"),
    (r"GET /v1/(syncs|runs|plans)\b", r"`postsync \1`"),
    (r"POST /v1/syncs/(\S+)/replay", r"`postsync replay \1`"),
    (r"POST /v1/(?:runs|plans)/(\S+)/approve", r"`postsync approve \1`"),
)
"""A request that the API's hints name, and the command that does the same."""


def as_commands(text: str) -> str:
    """Write a hint of the API as one for the command line."""
    for request, command in COMMANDS:
        text = re.sub(request, command, text)
    return text


def token_command(file: Path) -> str:
    """Write the command that makes a token in this file of the home folder."""
    folder, path = shlex.quote(str(file.parent)), shlex.quote(str(file))
    return f"umask 077; mkdir -p {folder}; openssl rand -hex 32 > {path}"
