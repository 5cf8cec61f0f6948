"""Creates an object of a run exactly once, however often an attempt is repeated."""

from __future__ import annotations

from collections.abc import Mapping

from handlers.kubernetes.client import Api
from handlers.kubernetes.objects import Kind
from receiver.contract import Json, PermanentError
from receiver.kubernetes.api_errors import Refused
from receiver.kubernetes.objects import Object

KEY = "postsync/run"
"""Annotation with the idempotency key, by which a run recognises its object."""
LONGEST_NAME = 63
"""Characters: the name becomes a label of the pods."""


def name_for(prefix: str, key: str) -> str:
    """Return an object's name, made of a prefix and the run's idempotency key.

    At most 63 characters; the key is in it whole, so that the name is the run's alone.
    """
    suffix = key.lower().replace(".", "-")
    return f"{prefix[: LONGEST_NAME - 1 - len(suffix)].rstrip('-.')}-{suffix}"


def run_metadata(
    metadata: Object, api: Api, namespace: str, labels: Mapping[str, str],
    annotations: Mapping[str, str], *, prefix: str,
) -> Object:  # fmt: skip
    """Return the metadata with the run's name, labels and annotations.

    Args:
        metadata: as the manifest has it; its name, or generateName, is where the name begins.
        api: with the attempt.
        namespace: where it is made.
        labels: added to those of the manifest.
        annotations: likewise.
        prefix: where the name begins if the manifest does not say.

    Raises:
        PermanentError: the metadata is for another namespace, or in another shape.
    """
    kept = {name: value for name, value in metadata.items() if name != "generateName"}
    if kept.get("namespace", namespace) != namespace:
        raise PermanentError(
            f"the manifest is for namespace {kept['namespace']}, the action for {namespace}"
        )
    first = str(metadata.get("generateName") or metadata.get("name") or prefix)
    key = api.call.idempotency_key
    return kept | {
        "name": name_for(first, key),
        "namespace": namespace,
        "labels": {**mapping_at(kept, "labels"), **labels},
        "annotations": {**mapping_at(kept, "annotations"), **annotations, KEY: key},
    }


def create_once(api: Api, kind: Kind, manifest: Object) -> Object:
    """Create an object, or return the one that an earlier attempt of this run has made.

    Raises:
        Refused: the API server does not take it.
        PermanentError: somebody else has an object of this name.
    """
    metadata = manifest["metadata"]
    namespace, name = metadata["namespace"], metadata["name"]
    try:
        return api.create(kind.path(namespace), manifest)
    except Refused as error:
        if error.reason != "AlreadyExists":
            raise
    found = api.find(kind.path(namespace, name))
    if found is None or "deletionTimestamp" in found["metadata"] or not is_ours(api, found):
        raise PermanentError(
            f"there is a {kind.name} {namespace}/{name} already, and it is not of this run",
            hint="delete it, or give the manifest another name; then retry the run",
        )
    return found


def run_state(found: Object) -> dict[str, Json]:
    """Return what is stored of an object that the run has created."""
    metadata = found["metadata"]
    return {name: metadata[name] for name in ("namespace", "name", "uid")}


def is_ours(api: Api, found: Object) -> bool:
    """Whether this run has made the object."""
    annotations = found["metadata"].get("annotations") or {}
    return bool(annotations.get(KEY) == api.call.idempotency_key)


def require_created(api: Api, kind: Kind, state: Mapping[str, str], why_not: str) -> Object:
    """Return the object that the run has made.

    Args:
        api: where it is.
        kind: what it is.
        state: its ``namespace``, ``name`` and ``uid``.
        why_not: what usually takes it away, for the message.

    Raises:
        PermanentError: it is gone, so that its end is not known.
    """
    found = find_created(api, kind, state)
    if found is None:
        raise gone_error(kind, state, why_not)
    return found


def find_created(api: Api, kind: Kind, state: Mapping[str, str]) -> Object | None:
    """Return the object that the run has made, None if it is gone; see `require_created`."""
    found = api.find(kind.path(state["namespace"], state["name"]))
    return found if found is not None and found["metadata"]["uid"] == state["uid"] else None


def gone_error(kind: Kind, state: Mapping[str, str], why_not: str) -> PermanentError:
    """Return the error for an object that is gone before its end was seen."""
    name = f"{kind.name} {state['namespace']}/{state['name']}"
    return PermanentError(f"{name} is gone before its end was seen", hint=why_not)


def mapping_at(tree: Object, name: str) -> Object:
    """Return a mapping within a mapping; it is created if it is missing.

    Raises:
        PermanentError: something else is there.
    """
    inside = tree.setdefault(name, {})
    if inside is None:
        inside = tree[name] = {}
    if not isinstance(inside, dict):
        raise PermanentError(f"{name} of the manifest is no mapping")
    return inside
