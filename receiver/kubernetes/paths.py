"""The paths of an API server.

https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris; what stands in them may
be a stranger's, as a notification names it: what Kubernetes allows as no name is refused, for it
would lead elsewhere with our token.
"""

from __future__ import annotations

import re
from urllib.parse import quote

from receiver.contract import PermanentError

LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
GROUP = re.compile(rf"(?=.{{1,253}}$){LABEL}(\.{LABEL})*")
"""A DNS name: https://kubernetes.io/docs/concepts/overview/working-with-objects/names/."""
VERSION = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")
"""A DNS label that begins with a letter, as API servers want it of a CustomResourceDefinition."""


def version_path(api_version: str) -> str:
    """Return the path of a group and version, where an API server tells its kinds.

    Args:
        api_version: as in manifests: ``v1``, ``batch/v1``.

    Raises:
        PermanentError: it is none.
    """
    group, slash, version = api_version.rpartition("/")
    if not VERSION.fullmatch(version) or (slash and not GROUP.fullmatch(group)):
        raise PermanentError(f"{api_version!r} is no apiVersion, as `apps/v1` is one")
    return f"/apis/{group}/{version}" if group else f"/api/{version}"


def group_path(group: str) -> str:
    """Return the path where an API server tells the versions of a group.

    Raises:
        PermanentError: it is no name of a group.
    """
    if not GROUP.fullmatch(group):
        raise PermanentError(f"{group!r} is no group, as `apps` is one")
    return f"/apis/{group}"


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
        PermanentError: a name that Kubernetes does not allow either.
    """
    path = version_path(api_version)
    inside = ["namespaces", namespace] if namespace is not None else []
    for part in (*inside, plural, *([name] if name else []), *([sub] if sub else [])):
        path = below(path, part)
    return path


def below(path: str, name: str) -> str:
    """Return the path of what has this name in a collection.

    Raises:
        PermanentError: a name that Kubernetes does not allow either.
    """
    if name in {"", ".", ".."} or "/" in name or "%" in name:
        raise PermanentError(f"{name!r} is no name in Kubernetes")
    return f"{path}/{quote(name, safe='')}"
