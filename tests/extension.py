"""What Argo CD's proxy extension asks of the app, with its token and the headers that it sends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from doors import Doors, doors, token_file

from receiver.ledger.engine.ledger import Ledger

TOKEN = "token-of-argo-cds-extension-0123"


@contextmanager
def extension_doors(ledger: Ledger, home: Path, **options: Any) -> Iterator[Doors]:
    """Build the app that knows the extension's token."""
    token_file(home, "extensions/argocd", TOKEN)
    with doors(ledger, home, **options) as made:
        yield made


def headers(
    application: str = "argocd:shop", project: str = "web", token: str = TOKEN
) -> dict[str, str]:
    """Who asks, and about what."""
    return {
        "Authorization": f"Bearer {token}", "Argocd-Application-Name": application,
        "Argocd-Project-Name": project, "Argocd-Username": "ann", "Argocd-User-Groups": "ops",
    }  # fmt: skip


def get(web: Doors, path: str = "", status: int = 200, **named: str) -> Any:
    """Ask for an Application's syncs, or what is below them."""
    answer = web.client.get(f"/v1/application/syncs{path}", headers=headers(**named))
    assert answer.status_code == status, answer.text
    return answer.json
