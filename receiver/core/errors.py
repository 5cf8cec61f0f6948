"""Every error that we raise on purpose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class PostsyncError(Exception):
    """What went wrong, in one sentence, and the way out, if one is known."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class SettingsError(PostsyncError):
    """A setting, a token file or a command's argument is not usable."""


class UnreadableFile(PostsyncError):
    """A file that a user named cannot be read.

    ``why`` is the message without the file's name; ``line`` and ``column`` are as in `Problem`.
    """

    def __init__(self, file: Path, why: str, line: int = 0, column: int = 0) -> None:
        where = f"{file}:{line}:{column}" if line else str(file)
        super().__init__(f"{where} {why}")
        self.why = why
        self.line = line
        self.column = column


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in a rule file; line and column start at 1, 0 means unknown."""

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        path = f" {self.path}:" if self.path else ""
        return f"{where}:{path} {self.message}" + (f" ({self.hint})" if self.hint else "")


class RuleError(PostsyncError):
    """Rule files with mistakes; ``problems`` has all of them, in reading order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__(self.first_problems(len(self.problems)))

    def first_problems(self, most: int) -> str:
        """Return the first ``most`` of them, one a line, and the number of others."""
        lines = [str(problem) for problem in self.problems[:most]]
        more = len(self.problems) - len(lines)
        return "\n".join([*lines, *([f"and {more} more"] if more else [])])


class BeyondBounds(RuleError):
    """Rules of namespaces that are right, and beyond what these are granted."""


class PayloadError(PostsyncError):
    """A notification that cannot be understood: a 400.

    ``reason`` is a stable word for metrics (``not_json``, ``unknown_shape``, ...);
    ``details`` goes into the problem body of the answer.
    """

    def __init__(self, reason: str, message: str, *, hint: str = "", **details: Any) -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
        self.details = details


class TooLarge(PostsyncError):
    """A sync that costs more than one may."""


class ExpressionError(PostsyncError):
    """CEL that does not compile or fails; ``column`` (from 1) is its place, 0 if unknown."""

    def __init__(self, message: str, *, hint: str = "", column: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.column = column


class LedgerError(PostsyncError):
    """The ledger cannot be opened: nothing starts."""


class LedgerInUse(LedgerError):
    """Another instance has the ledger."""


class LedgerUnavailable(PostsyncError):
    """The ledger did not take a write now (disk full, locked): a 503; trying again may help."""


class LedgerDamaged(LedgerUnavailable):
    """The ledger's file is broken: trying again does not help, and writing might do harm."""


class LedgerGone(LedgerUnavailable):
    """The ledger's file was removed or replaced: what would be written would be lost."""


class HandlersHang(PostsyncError):
    """As many attempts hang as the dispatcher has threads; only a new process helps."""


class UnknownId(PostsyncError):
    """The ledger has nothing of that id: a 404; ``kind`` is ``run``, ``plan`` or ``sync``."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"there is no {kind} {name}", hint=f"GET /v1/{kind}s lists them")
        self.kind = kind


class BeyondBinding(PostsyncError):
    """A token that is bound to namespaces asks for what is not theirs: a 403."""


class StateConflict(PostsyncError):
    """An operator's act does not fit the state that its object has now, ``state``: a 409."""

    def __init__(self, message: str, *, state: str, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.state = state


class ServerError(PostsyncError):
    """A server refused a command; ``status`` is that of its answer, 0 if there was none."""

    def __init__(self, message: str, *, hint: str = "", status: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class Unreachable(ServerError):
    """No server answered."""


class AttemptError(PostsyncError):
    """How a handler ends an attempt that did not succeed."""


class TemporaryError(AttemptError):
    """Try again.

    ``delay`` is the time that the other side asked for, in seconds: the retry policy
    never tries earlier. ``state`` is what is already done (JSON), handed to the next attempt.
    ``limited`` says that a limit of the credential was met: until the delay has passed, no
    other attempt with it would fare better.
    """

    def __init__(
        self,
        message: str,
        *,
        delay: float | None = None,
        state: Any = None,
        limited: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.delay = delay
        self.state = state
        self.limited = limited


class PermanentError(AttemptError):
    """Do not try again: the same call would fail again."""
