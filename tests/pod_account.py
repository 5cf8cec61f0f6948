"""The folder in which a pod has its own token, as the kubelet keeps it.

An API server judges a token when a watch is opened, and never again: one that is open outlives its
token. A token that was replaced therefore counts at the next opening, which tests have come soon.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from kube import Kube

CREDENTIAL = "authentication.kubernetes.io/credential-id"


class PodAccount:
    """An account's folder in a pod; ``environ`` is what the pod has beside it."""

    def __init__(self, kube: Kube, namespace: str, account: str, folder: Path) -> None:
        self.kube, self.namespace, self.account, self.folder = kube, namespace, account, folder
        host, _, port = kube.url.removeprefix("https://").partition(":")
        self.environ: Mapping[str, str] = {
            "KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port,
        }  # fmt: skip
        (folder / "ca.crt").write_bytes(kube.authority.read_bytes())
        (folder / "namespace").write_text(namespace)
        self.rotate()

    def rotate(self) -> None:
        """Put a new token there."""
        self.put(self.kube.token(self.namespace, self.account))

    def put(self, token: str) -> None:
        """Put this there, at once as a whole."""
        (self.folder / "new").write_text(token)
        (self.folder / "new").replace(self.folder / "token")

    def watched_by(self) -> set[str]:
        """The tokens by which it has opened watches, by their ids in the audit log."""
        user = f"system:serviceaccount:{self.namespace}:{self.account}"
        lines = (self.kube.authority.parent / "audit.log").read_text().splitlines()
        return {
            one["user"]["extra"][CREDENTIAL][0]
            for one in map(json.loads, lines)
            if one["user"]["username"] == user and one["verb"] == "watch"
        }
