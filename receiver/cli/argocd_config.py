"""`postsync argocd-config`: prints the notification config for Argo CD."""

from __future__ import annotations

import json

import click
import yaml

from receiver.cli.screen import write_text
from receiver.notification.argocd_config import notification_config

URL = "http://postsync.postsync.svc:8080"
"""Of a Service called postsync in a namespace of that name."""


@click.command()
@click.option(
    "--url", default=URL, show_default=True, help="Where Argo CD's controller reaches us."
)
@click.option("--namespace", default="argocd", show_default=True, help="Argo CD's namespace.")
@click.option("--output", type=click.Choice(["yaml", "json"]), default="yaml",
              help="The format; JSON has no comments.")  # fmt: skip
def argocd_config(url: str, namespace: str, output: str) -> None:
    """Print the notification config for Argo CD, ready to apply.

    Service, template, trigger and subscription; its comments say how to apply it beside
    what is there, and where the token goes.

    \b
      postsync argocd-config --url http://postsync.postsync.svc:8080 > notifications.yaml
    """  # noqa: D301 click's \b keeps the lines
    config = notification_config(url, namespace=namespace)
    if output == "json":
        config = json.dumps(yaml.safe_load(config), indent=2) + "\n"
    write_text(config)
