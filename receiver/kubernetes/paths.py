"""The paths of an API server.

https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris
"""

from __future__ import annotations

from urllib.parse import quote

from receiver.contract import PermanentError


def path_of(
    api_version: str, plural: str, namespace: str | None = None, name: str = "", sub: str = ""
) -> str:
    """Return the path of a collection, of an object in it, or of a part of that.

    Args:
        api_version: as in manifests: ``v1``, ``batch/v1``.
        plural: the resource's name in paths: ``jobs``.
        namespace: None for what is in none.
        name: of the object; "" for the collection.
        sub: ``status``, ``log``, ...

    Raises:
        PermanentError: a name that Kubernetes does not allow either: it would lead elsewhere.
    """
    root = ["apis", *api_version.split("/")] if "/" in api_version else ["api", api_version]
    inside = ["namespaces", namespace] if namespace is not None else []
    parts = [*root, *inside, plural, *([name] if name else []), *([sub] if sub else [])]
    for part in parts:
        if part in {"", ".", ".."} or "/" in part or "%" in part:
            raise PermanentError(f"{part!r} is no name in Kubernetes")
    return "/" + "/".join(quote(part, safe="") for part in parts)
