"""How a run is told of what it waits for: by a watch, which it shares with others like it.

A watch is a hint. It saves requests and shortens the wait; a run for which it says nothing asks, as
if there were none.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

from receiver.contract.http import StreamHttp


class Teller(Protocol):
    """What a watch sends its requests by, and whom it tells."""

    @property
    def wanted(self) -> bool:
        """Whether a run still waits for anything that the watch tells of."""
        ...

    def http(self, seconds: float, secrets: Iterable[str] = ()) -> StreamHttp:
        """Return a client that may take so long, and masks these secrets in what it raises."""
        ...

    def open(self, *, anew: bool) -> AbstractContextManager[None]:
        """Say that the watch is open during the block: what it told last holds.

        ``anew`` forgets what was told before: it may have missed something.
        """
        ...

    def tell(self, subject: str, news: str) -> None:
        """Keep how a thing is now; a text of at most 4,096 characters, with no secret in it."""
        ...

    def ended(self, subject: str) -> None:
        """Forget a thing that has ended or is gone, and ask the runs that wait for it at once."""
        ...


class Watch(Protocol):
    """Follows what goes on at one place; runs whose watches are equal share one, and its thread.

    It is hashable, and what makes two of them different is all that `follow` goes by: the place,
    and the credential.
    """

    @property
    def name(self) -> str:
        """What it follows, for people, as in ``Jobs in namespace shop``; no secret is in it."""
        ...

    def follow(self, teller: Teller) -> None:
        """Open the watch again and again, and tell, while the teller wants it.

        Raises:
            AttemptError: it cannot be opened. It is begun anew after a while; until then nothing is
                known by it.
        """
        ...


class Watches(Protocol):
    """The watches of this process, as one run has them."""

    def news(self, watch: Watch, subject: str, keep: float) -> str | None:
        """Return how a thing is now, None where no open watch has told it.

        The watch is begun if there is none. For ``keep`` seconds from now it is kept up, and the
        run is asked at once when the thing has ended.
        """
        ...


class NoWatches:
    """Where nothing is watched: all that is asked for is unknown."""

    def news(self, watch: Watch, subject: str, keep: float) -> str | None:  # noqa: ARG002 see `Watches`
        """Return None."""
        return None
