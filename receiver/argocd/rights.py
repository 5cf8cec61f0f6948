"""Which rights an API server says that we have: nothing is tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from receiver.argocd.kubernetes_answers import refused
from receiver.argocd.server import Server
from receiver.kubernetes.paths import path_of

REVIEWS = path_of("authorization.k8s.io/v1", "selfsubjectaccessreviews")
"""https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/self-subject-access-review-v1/"""


@dataclass(frozen=True, slots=True)
class Right:
    """What is needed on one kind.

    Attributes:
        group: of the kind, empty for the core's.
        resource: its plural, with its subresource after a slash.
        namespace: where; empty: in all, or of what has none.
        verbs: what is done with it.
    """

    group: str
    resource: str
    namespace: str
    verbs: tuple[str, ...]

    def within(self, namespace: str) -> Right:
        """Return the same right in one namespace."""
        return replace(self, namespace=namespace)


def missing(server: Server, right: Right, deadline: float) -> Iterator[str]:
    """Yield what lacks of a right, and where it is said how to grant it.

    Raises:
        ConnectionFailed: the server does not say it.
    """
    lacking = [verb for verb in right.verbs if not _granted(server, right, verb, deadline)]
    if lacking:
        plural, _, subresource = right.resource.partition("/")
        resource = f"{plural}.{right.group}".rstrip(".") + (
            f"/{subresource}" if subresource else ""
        )
        where = f" in namespace {right.namespace}" if right.namespace else ""
        yield f"grant {', '.join(lacking)} on {resource}{where}; see {server.page}"


def _granted(server: Server, right: Right, verb: str, deadline: float) -> bool:
    resource, _, subresource = right.resource.partition("/")
    asked = {"group": right.group, "resource": resource, "subresource": subresource,
             "namespace": right.namespace, "verb": verb}  # fmt: skip
    answer = server.post(REVIEWS, deadline, {"spec": {"resourceAttributes": asked}})
    if why := refused(server, answer):
        raise server.failed(f"it does not say what may be read: {why.reason}")
    status = server.json(answer).get("status")
    return isinstance(status, dict) and status.get("allowed") is True
