"""What an attempt for a tenant may do, by the bounds of today, and the Secrets that it names."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from receiver.argocd.server import Server, message_of
from receiver.contract import Answer, Handler, Tenant
from receiver.core.errors import AttemptError, PermanentError, PostsyncError, TemporaryError
from receiver.core.validation import did_you_mean
from receiver.kubernetes.paths import path_of
from receiver.ledger.queue.claim import ClaimedRun
from receiver.outbound.address_policy import HostBounds
from receiver.rules.handlers.secret_refs import SecretRef
from receiver.rules.tenants.bounds import ASK, NO_TENANTS, Tenants, no_bounds
from receiver.rules.tenants.names import tenant_of

LARGEST = 4 << 20
"""Bytes of a Secret as the API server sends it: 1 MiB of data in base 64, and what manages it."""


@dataclass(frozen=True, slots=True)
class Admission:
    """For whom an attempt is made, and which hosts it may call: None where any."""

    tenant: Tenant | None = None
    hosts: HostBounds | None = None


@dataclass(frozen=True, slots=True)
class TenantAttempts:
    """Admits the attempts of tenants' runs.

    Attributes:
        tenants: the bounds.
        server: the API server that has the tenants' namespaces.
        kubeconfig: returns how handlers reach it; None if we run in that cluster.
        context: in that kubeconfig.
    """

    tenants: Tenants = NO_TENANTS
    server: Server | None = None
    kubeconfig: Callable[[], str] | None = None
    context: str | None = None

    def admit(self, run: ClaimedRun, handler: Handler[Any]) -> Admission:
        """Return what a run may do.

        A plan may have waited since it was made: what it was allowed then, it may not be today.

        Raises:
            PermanentError: it is a tenant's, and beyond its bounds.
        """
        namespace = tenant_of(run.rule)
        if not namespace:
            return Admission()
        bounds = self.tenants.of(namespace)
        if bounds is None:
            raise PermanentError(no_bounds(namespace), hint=ASK)
        if refusal := self.tenants.handler_refusal(namespace, handler.name):
            raise PermanentError(refusal, hint=ASK)
        found = self.tenants.overstepping(namespace, handler, run.parameters, run.secrets)
        if told := "; ".join(map(str, found)):
            raise PermanentError(f"with: {told}")
        tenant = Tenant(namespace, bounds.service_account, self.kubeconfig, self.context)
        return Admission(tenant, self._hosts(namespace, bounds.hosts))

    def secret(self, namespace: str, ref: SecretRef, deadline: float) -> str:
        """Return the value of a Secret's key in a namespace, without one newline at its end.

        Raises:
            PermanentError: the reference is the operator's.
            TemporaryError: it cannot be read, is not there, is empty or is no text; whoever has the
                namespace can change that while the retries go on.
        """
        if ref.kind != "secret":
            raise PermanentError(f"secret {ref} is the operator's, and none of {namespace}")
        data = self._data(namespace, ref.name, deadline)
        where = f"Secret {namespace}/{ref.name}"
        if ref.key not in data:
            hint = did_you_mean(ref.key, data)
            raise TemporaryError(f"{where} has no key {ref.key}", hint=hint)
        try:
            value = base64.b64decode(str(data[ref.key]), validate=True).decode()
        except ValueError:  # no base 64, or no UTF-8
            raise TemporaryError(f"{ref.key} of {where} is no UTF-8 text") from None
        value = value.removesuffix("\n").removesuffix("\r")
        if not value:
            raise TemporaryError(f"{ref.key} of {where} is empty")
        return value

    def _data(self, namespace: str, name: str, deadline: float) -> Mapping[str, Any]:
        if self.server is None:
            raise TemporaryError(
                "there is no API server to read Secrets from", hint="tenants.kubernetes names it"
            )
        try:
            path = path_of("v1", "secrets", namespace, name)
            answer = self.server.get(path, deadline, largest=LARGEST)
            if answer.status != HTTPStatus.OK:
                raise _unreadable(namespace, name, answer)
            data = self.server.json(answer).get("data")
        except AttemptError:
            raise
        except PostsyncError as error:
            raise TemporaryError(error.message, hint=error.hint) from None
        return data if isinstance(data, dict) else {}

    def _hosts(self, namespace: str, hosts: tuple[str, ...]) -> HostBounds | None:
        """Return the hosts of a tenant, and with them the API server of its own namespace."""
        if not hosts:
            return None
        with suppress(AttemptError):  # what needs it says why it is not there
            server = self.server and urlsplit(self.server.access().server).hostname
            hosts = (*hosts, server) if server else hosts
        return HostBounds(hosts, self.tenants.place(namespace, "hosts"))


NO_ATTEMPTS = TenantAttempts()
"""Where no namespace may have rules."""


def _unreadable(namespace: str, name: str, answer: Answer) -> TemporaryError:
    where = f"Secret {namespace}/{name}"
    if answer.status == HTTPStatus.NOT_FOUND:
        return TemporaryError(f"{where} does not exist", hint="create it in the rule's namespace")
    if answer.status == HTTPStatus.FORBIDDEN:
        return TemporaryError(
            f"Postsync may not read {where}",
            hint=f"a Role in namespace {namespace} grants it, bound to Postsync's service account, "
            f"with verbs [get], resources [secrets], resourceNames [{name}]",
        )
    return TemporaryError(f"{where} was answered {answer.status}: {message_of(answer)}")
