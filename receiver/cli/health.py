"""`postsync health`: whether a server is alive, for an image without curl."""

from __future__ import annotations

import os
from pathlib import Path

import click

from receiver.cli import options
from receiver.cli.client import Client, Credentials
from receiver.cli.screen import write_line
from receiver.settings.loading import load_settings


@click.command()
@click.option("--url", help="The server (default POSTSYNC_URL, or this host's at POSTSYNC_PORT).")
@options.ca
@options.settings
def health(*, url: str | None, ca: Path | None, settings_file: Path | None) -> None:
    """Ask a server's /healthz whether it is alive. It needs no token.

    Exit codes: 0 healthy; 1 a restart may help, with the reasons; 3 no server answers.

    \b
      postsync health
    """  # noqa: D301 click's \b keeps the lines
    address = url or os.environ.get("POSTSYNC_URL")
    if not address:
        settings = load_settings(settings_file)
        scheme = "http" if settings.tls_certificate is None else "https"
        address = f"{scheme}://127.0.0.1:{settings.port}"
    Client(address, Credentials("", "no token is needed"), ca).get("/healthz")
    write_line("healthy")
