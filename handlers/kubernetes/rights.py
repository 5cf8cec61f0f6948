"""Asks an API server which rights the caller has (SelfSubjectAccessReview).

https://kubernetes.io/docs/reference/kubernetes-api/authorization-resources/self-subject-access-review-v1/
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from handlers.kubernetes.client import Api
from receiver.contract import Finding
from receiver.kubernetes.paths import path_of

REVIEWS = path_of("authorization.k8s.io/v1", "selfsubjectaccessreviews")


@dataclass(frozen=True, slots=True)
class Right:
    """A verb on a resource.

    Attributes:
        verb: as Kubernetes calls it.
        resource: its name in paths; a part of it after a slash: ``pods/log``.
        group: "" for the core group.
        otherwise: what does not work without it; "" where nothing does.
    """

    verb: str
    resource: str
    group: str = ""
    otherwise: str = ""


def missing_rights(api: Api, namespace: str, rights: Sequence[Right]) -> Iterator[Finding]:
    """Yield the rights that are not granted; those that can be done without, as notes."""
    for right in rights:
        if not _granted(api, namespace, right):
            resource = f"{right.resource}.{right.group}".rstrip(".")
            message = f"the right to {right.verb} {resource} in namespace {namespace} is missing"
            if right.otherwise:
                message += f": {right.otherwise}"
            hint = f"grant the verb {right.verb} on {resource}; see docs/kubernetes.md"
            yield Finding((), message, hint, certain=not right.otherwise)


def _granted(api: Api, namespace: str, right: Right) -> bool:
    resource, _, part = right.resource.partition("/")
    attributes = {
        "namespace": namespace, "verb": right.verb, "group": right.group, "resource": resource,
        "subresource": part,
    }  # fmt: skip
    body = api.request("POST", REVIEWS, body={"spec": {"resourceAttributes": {**attributes}}})
    return bool((body.get("status") or {}).get("allowed"))
