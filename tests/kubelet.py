"""Stands in for a node: it takes pods, says how they are, and serves their logs.

It does by the API what a kubelet does; the controller manager draws its conclusions from that.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kube import PATIENCE, Json, Kube
from service import wait_for

NODE = "stand-in"
MERGE = "application/merge-patch+json"


class Kubelet:
    """The node's side of the API; ``logs`` by pod and container."""

    def __init__(self, kube: Kube, port: int) -> None:
        self.kube = kube
        self.logs: dict[str, str] = {}
        self.asked: list[str] = []
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        kube.ask("POST", "/api/v1/nodes", {"metadata": {"name": NODE}})
        kube.ask("PATCH", f"/api/v1/nodes/{NODE}/status", {"status": status}, MERGE)

    def pod(self, namespace: str, job: str, *, after: int = 0) -> Json:
        """Take the newest pod of a Job, when the controller has made more than ``after``."""
        pods: list[Json] = []

        def there() -> bool:
            path, label = f"/api/v1/namespaces/{namespace}/pods", "batch.kubernetes.io/job-name"
            pods[:] = self.kube.items(path, **{label: job})
            return len(pods) > after

        wait_for(there, PATIENCE, f"a pod of {job}")
        pod = max(pods, key=lambda one: str(one["metadata"]["creationTimestamp"]))
        if "nodeName" not in pod["spec"]:
            binding = {
                "metadata": {"name": pod["metadata"]["name"]},
                "target": {"kind": "Node", "name": NODE},
            }
            self.kube.ask("POST", f"{self._path(pod)}/binding", binding)
        return pod

    def run(self, pod: Json, state: Json, phase: str = "Running", log: str = "") -> None:
        """Say how a pod's first container is: ``running``, ``waiting`` or ``terminated``."""
        name = pod["spec"]["containers"][0]["name"]
        if log:
            self.logs[f"{pod['metadata']['name']}/{name}"] = log
        ready = "running" in state
        container = {
            "name": name, "image": "x", "imageID": "", "ready": ready, "restartCount": 0,
            "state": state,
        }  # fmt: skip
        conditions = [{"type": "Ready", "status": str(ready)}]
        status = {"phase": phase, "containerStatuses": [container], "conditions": conditions}
        self.kube.ask("PATCH", f"{self._path(pod)}/status", {"status": status}, MERGE)

    def end(self, pod: Json, code: int = 0, reason: str = "", log: str = "") -> None:
        """Let a pod end with this exit code."""
        told = {"exitCode": code, "reason": reason or ("Error" if code else "Completed")}
        self.run(pod, {"terminated": told}, "Failed" if code else "Succeeded", log)

    def fail_early(self, pod: Json, code: int) -> None:
        """Let a pod end with the exit code of its first init container."""
        name = pod["spec"]["initContainers"][0]["name"]
        ended = {"terminated": {"exitCode": code, "reason": "Error"}}
        container = {
            "name": name, "image": "x", "imageID": "", "ready": False, "restartCount": 0,
            "state": ended,
        }  # fmt: skip
        status = {"phase": "Failed", "initContainerStatuses": [container]}
        self.kube.ask("PATCH", f"{self._path(pod)}/status", {"status": status}, MERGE)

    def _path(self, pod: Json) -> str:
        meta = pod["metadata"]
        return f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"


@contextmanager
def kubelet(kube: Kube, folder: Path) -> Iterator[Kubelet]:
    """Serve a node's logs, over TLS with the API server's own certificate."""
    told: list[Kubelet] = []

    class Logs(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(told[0], urlsplit(self.path).path.split("/"))

        def _answer(self, node: Kubelet, parts: list[str]) -> None:
            node.asked.append(self.path)
            query = {name: int(one[0]) for name, one in parse_qs(urlsplit(self.path).query).items()}
            lines = node.logs.get("/".join(parts[3:5]), "").splitlines(keepends=True)
            text = "".join(lines[-query.get("tailLines", len(lines)) :]).encode()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text[: query.get("limitBytes", len(text))])

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Logs)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    told.append(Kubelet(kube, server.server_port))
    try:
        yield told[0]
    finally:
        server.shutdown()
        server.server_close()
