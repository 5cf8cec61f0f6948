"""Follows the Jobs of one namespace, so that none has to be asked whether it goes on.

https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlencode

from handlers.kubernetes.cluster import Cluster, access
from handlers.kubernetes.job.result import terminal_condition
from handlers.kubernetes.run_labels import SERIES
from receiver.contract import AttemptError, Call, Stream, Teller, TemporaryError
from receiver.kubernetes.api_errors import refusal
from receiver.kubernetes.objects import Object
from receiver.kubernetes.paths import path_of

OPEN_FOR = 120
"""Seconds after which it is opened anew: a connection that died in silence is no loss then, and
one that nobody needs is closed."""
LATE = 10.0
"""Seconds that a server may take to end a watch by itself."""
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds before it goes on where it was cut, the last from then on."""
STEADY = 10.0
"""Seconds that it has to hold until the next cut counts as a first one."""
NOT_THERE = frozenset({HTTPStatus.GONE, HTTPStatus.GATEWAY_TIMEOUT})
"""Answers of a server that no longer has a version, or not yet."""
LONG = ("completedIndexes", "failedIndexes")
"""Of a Job's status: lists of pods that nobody here needs."""


@dataclass(frozen=True, slots=True)
class JobWatch:
    """The Jobs that we have made in one namespace, as one account sees them."""

    cluster: Cluster | None = field(repr=False)
    namespace: str

    @property
    def name(self) -> str:
        """What it follows, for people."""
        where = f"Jobs in namespace {self.namespace}"
        if self.cluster is None:
            return where
        return f"{where} of {self.cluster.context or 'another cluster'}"

    def follow(self, teller: Teller) -> None:
        """Tell of each Job how it is now, while the teller wants it."""
        version, cuts = "", 0
        while teller.wanted:
            began = time.monotonic()
            version = self._open(teller, version)
            cuts = 0 if time.monotonic() - began > STEADY else cuts + 1
            time.sleep(PAUSES[min(cuts, len(PAUSES) - 1)])

    def _open(self, teller: Teller, version: str) -> str:
        """Tell until it is cut; return where to go on, "" for anew.

        Version 0 begins with all the Jobs as the server has them, be it a little behind. Without
        one it first catches up with etcd: in vain over those before 3.4.25 and 3.5.8, which do not
        tell it how far it is.
        """
        found = access(self.cluster)
        path = path_of("batch/v1", "jobs", self.namespace)
        query = {
            "watch": "true", "labelSelector": SERIES, "timeoutSeconds": str(OPEN_FOR),
            "resourceVersion": version or "0",
            # Over such an etcd there are no bookmarks from version 0.
            **({"allowWatchBookmarks": "true"} if version else {}),
        }  # fmt: skip
        headers = {"Accept": "application/json"}
        headers |= {"Authorization": f"Bearer {found.token}"} if found.token else {}
        url = f"{found.server}{path}?{urlencode(query)}"
        http = teller.http(OPEN_FOR + LATE, found.secrets)
        with http.stream(url, headers=headers, tls=found.tls, proxy=found.proxy) as told:
            if version and told.answer.status in NOT_THERE:
                return ""
            if told.answer.status != HTTPStatus.OK:
                raise refusal(told.answer, f"WATCH {path}", datetime.now(UTC))
            with teller.open(anew=not version):
                return _tell(teller, told, version)


def _tell(teller: Teller, told: Stream, version: str) -> str:
    for line in _until_cut(told.lines):
        try:
            event = json.loads(line)
            found = event["object"]
            if event["type"] == "ERROR":
                if version and found["code"] in NOT_THERE:
                    return ""
                raise TemporaryError(f"the watch was ended: {told.answer.mask(found['message'])}")
            if event["type"] != "BOOKMARK":
                _tell_of(teller, found, gone=event["type"] == "DELETED")
            version = found["metadata"]["resourceVersion"]
        except (ValueError, KeyError, TypeError):
            raise TemporaryError(
                "what answers the watch is no API server", hint="is that its address?"
            ) from None
    return version


def _until_cut(lines: Iterator[bytes]) -> Iterator[bytes]:
    with suppress(AttemptError):
        yield from lines


def _tell_of(teller: Teller, job: Object, *, gone: bool) -> None:
    metadata, status = job["metadata"], job.get("status") or {}
    if gone or terminal_condition(job):
        teller.ended(metadata["uid"])
        return
    needed = {
        "metadata": {name: metadata[name] for name in ("namespace", "name", "uid")},
        "spec": {"suspend": bool((job.get("spec") or {}).get("suspend"))},
        "status": {name: value for name, value in status.items() if name not in LONG},
    }
    teller.tell(metadata["uid"], json.dumps(needed))


def told_job(watch: JobWatch, call: Call, uid: str, keep: float) -> Object | None:
    """Return a Job that has not ended, as the watch has told it; None where it must be read.

    For ``keep`` seconds it is watched; when it has ended, the run is asked at once.
    """
    told = call.watches.news(watch, uid, keep)
    return None if told is None else dict(json.loads(told))
