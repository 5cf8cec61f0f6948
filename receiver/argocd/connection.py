"""What every connection can do: `Connection`, and how it fails."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from receiver.argocd.objects import (
    ApplicationState,
    ApplicationSummary,
    LiveObject,
    ObjectRef,
    Unreadable,
)
from receiver.core.errors import PostsyncError
from receiver.kubernetes.health import Health


class ConnectionFailed(PostsyncError):
    """The connection as a whole does not work now: nobody there, 401, no time left.

    So it is, too, where the Application itself, or the list of all, is answered 5xx: what an object
    of it is answered concerns that alone. The message names the connection. It may work again.
    """


class Connection(Protocol):
    """Reads for one sender, from any number of threads at once.

    ``deadline`` is as `time.monotonic` counts. Every method raises `ConnectionFailed` for what
    concerns the whole, also when the deadline passes; it changes nothing anywhere.

    Attributes:
        name: for messages: ``Argo CD's API https://argocd.example``.
    """

    @property
    def name(self) -> str:
        """For messages: ``Argo CD's API https://argocd.example``."""
        ...

    def application(
        self, namespace: str, name: str, deadline: float
    ) -> ApplicationState | Unreadable:
        """Return an Application as it is now.

        Args:
            namespace: the Application's own; "" where it is not known.
            name: the Application's.
            deadline: see the class.
        """
        ...

    def applications(self, deadline: float) -> list[ApplicationSummary]:
        """Return every Application that may be seen."""
        ...

    def live(
        self,
        application: ApplicationState,
        refs: Sequence[ObjectRef],
        *,
        deadline: float,
        content: bool = False,
        annotations: Collection[str] | None = (),
    ) -> Mapping[ObjectRef, LiveObject | Unreadable]:
        """Read objects of an Application, with as few requests as it can.

        What Argo CD has cached is not used if it is older than the end of the Application's
        last operation: it is asked again until it has compared anew.

        Args:
            application: as it was read at most a moment before.
            refs: which objects; each is in what is returned.
            deadline: see the class.
            content: whole objects, not their metadata alone.
            annotations: names of those that are kept, None for all, where objects are not whole.
        """
        ...

    def health(
        self, application: ApplicationState, refs: Sequence[ObjectRef], *, deadline: float
    ) -> Mapping[ObjectRef, Health | Unreadable]:
        """Return the health of objects of an Application as they are now.

        Where their cluster is read itself, it is judged by Argo CD's rules, else by Argo CD.

        Args:
            application: as it was read at most a moment before.
            refs: which objects; each is in what is returned.
            deadline: see the class.
        """
        ...

    def watch(self, deadline: float) -> Iterator[ApplicationSummary]:
        """Yield each Application as it is now, then each whenever it changes, until the deadline.

        It goes on by itself where it was cut, and tells some again then; it raises
        `ConnectionFailed` only where a new beginning fails.
        """
        ...
