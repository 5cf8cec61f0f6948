"""Which of the shapes that people send a body has, and what is missing where it has none.

| shape | the body |
|---|---|
| ``template`` | ``{"application": {"name": ...}, "operationState": ...}``: our own template |
| ``app`` | ``{"app": {...}}``, the whole Application as templates see it |
| ``application`` | a bare Application |
| ``operationState`` | ``{"operationState": ..., "application": "shop"}`` |
| ``resources`` | the list of resources, or ``{"resources": [...]}``; the rest is in the query |

Beside ``operationState`` and ``resources``, in the body or in the query, the Application's
name may be called ``application``, ``applicationName``, ``appName``, ``app`` or ``name``, also
written ``argocd/shop``; its namespace ``namespace``, ``applicationNamespace`` or
``appNamespace``; its project ``project``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from receiver.errors import PayloadError
from receiver.payload.syntax import WAY_OUT, looks_encoded
from receiver.payload.wire import (
    WireApplication,
    WireName,
    WireOperationState,
    WireSyncResult,
    read,
)

NAMES = ("application", "applicationName", "appName", "app", "name")
NAMESPACES = ("namespace", "applicationNamespace", "appNamespace")

WANTED = {
    "template": ("application.name", "operationState"),
    "app": ("app.metadata.name", "app.status.operationState"),
    "application": ("metadata.name", "status.operationState"),
    "operationState": ("operationState", "the application's name beside it"),
    "resources": ("a list of resources", "application in the query", "phase in the query"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A body, read: its shape, the Application and, if there is one, its operation."""

    shape: str
    application: WireName
    operation: WireOperationState | None


def find(tree: Any, query: Mapping[str, str]) -> Found:
    """Tell the shape of a body and read it.

    Raises:
        PayloadError: ``unknown_shape`` with what each shape lacks, or ``wrong_type``.
    """
    if isinstance(tree, list):
        return _resources(tree, {}, query)
    if not isinstance(tree, dict):
        raise unknown(tree, query)
    for key in ("app", "application"):
        if isinstance(inner := tree.get(key), dict):
            if isinstance(inner.get("metadata"), dict):
                return _whole("app", inner, key, tree)
            return Found("template", read(WireName, inner, key), _operation(tree))
    if isinstance(tree.get("metadata"), dict) and tree.get("kind") in (None, "Application"):
        return _whole("application", tree, "", tree)
    if isinstance(tree.get("resources"), list):
        return _resources(tree["resources"], tree, query)
    name = _named(tree, query)
    if name.name and not isinstance(tree.get("operationState"), str):
        return Found("operationState", name, _operation(tree))
    raise unknown(tree, query)


def _whole(shape: str, inner: dict[str, Any], path: str, outer: dict[str, Any]) -> Found:
    whole = read(WireApplication, inner, path)
    name, spec, status = whole.metadata, whole.spec, whole.status
    if spec:
        name.project, name.destination = spec.project, spec.destination
    operation = (status and status.operation_state) or _operation(outer)
    return Found(shape, name, operation)


def _operation(tree: dict[str, Any]) -> WireOperationState | None:
    state = tree.get("operationState")
    return None if state is None else read(WireOperationState, state, "operationState")


def _resources(entries: list[Any], beside: dict[str, Any], query: Mapping[str, str]) -> Found:
    result = {"resources": entries, "revision": _text("revision", beside, query)}
    operation = WireOperationState(
        phase=_text("phase", beside, query), syncResult=read(WireSyncResult, result)
    )
    return Found("resources", _named(beside, query), operation)


def _named(tree: dict[str, Any], query: Mapping[str, str]) -> WireName:
    """Read an Application that is only named, by the body or else by the query."""
    name = next(filter(None, (_text(key, tree, query) for key in NAMES)), None)
    namespace = next(filter(None, (_text(key, tree, query) for key in NAMESPACES)), None)
    if name and "/" in name:
        qualifier, name = name.split("/", 1)
        namespace = namespace or qualifier
    return WireName(name=name, namespace=namespace, project=_text("project", tree, query))


def _text(key: str, tree: dict[str, Any], query: Mapping[str, str]) -> str | None:
    value = tree.get(key)
    return value if isinstance(value, str) and value else query.get(key)


def unknown(tree: Any, query: Mapping[str, str]) -> PayloadError:
    """Say of each shape what a body lacks to be of it."""
    shapes = {
        shape: "lacks " + ", ".join(missing)
        for shape, parts in WANTED.items()
        if (missing := [part for part in parts if not _has(part, tree, query)])
    }
    texts = tree.values() if isinstance(tree, dict) else ()
    encoded = any(isinstance(text, str) and looks_encoded(text) for text in texts)
    return PayloadError(
        "unknown_shape",
        "the body has none of the shapes that we know: "
        + "; ".join(f"{shape} {lack}" for shape, lack in shapes.items()),
        hint=f"a value is a string that contains JSON: {WAY_OUT}"
        if encoded
        else "`postsync argocd-config` prints a template that fits",
        shapes=shapes,
    )


def _has(part: str, tree: Any, query: Mapping[str, str]) -> bool:
    beside = tree if isinstance(tree, dict) else {}
    match part:
        case "a list of resources":
            return isinstance(tree, list) or isinstance(beside.get("resources"), list)
        case "the application's name beside it" | "application in the query":
            return bool(_named(beside, query).name)
        case "phase in the query":
            return bool(_text("phase", beside, query))
    for key in part.split("."):
        tree = tree.get(key) if isinstance(tree, dict) else None
    return tree not in (None, "") and (part[-4:] == "name" or isinstance(tree, dict))
