"""What Argo CD itself thinks of the health of an Application's resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, get_args, get_type_hints

from receiver.argocd.application_json import mapping, text
from receiver.argocd.objects import ApplicationState, ObjectRef, ResourceState, Unreadable
from receiver.kubernetes.health import HEALTHY, Health

WORDS: Final = get_args(get_type_hints(Health)["status"])
GONE = Unreadable("it is not among the Application's resources any more", gone=True)
LATE = Unreadable("Argo CD has not compared the Application again since the operation's end")


def listed_health(
    application: ApplicationState, refs: Sequence[ObjectRef]
) -> Mapping[ObjectRef, Health | Unreadable]:
    """Return the health of resources by the Application's own list of them.

    What it lists without a word is of a kind that Argo CD does not judge: that is healthy. The list
    counts once Argo CD has compared the Application since the end of its last operation.
    """
    ended, compared = application.summary.finished_at, application.reconciled_at
    if ended is None or compared is None or compared < ended:
        return dict.fromkeys(refs, LATE)
    found = find_listed(application, refs)
    return {ref: GONE if one is None else _health(one) for ref, one in found.items()}


def find_listed(
    application: ApplicationState, refs: Sequence[ObjectRef]
) -> Mapping[ObjectRef, ResourceState | None]:
    """Return the entries of resources in the Application's own list."""
    listed = {_name(one.ref): one for one in application.resources}
    return {ref: listed.get(_name(ref)) or listed.get(_name(ref, "")) for ref in refs}


def in_its_list(application: ApplicationState) -> bool:
    """Whether an Application as its API server has it says how its resources are.

    From Argo CD 3.0 on its own API alone does, unless `controller.resource.health.persist` is set.
    """
    return text(mapping(application.body, "status"), "resourceHealthSource") != "appTree"


def _name(ref: ObjectRef, namespace: str | None = None) -> tuple[str, str, str, str]:
    return ref.group, ref.kind, ref.namespace if namespace is None else namespace, ref.name


def _health(one: ResourceState) -> Health | Unreadable:
    if not one.health:
        return HEALTHY
    for word in WORDS:
        if one.health == word:
            return Health(word, one.health_message)
    why = f": {one.health_message}" if one.health_message else ""
    return Unreadable(f"Argo CD calls it {one.health}{why}", gone=one.health == "Missing")
