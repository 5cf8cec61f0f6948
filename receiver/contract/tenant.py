"""For whom an action is done, where its rule belongs to a namespace."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Tenant:
    """For whom an action is done, where its rule stands in a namespace.

    Attributes:
        namespace: the only one in which it may touch anything.
        service_account: the only one that its pods may run as.
        kubeconfig: returns that of the namespace's cluster; None if it is the one that we run in.
        context: in that kubeconfig.
    """

    namespace: str
    service_account: str = "default"
    kubeconfig: Callable[[], str] | None = field(default=None, repr=False)
    context: str | None = None
