"""Objects that handlers make in a real API server, as the one service account that may."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import yaml
from jobs import FACTS
from kube import PATIENCE, Json, Kube
from kubelet import MERGE
from peers import call, door
from service import ROOT, wait_for

from receiver.contract import Handler, Outcome, Pending, TemporaryError
from receiver.outbound import Outbound
from receiver.testkit import Case, Fault, Reply, Subject, usual

PAGE = (ROOT / "docs/kubernetes.md").read_text()
ROW = re.compile(r"^\| `([\w.]+)` \| `([\w./]+)` \| (.*?) \|", re.MULTILINE)
MADE: Json = {"namespace": "shop", "name": "smoke-test-r-kit-1", "uid": "u-1"}
"""What the test kit's run has made: the identity of the object, and the run's state."""
RBAC = "/apis/rbac.authorization.k8s.io/v1"


def answered(status: Json) -> Reply:
    """The API server's answer with that object, and this status."""
    return Reply(200, json.dumps({"metadata": MADE, "status": status}).encode())


def maker_subject(
    handler: Handler[Any], kubeconfig: str, looks: Sequence[Case], **fields: Any
) -> Subject:
    """A handler in the test kit: it makes its object, and looks how that gets on."""
    return Subject(
        handler,
        parameters={
            "cluster": {"kubeconfig": {"file": "eu.kubeconfig"}}, "namespace": "shop", **fields,
        },
        secrets={"eu.kubeconfig": kubeconfig},
        cases=[
            Case(answered({}), Pending),
            Case(Fault.GARBLED, TemporaryError),
            *usual(),
            *looks,
            Case(Fault.GARBLED, TemporaryError, state=MADE),
            *(Case(case.answers, case.ends, state=MADE) for case in usual()),
        ],
    )  # fmt: skip


def documented(handler: str) -> set[tuple[str, str]]:
    """The rights of a handler by docs/kubernetes.md: resource and verb."""
    return {
        (resource, verb)
        for name, resource, verbs in ROW.findall(PAGE)
        for verb in re.findall(r"`([a-z]+)`", verbs)
        if name == handler
    }


def serve(kube: Kube, name: str) -> None:
    """Let the API server serve a kind of tests/data/crds, unless it does already."""
    tree = yaml.safe_load((ROOT / f"tests/data/crds/{name}.yaml").read_text())
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    if kube.find(f"{path}/{name}") is None:
        kube.ask("POST", path, tree)
    plural, _, group = name.partition(".")
    served = f"/apis/{group}/{tree['spec']['versions'][0]['name']}/{plural}"
    wait_for(lambda: kube.find(served) is not None, PATIENCE, name)


class Maker:
    """Runs of a handler in a namespace, with the rights that the page names, and ``more``."""

    def __init__(
        self, kube: Kube, namespace: str, handler: Handler[Any], plural: str,
        more: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:  # fmt: skip
        self.kube, self.namespace, self.handler = kube, kube.namespace(namespace), handler
        self.collection = f"/{plural.rpartition('/')[0]}/namespaces/{namespace}/"
        self.collection += plural.rpartition("/")[2]
        self.kubeconfig = kube.account("maker", namespace=namespace)
        self._grant(documented(handler.name) | more)
        self.outbound = Outbound()

    def attempt(
        self, key: str, state: Any = None, facts: Json | None = None, **fields: Any
    ) -> Outcome:
        """Make one attempt of the run with this idempotency key."""
        given = {"cluster": {"kubeconfig": self.kubeconfig}, **fields}
        params = self.handler.params.model_validate(self.handler.complete(given, facts or FACTS))
        run, _, _ = key.partition(".")
        here = call(door(self.outbound, PATIENCE), run=run, idempotency_key=key, state=state)
        return self.handler.run(params, here)

    def start(self, key: str, **fields: Any) -> Any:
        """Make the first attempt; the state that it leaves."""
        outcome = self.attempt(key, **fields)
        assert isinstance(outcome, Pending), outcome
        return outcome.state

    def there(self, name: str) -> Json:
        found = self.kube.find(f"{self.collection}/{name}")
        assert found is not None
        return found

    def say(self, name: str, status: Json, part: str = "") -> None:
        """Set an object's status, as its controller does."""
        self.kube.ask("PATCH", f"{self.collection}/{name}{part}", {"status": status}, MERGE)

    def _grant(self, rights: set[tuple[str, str]]) -> None:
        rules = [
            {"apiGroups": ["*"], "resources": [resource], "verbs": [verb]}
            for resource, verb in rights
        ]
        root = f"{RBAC}/namespaces/{self.namespace}"
        self.kube.ask("POST", f"{root}/roles", {"metadata": {"name": "maker"}, "rules": rules})
        subject = {"kind": "ServiceAccount", "name": "maker", "namespace": self.namespace}
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "maker"}
        binding = {"metadata": {"name": "maker"}, "roleRef": role, "subjects": [subject]}
        self.kube.ask("POST", f"{root}/rolebindings", binding)


@contextmanager
def making(
    kube: Kube, namespace: str, handler: Handler[Any], plural: str,
    more: frozenset[tuple[str, str]] = frozenset(),
) -> Iterator[Maker]:  # fmt: skip
    made = Maker(kube, namespace, handler, plural, more)
    yield made
    made.outbound.close()
