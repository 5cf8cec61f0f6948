"""A service whose sender has a connection to Argo CD, and what is asked of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from argocd_server import TOKEN, ArgoCd
from kube import PATIENCE, Json, Kube
from service import Service, wait_for


def connection(home: Path, kube: Kube, namespace: str, argocd: ArgoCd, way: str) -> Json:
    """The setting of one kind of connection; its secrets are put where a service finds them."""
    (home / "secrets").mkdir()
    (home / "secrets/kubeconfig").write_text(kube.kubeconfig())
    (home / "secrets/argocd").write_text(TOKEN)
    if way == "argocd":
        return {"server": argocd.url, "token": {"file": "argocd"}}
    return {"kubernetes": {"kubeconfig": {"file": "kubeconfig"}, "namespaces": [namespace]}}


def told(service: Service, body: bytes) -> str:
    """Notify of a sync; its id."""
    status, answer = service.request("POST", "/v1/notifications", body)
    assert status == 202, answer
    return str(answer["sync"])


def plan(service: Service, sync: str) -> dict[str, Any]:
    """The first plan of a sync; one without a state while there is none."""
    plans = service.story(sync)["plans"]
    return dict(plans[0]) if plans else {"state": "", "reason": ""}


def waits(service: Service, sync: str, state: str, reason: str) -> None:
    """Wait until a sync's plan is in a state for this reason."""
    wait_for(
        lambda: (found := plan(service, sync))["state"] == state and reason in found["reason"],
        PATIENCE, f"{sync} to be {state} for {reason}",
    )  # fmt: skip


def texts(service: Service) -> list[str]:
    """What its actions have said."""
    return [line["text"] for line in service.events("action.message")]
