"""A real Kubernetes API server as its administrator sees it; `control_plane.py` starts it."""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import requests
import yaml
from service import wait_for

ADMIN = "admin-token-of-the-tests"
PATIENCE = 120.0
"""Seconds in which it is there, also on a machine that does other things."""

Json: TypeAlias = dict[str, Any]


class Kube:
    """The API server as its administrator sees it."""

    def __init__(self, url: str, authority: Path) -> None:
        self.url = url
        self.authority = authority
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(authority)
        self._session.headers["Authorization"] = f"Bearer {ADMIN}"

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Any:
        """Send a request that must succeed; the JSON that came."""
        answer = self._session.request(
            method, self.url + path, json=body, headers={"Content-Type": kind}, timeout=PATIENCE
        )
        assert answer.ok, f"{method} {path}: {answer.text}"
        return answer.json()

    def send(self, method: str, path: str, text: str) -> None:
        """Send a text that is JSON already; it must succeed."""
        answer = self._session.request(
            method, self.url + path, data=text, headers={"Content-Type": "application/json"},
            timeout=PATIENCE,
        )  # fmt: skip
        assert answer.ok, answer.text[:500]

    def find(self, path: str) -> Json | None:
        """An object, None if it is not there, or not yet: 429 while a new kind has no cache."""
        answer = self._session.get(self.url + path, timeout=PATIENCE)
        assert answer.status_code in {200, 404, 429}, answer.text
        return answer.json() if answer.ok else None

    def merge(self, path: str, body: Any) -> None:
        """Change an object, unless it was removed meanwhile."""
        answer = self._session.patch(
            self.url + path,
            json=body,
            headers={"Content-Type": "application/merge-patch+json"},
            timeout=PATIENCE,
        )
        assert answer.status_code in {200, 404}, answer.text

    def remove(self, path: str) -> None:
        """Delete an object at once, unless a controller was faster."""
        answer = self._session.delete(
            self.url + path, json={"gracePeriodSeconds": 0}, timeout=PATIENCE
        )
        assert answer.status_code in {200, 202, 404}, answer.text

    @contextmanager
    def watch(self, path: str, since: str, seconds: int = 2) -> Iterator[Iterator[bytes]]:
        """Open a watch from a version; its lines, until the server ends it."""
        query = f"{path}?watch=true&resourceVersion={since}&timeoutSeconds={seconds}"
        with self._session.get(self.url + query, stream=True, timeout=PATIENCE) as answer:
            assert answer.ok, answer.text
            yield answer.iter_lines(chunk_size=None)

    def items(self, path: str, **labels: str) -> list[Json]:
        """The objects of a collection."""
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        items: list[Json] = self.ask("GET", f"{path}?labelSelector={selector}")["items"]
        return items

    def ready(self) -> bool:
        with suppress(requests.ConnectionError):
            return self._session.get(f"{self.url}/readyz", timeout=30).ok
        return False

    def namespace(self, name: str) -> str:
        """Make a namespace that pods can run in."""
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        path = f"/api/v1/namespaces/{name}/serviceaccounts/default"
        wait_for(lambda: self.find(path) is not None, PATIENCE, "the default service account")
        return name

    def account(self, name: str, *manifests: Path, namespace: str) -> str:
        """Make a service account with the rights of these manifests; its kubeconfig."""
        meta = {"metadata": {"name": name}}
        self.ask("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", meta)
        for manifest in manifests:
            tree = yaml.safe_load(manifest.read_text())
            for subject in tree.get("subjects", []):
                subject |= {"name": name, "namespace": namespace}
            group, plural = tree["apiVersion"], f"{tree['kind'].lower()}s"
            self.ask("POST", f"/apis/{group}/namespaces/{namespace}/{plural}", tree)
        return self.kubeconfig(self.token(namespace, name), namespace)

    def used(self, namespace: str, name: str) -> set[tuple[str, str]]:
        """What a service account has asked for, by the audit log: resource and verb."""
        return set(self.asked(namespace, name))

    def asked(self, namespace: str, name: str) -> Counter[tuple[str, str]]:
        """How often a service account has asked for what, by the audit log."""
        user = f"system:serviceaccount:{namespace}:{name}"
        lines = map(json.loads, (self.authority.parent / "audit.log").read_text().splitlines())
        asked = {line["auditID"]: (line["objectRef"], line["verb"]) for line in lines
                 if line["user"]["username"] == user and "objectRef" in line}  # fmt: skip
        return Counter(
            ("/".join(filter(None, (ref["resource"], ref.get("subresource")))), verb)
            for ref, verb in asked.values()
        )

    def token(self, namespace: str, account: str) -> str:
        """A token of a service account, as a pod gets it."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        told = self.ask("POST", path, {"spec": {"expirationSeconds": 3600}})
        return str(told["status"]["token"])

    def kubeconfig(self, token: str = ADMIN, namespace: str = "default") -> str:
        """A kubeconfig with everything in it, as kubectl writes it with --flatten."""
        authority = base64.b64encode(self.authority.read_bytes()).decode()
        cluster = {"server": self.url, "certificate-authority-data": authority}
        return yaml.safe_dump({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": "it", "user": {"token": token}}],
            "contexts": [
                {"name": "it", "context": {"cluster": "it", "user": "it", "namespace": namespace}}
            ],
        })  # fmt: skip

    def close(self) -> None:
        self._session.close()
