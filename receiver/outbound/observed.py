"""Who is told of the requests of an attempt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from receiver.core.errors import AttemptError
from receiver.outbound.transport import Request


class Observed(Protocol):
    """A request that is observed, to be sent as ``request`` says."""

    request: Request

    def answered(self, status: int) -> None:
        """Take the status of its answer, which was read."""

    def failed(self, error: AttemptError) -> None:
        """Take why there is no answer, with no secret in it."""


class Observer(Protocol):
    """Is told of each request when it begins."""

    def __call__(
        self, request: Request, mask: Callable[[str], str], *, private: bool
    ) -> Observed | None:
        """Observe a request, or do not; ``private`` says that a secret is in its address."""
