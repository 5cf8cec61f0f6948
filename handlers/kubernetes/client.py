"""Calls an API server in JSON, through `Call.http`.

A library would bring its own connections, past the attempt's timeout and the address policy, for
what are plain requests. Objects stay dicts, so that no field that is newer than us is lost.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlencode

from handlers.kubernetes.cluster import Cluster, access
from handlers.kubernetes.tenancy import cluster_for, require_within
from receiver.contract import (
    Answer,
    Call,
    Json,
    PermanentError,
    TemporaryError,
    Tenant,
    object_of,
)
from receiver.kubernetes.access import Access
from receiver.kubernetes.api_errors import Refused, refusal
from receiver.kubernetes.objects import Object

FIELD_MANAGER = "postsync"
LARGEST = 8 << 20
"""Bytes of an answer: an object of etcd's 1.5 MiB with its managed fields, or a page of a list."""


@dataclass(frozen=True, slots=True)
class Api:
    """One API server for one attempt.

    Every method raises `Refused` (a PermanentError) for what is refused for good, and
    TemporaryError for the rest: 429, 5xx, nobody there, no time left.
    """

    access: Access
    call: Call
    tenant: Tenant | None = None
    """Whose namespace alone it serves, where its credentials are not the tenant's."""

    @classmethod
    def of(cls, cluster: Cluster | None, call: Call) -> Api:
        """Open a cluster; see `handlers.kubernetes.cluster.access`."""
        found = access(cluster_for(cluster, call.tenant))
        for secret in found.secrets:  # only the whole text of a kubeconfig is masked already
            call.hide(secret)
        return cls(found, call, call.tenant if cluster is None else None)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json = None,
        content_type: str = "application/json",
    ) -> Object:
        """Send one request, and return the object that it is answered with."""
        answer = self._send(method, path, query, body, content_type)
        if answer.truncated:
            raise PermanentError(f"{method} {path} was answered with more than {LARGEST} bytes")
        return object_of(answer)

    def find(self, path: str) -> Object | None:
        """Return an object, None if it is not there."""
        try:
            return self.request("GET", path)
        except Refused as error:
            if error.reason == "NotFound":
                return None
            raise

    def create(self, path: str, manifest: Object, *, dry_run: bool = False) -> Object:
        """Create an object in a collection; an unknown field is refused."""
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict"}
        return self.request(
            "POST", path, query=query | ({"dryRun": "All"} if dry_run else {}), body=manifest
        )

    def patch(
        self, path: str, body: Json, content_type: str, query: Mapping[str, str] | None = None
    ) -> Object:
        """Change an object; an unknown field is refused.

        Args:
            path: of the object.
            body: the patch, or for an apply the manifest.
            content_type: which of Kubernetes' patches it is.
            query: besides the field manager, or instead of it.

        Raises:
            TemporaryError: also where somebody else has changed it in the same moment.
        """
        options = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", **(query or {})}
        try:
            return self.request("PATCH", path, query=options, body=body, content_type=content_type)
        except Refused as error:
            if error.reason in {"Conflict", "AlreadyExists"} and not error.of_fields:
                raise TemporaryError(error.message) from None
            raise

    def delete(self, path: str, *, uid: str | None = None, propagation: str = "Background") -> bool:
        """Delete an object; return whether it was there.

        Args:
            path: of the object.
            uid: delete none but this one; another of the name counts as not there.
            propagation: what becomes of what it owns: deleted after it (``Background``) or
                before it (``Foreground``), or left (``Orphan``).
        """
        options: dict[str, Json] = {"propagationPolicy": propagation}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            self.request("DELETE", path, body=options)
        except Refused as error:
            if error.reason == "NotFound" or (uid is not None and error.reason == "Conflict"):
                return False
            raise
        return True

    def text(self, path: str, *, query: Mapping[str, str]) -> str:
        """Return the answer as text, secrets masked."""
        answer = self._send("GET", path, query, None, "")
        return answer.mask(answer.text)

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Json,
        content_type: str,
    ) -> Answer:
        if self.tenant is not None:
            require_within(path, self.tenant)
        headers = {"Accept": "application/json, */*;q=0.5"}
        if body is not None:
            headers["Content-Type"] = content_type
        if self.access.token:
            headers["Authorization"] = f"Bearer {self.access.token}"
        answer = self.call.http.send(
            method,
            f"{self.access.server}{path}" + (f"?{urlencode(query)}" if query else ""),
            headers=headers,
            body=None if body is None else json.dumps(body).encode(),
            max_answer=LARGEST,
            tls=self.access.tls,
            proxy=self.access.proxy,
        )
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise refusal(answer, f"{method} {path}", self.call.now)
        return answer
