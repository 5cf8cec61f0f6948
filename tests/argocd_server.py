"""Stands in for Argo CD's API, over a real API server: what our connections ask of it.

Paths, parameters and refusals are those of server/application in Argo CD's sources: an Application
that is not there is answered as one that may not be seen; a Secret's values are masked; what
``managed-resources`` tells is as old as the last `ArgoCd.compare`, if there was one.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from applications import GROUP
from kube import Json, Kube

from receiver.core.threads import start_daemon
from receiver.kubernetes.health import CHECKS, health

TOKEN = "token-of-an-argocd-account"
ROOT = "/api/v1/applications"
LISTED_FIELDS = frozenset({
    *(f"metadata.{one}" for one in ("name", "namespace", "annotations", "labels")),
    "metadata.creationTimestamp", "metadata.deletionTimestamp", "spec", "status.sync.status",
    "status.health", "status.summary", "status.resources", "operation.sync",
    *(f"status.operationState.{one}" for one in ("phase", "startedAt", "finishedAt")),
})  # fmt: skip
"""What of an Application a list can be limited to: `appFields` in Argo CD's
server/application/forwarder_overwrite.go; a field that it does not name is left out."""
AWAY, SLOW, HALF, PAGE = "away", "slow", "half an answer", "a page instead of JSON"
"""Faults; a number is a status that everything is answered with."""


@dataclass
class ArgoCd:
    """Argo CD as its API shows it.

    Attributes:
        url: where it is.
        kube: the API server that it runs on; its Applications and live objects are there.
        fault: what is wrong with it; None for nothing.
        faulty: a part of the path that the fault is limited to; "" for all.
        projects: which the account may see; None for all.
        asked: path and query of each request.
        cut_after: lines of a watch after which it is cut; None for never.
        over: the test has ended: ends what waits.
        cached: what `compare` has kept.
    """

    url: str
    kube: Kube
    fault: str | int | None = None
    faulty: str = ""
    projects: set[str] | None = None
    asked: list[str] = field(default_factory=list)
    cut_after: int | None = None
    over: threading.Event = field(default_factory=threading.Event)
    cached: dict[str, list[Json]] = field(default_factory=dict)

    def compare(self, namespace: str, name: str) -> None:
        """Keep an Application's live objects as they are now."""
        self.cached[f"{namespace}/{name}"] = self.managed(self.application(namespace, name))

    def application(self, namespace: str, name: str) -> Json:
        """Return an Application.

        Raises:
            Refused: it is not there, or may not be seen; Argo CD tells both alike.
        """
        app = self.kube.find(f"{GROUP}/namespaces/{namespace}/applications/{name}")
        if app is None or not self.visible(app):
            raise Refused(403, 7, "permission denied")
        return self.with_health(app)

    def with_health(self, app: Json) -> Json:
        """Add the health of its resources, as Argo CD does where it is kept in the tree (3.0)."""
        if app["status"].get("resourceHealthSource") == "appTree":
            for one in app["status"]["resources"]:
                if (one.get("group", ""), one["kind"]) in CHECKS and (live := self.live(one)):
                    found = health(live)
                    one["health"] = {"status": found.status, "message": found.message}
        return app

    def visible(self, app: Json) -> bool:
        return self.projects is None or app["spec"]["project"] in self.projects

    def managed(self, app: Json) -> list[Json]:
        return [
            {**{key: one.get(key, "") for key in ("group", "kind", "namespace", "name")},
             "liveState": json.dumps(self.live(one)), "targetState": "{}"}
            for one in app["status"]["resources"]
        ]  # fmt: skip

    def live(self, ref: Json) -> Json | None:
        """Return an object of the cluster, a Secret's values masked."""
        group, version = ref.get("group", ""), ref["version"]
        root = f"/apis/{group}/{version}" if group else f"/api/{version}"
        served = {one["kind"]: one for one in self.kube.ask("GET", root)["resources"]
                  if "/" not in one["name"]}  # fmt: skip
        kind = served[ref["kind"]]
        where = f"/namespaces/{ref['namespace']}" if kind["namespaced"] else ""
        found = self.kube.find(f"{root}{where}/{kind['name']}/{ref['name']}")
        if found is not None and ref["kind"] == "Secret":
            found["data"] = dict.fromkeys(found.get("data", {}), "++++++++")
        return found


class Refused(Exception):
    """An answer of grpc-gateway that is no success."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": message, "code": code, "message": message}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    argocd: ArgoCd

    def handle_one_request(self) -> None:
        with suppress(OSError):  # the client has gone
            super().handle_one_request()

    def do_GET(self) -> None:
        self.argocd.asked.append(self.path)
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        fault = self.argocd.fault if self.argocd.faulty in parts.path else None
        if fault in {AWAY, SLOW}:
            if fault == SLOW:
                self.argocd.over.wait()
            self.close_connection = True
            return
        try:
            self._admit(fault)
            if parts.path == "/api/v1/stream/applications":
                self._stream(query)
                return
            status, body = 200, self._answer(parts.path, query)
        except Refused as refused:
            status, body = refused.status, refused.body
        self._write(status, json.dumps(body).encode(), fault)

    def _admit(self, fault: str | int | None) -> None:
        if isinstance(fault, int):
            raise Refused(fault, 2, "as the test wants it")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, 16, "invalid session: token is not valid")

    def _answer(self, path: str, query: dict[str, str]) -> Any:
        argocd = self.argocd
        if path == ROOT:
            items = argocd.kube.ask("GET", f"{GROUP}/applications")["items"]
            listed = {"metadata": {}, "items": list(filter(argocd.visible, items))}
            wanted = query.get("fields", "").split(",")
            known = [one for one in wanted if one.removeprefix("items.") in LISTED_FIELDS]
            return chosen(listed, ",".join(known))
        name, _, part = path.removeprefix(f"{ROOT}/").partition("/")
        app = argocd.application(query.get("appNamespace", "argocd"), name)
        if not part:
            return app
        if part == "managed-resources":
            key = f"{app['metadata']['namespace']}/{name}"
            return {"items": argocd.cached.get(key) or argocd.managed(app)}
        if part == "resource":
            return {"manifest": json.dumps(self._resource(app, query))}
        raise Refused(404, 5, "Not Found")

    def _resource(self, app: Json, query: dict[str, str]) -> Json:
        ref = {key: query.get(key, "") for key in ("group", "version", "kind", "namespace")}
        ref["name"] = query["resourceName"]
        same = ("group", "kind", "namespace", "name")
        listed = [tuple(one.get(key, "") for key in same) for one in app["status"]["resources"]]
        if tuple(ref[key] for key in same) not in listed:
            told = f"{ref['kind']} {ref['group']} {ref['name']} not found as part of application"
            raise Refused(400, 3, told)
        found = self.argocd.live(ref)
        if found is None:
            raise Refused(404, 5, f"{ref['kind']} {ref['name']} not found")
        return found

    def _stream(self, query: dict[str, str]) -> None:
        """Send all Applications as ADDED, then their changes, as newline-delimited JSON."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.close_connection = True
        for number, (kind, app) in enumerate(self._events(), 1):
            if self.argocd.visible(app):
                told = {"result": {"type": kind, "application": app}}
                line = json.dumps(chosen(told, query.get("fields", ""))).encode() + b"\n"
                self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
            if self.argocd.cut_after is not None and number >= self.argocd.cut_after:
                return

    def _events(self) -> Iterator[tuple[str, Json]]:
        kube = self.argocd.kube
        listed = kube.ask("GET", f"{GROUP}/applications")
        yield from (("ADDED", app) for app in listed["items"])
        since = listed["metadata"]["resourceVersion"]
        while not self.argocd.over.is_set():
            with kube.watch(f"{GROUP}/applications", since) as lines:
                for line in lines:
                    event = json.loads(line)
                    since = event["object"]["metadata"]["resourceVersion"]
                    yield event["type"], event["object"]

    def _write(self, status: int, body: bytes, fault: str | int | None) -> None:
        if fault == PAGE:
            body = b"<html>Sign in</html>"
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == HALF:
            self.close_connection = True
            body = body[: len(body) // 2]
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Keep silent."""


def chosen(tree: Any, fields: str) -> Any:
    """Return what of an answer ``fields`` names, as Argo CD does: lists are passed through."""
    if not fields:
        return tree
    return _chosen(tree, [one.split(".") for one in fields.split(",")])


def _chosen(tree: Any, paths: list[list[str]]) -> Any:
    if isinstance(tree, list):
        return [_chosen(one, paths) for one in tree]
    if not isinstance(tree, dict) or [] in paths:
        return tree
    heads = {path[0] for path in paths}
    return {
        key: _chosen(value, [path[1:] for path in paths if path[0] == key])
        for key, value in tree.items()
        if key in heads
    }


@contextmanager
def argocd_server(kube: Kube) -> Iterator[ArgoCd]:
    """Start it; the account's token is `TOKEN`."""
    argocd = ArgoCd("", kube)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"argocd": argocd}))
    argocd.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = start_daemon("argocd", lambda: server.serve_forever(0.02))
    try:
        yield argocd
    finally:
        argocd.over.set()
        server.shutdown()
        server.server_close()
        thread.join()
