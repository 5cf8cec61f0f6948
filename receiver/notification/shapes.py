"""Which of the shapes that people send a body has, and what is missing where it has none.

| shape | the body |
|---|---|
| ``template`` | ``{"application": {"name": ...}, "operationState": ...}``: our own template |
| ``app`` | ``{"app": {...}}``, the whole Application as templates see it |
| ``application`` | a bare Application |
| ``operationState`` | ``{"operationState": ..., "application": "shop"}`` |
| ``resources`` | the list of resources, or ``{"resources": [...]}`` with the rest beside it |

What stands beside ``resources`` may be in the query as well: ``phase``, ``startedAt``,
``finishedAt``, ``revision``. Beside ``operationState`` and ``resources``, or in the query, the
Application's name may be called ``application``, ``applicationName``, ``appName``, ``app`` or
``name``, also written ``argocd/shop``; its namespace ``namespace``, ``applicationNamespace`` or
``appNamespace``; its project ``project``. A ``name`` in the body may be anything's (a commit's, a
check's): it counts only beside an operation, where no other key claims to be the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from receiver.core.errors import PayloadError
from receiver.core.model import NOTHING_HELD, Held, Resource
from receiver.notification.json_errors import WAY_OUT, looks_encoded
from receiver.notification.reading import read
from receiver.notification.wire import (
    WireApplication,
    WireName,
    WireOperationState,
    WireSyncResult,
)

NAMES = ("application", "applicationName", "appName", "app", "name")
NAME_IT = '"application": {{toJson .app.metadata.name}}'
COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
"""The full id of a Git commit, by SHA-1 or SHA-256: no name of an Application."""
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
    """A body, read: its shape, the Application and, if there is one, its operation.

    ``own`` is what a whole Application lists as its own, as it came; ``beside`` what of it belongs
    to the sync although the operation does not list it. ``held`` is what a notification of our own
    tells.
    """

    shape: str
    application: WireName
    operation: WireOperationState | None
    own: Any = None
    beside: Sequence[Resource] = ()
    held: Held = NOTHING_HELD


def find(tree: Any, query: Mapping[str, str]) -> Found:
    """Return the shape of a body, and parse it.

    Raises:
        PayloadError: ``unknown_shape`` with what each shape lacks, or ``wrong_type``.
    """
    if isinstance(tree, list):
        return Found("resources", _named({}, query), _bare(tree, {}, query))
    if not isinstance(tree, dict):
        raise unknown_shape(tree, query)
    for key in ("app", "application"):
        if isinstance(inner := tree.get(key), dict):
            if isinstance(inner.get("metadata"), dict):
                return _whole("app", inner, key, tree, query)
            shape = "resources" if _is_bare(tree) else "template"
            return Found(shape, read(WireName, inner, key), _operation(tree, query))
    if isinstance(tree.get("metadata"), dict) and tree.get("kind") in (None, "Application"):
        return _whole("application", tree, "", tree, query)
    name = _named(tree, query)
    if _is_bare(tree):
        return Found("resources", name, _operation(tree, query))
    if name.name and not isinstance(tree.get("operationState"), str):
        return Found("operationState", name, _operation(tree, query))
    raise unknown_shape(tree, query)


def _whole(
    shape: str, inner: dict[str, Any], path: str, outer: dict[str, Any], query: Mapping[str, str]
) -> Found:
    whole = read(WireApplication, inner, path)
    name, spec, status = whole.metadata, whole.spec, whole.status
    if spec:
        name.project, name.destination = spec.project, spec.destination
    own = status.resources if status else None
    if status and status.operation_state:
        return Found(shape, name, status.operation_state, own)
    return Found("resources" if _is_bare(outer) else shape, name, _operation(outer, query), own)


def _is_bare(tree: dict[str, Any]) -> bool:
    """Whether a body has its resources without an operation round them."""
    return tree.get("operationState") is None and isinstance(tree.get("resources"), list)


def _operation(tree: dict[str, Any], query: Mapping[str, str]) -> WireOperationState | None:
    if _is_bare(tree):
        return _bare(tree["resources"], tree, query)
    state = tree.get("operationState")
    return None if state is None else read(WireOperationState, state, "operationState")


def _bare(
    entries: list[Any], beside: dict[str, Any], query: Mapping[str, str]
) -> WireOperationState:
    """Read an operation of which only the resources are an object, the rest texts beside them."""
    result = {"resources": entries, "revision": _text("revision", beside, query)}
    fields = {key: _text(key, beside, query) for key in ("phase", "startedAt", "finishedAt")}
    operation = read(WireOperationState, fields)
    operation.sync_result = read(WireSyncResult, result)
    return operation


def _named(tree: dict[str, Any], query: Mapping[str, str]) -> WireName:
    """Read an Application that is only named, by the body or else by the query."""
    body = tree if _is_certain(tree) else {**tree, "name": None}
    name = next(filter(None, (_text(key, body, query) for key in NAMES)), None)
    namespace = next(filter(None, (_text(key, tree, query) for key in NAMESPACES)), None)
    if name and "/" in name:
        qualifier, name = name.split("/", 1)
        namespace = namespace or qualifier
    return WireName(name=name, namespace=namespace, project=_text("project", tree, query))


def _is_certain(tree: dict[str, Any]) -> bool:
    """Whether a ``name`` in the body can only be the Application's."""
    operation = isinstance(tree.get("operationState"), dict) or _is_bare(tree)
    claimed = any(tree.get(key) not in (None, "") for key in NAMES if key != "name")
    return operation and not claimed and not COMMIT.fullmatch(str(tree.get("name")))


def _text(key: str, tree: dict[str, Any], query: Mapping[str, str]) -> str | None:
    value = tree.get(key)
    return value if isinstance(value, str) and value else query.get(key)


def unknown_shape(tree: Any, query: Mapping[str, str]) -> PayloadError:
    """Return the error that names, for each shape, what the body lacks of it."""
    shapes = {
        shape: "lacks " + ", ".join(missing)
        for shape, parts in WANTED.items()
        if (missing := [part for part in parts if not _has(part, tree, query)])
    }
    return PayloadError(
        "unknown_shape",
        "the body has none of the shapes that we know: "
        + "; ".join(f"{shape} {lack}" for shape, lack in shapes.items()),
        hint=_guess(tree if isinstance(tree, dict) else {}, query)
        or "`postsync argocd-config` prints a template that fits",
        shapes=shapes,
    )


def _guess(tree: dict[str, Any], query: Mapping[str, str]) -> str:
    """Return a hint at what the template's author most likely meant, "" if there is none."""
    if any(isinstance(text, str) and looks_encoded(text) for text in tree.values()):
        return f"a value is a string that contains JSON: {WAY_OUT}"
    if not _named(tree, query).name:
        for key in NAMES:
            if isinstance(tree.get(key), list | int | float):
                kind = "a list" if isinstance(tree[key], list) else "a number"
                return f"`{key}` is {kind} where the Application's name belongs: {NAME_IT}"
        if isinstance(tree.get("name"), str):
            return f"`name` could be the name of anything here: {NAME_IT}"
    phases = [path for path in misplaced_phases(tree) if not path.endswith("operationState.phase")]
    if phases:
        return (
            f"{format_keys(phases)} holds a phase, but not in operationState: "
            "`postsync argocd-config` prints a template that fits"
        )
    return ""


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


FINISHED = ("Succeeded", "Failed", "Error")
"""The phases of operations that have ended."""

DEPTH = 5
"""How deep a phase is searched for: that of a whole Application is the fourth key."""

SHOWN = 3
"""Keys that a hint names, and 80 characters of each: they are the sender's."""


def misplaced_phases(tree: Any) -> list[str]:
    """Return the keys of a body that hold the phase of a finished operation; lists are left out."""
    return [path for path, value in _texts(tree, "", DEPTH) if value in FINISHED]


def format_keys(paths: Sequence[str]) -> str:
    """Write keys for a message."""
    return ", ".join(f"`{path[:80]}`" for path in paths[:SHOWN])


def _texts(tree: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if isinstance(tree, str):
        yield path, tree
    elif isinstance(tree, dict) and depth:
        for key, value in tree.items():
            yield from _texts(value, f"{path}.{key}" if path else str(key), depth - 1)
