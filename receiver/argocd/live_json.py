"""Reads live objects as API servers, and Argo CD for them, tell them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from receiver.argocd.application_json import mapping, mappings, moment, text, texts
from receiver.argocd.objects import FieldsManager, LiveObject, ObjectRef, Unreadable
from receiver.core.model import Json
from receiver.kubernetes.health import Health, argocd_health

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""A copy of all that was applied, a Secret's values among it."""
MASKED = "+"
"""What Argo CD writes for each value of a Secret is made of this."""


def live_object(
    ref: ObjectRef,
    found: Mapping[str, Any],
    read_from: str,
    *,
    content: bool,
    read_at: datetime | None = None,
) -> LiveObject:
    """Return what is to be known of an object.

    Args:
        ref: as it was asked for.
        found: the object, or its metadata alone.
        read_from: the connection's name.
        content: keep the whole object.
        read_at: the API server's clock.
    """
    metadata = mapping(found, "metadata")
    annotations = texts(metadata, "annotations")
    annotations.pop(LAST_APPLIED, None)
    # In a list, objects of Kubernetes' own kinds come without their kind.
    whole = {"apiVersion": ref.api_version, "kind": ref.kind, **found, "metadata": metadata}
    return LiveObject(
        ref=ref,
        uid=text(metadata, "uid"),
        created=moment(metadata, "creationTimestamp"),
        managers=tuple(map(_manager, mappings(metadata, "managedFields"))),
        labels=texts(metadata, "labels"),
        annotations=annotations,
        read_from=read_from,
        read_at=read_at,
        content=_content(ref, whole, annotations) if content else None,
    )


def judge(found: LiveObject) -> Health | Unreadable:
    """Return the health of an object that was read whole."""
    try:
        return argocd_health({**(found.content or {})})
    except Exception as error:  # noqa: BLE001 one object of a stranger's kind holds up no other
        return Unreadable(f"its health cannot be told, for a bug of ours: {type(error).__name__}")


def _manager(entry: Mapping[str, Any]) -> FieldsManager:
    return FieldsManager(
        text(entry, "manager"),
        text(entry, "operation"),
        text(entry, "subresource"),
        moment(entry, "time"),
    )


def _content(ref: ObjectRef, found: dict[str, Any], annotations: dict[str, str]) -> dict[str, Json]:
    metadata = {**found["metadata"], "annotations": annotations}
    metadata.pop("managedFields", None)
    whole: dict[str, Json] = {**found, "metadata": metadata}
    if (ref.group, ref.kind) == ("", "Secret"):
        whole.pop("stringData", None)
        whole["data"] = {
            key: _digest(ref, key, value) for key, value in mapping(found, "data").items()
        }
    return whole


def _digest(ref: ObjectRef, key: str, value: Any) -> str | None:
    """Return what stands for a Secret's value: equal as long as it is; None where it is masked."""
    if not isinstance(value, str) or not value.strip(MASKED):
        return None
    salted = f"{ref.namespace}/{ref.name}/{key}/{value}"
    return "sha256:" + hashlib.sha256(salted.encode()).hexdigest()
