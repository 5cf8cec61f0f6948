"""All that the author of a handler needs.

A handler is one file: a parameter model, one function, and its registration::

    class Params(contract.Params):
        url: str = Field(description="Where to send.")

    def run(params: Params, call: Call) -> Outcome:
        answer = call.http.send("POST", params.url)
        contract.raise_for_status(answer)
        return Succeeded({"status": answer.status})

    handler = Handler(name="example.post", summary="...", params=Params, run=run, example="...")

An attempt ends in one of four ways. It returns `Succeeded`, or `Pending` when the other
side goes on working; it raises `TemporaryError` to be tried again by the retry policy, or
`PermanentError`. Whatever else it raises counts as a bug of the handler: permanent.
"""

from __future__ import annotations

from receiver.contract.annotations import Cel, Filled, Headers, Secret, Sent
from receiver.contract.call import Call, Outcome, Pending, Succeeded
from receiver.contract.durations import Duration
from receiver.contract.handler import (
    PLACEHOLDER,
    Finding,
    Handler,
    Params,
    Rate,
    by_parameters,
    host_of,
    needs,
    wrong_shape,
)
from receiver.contract.http import Http, Stream, StreamHttp, Tls
from receiver.contract.responses import (
    Answer,
    is_temporary,
    object_of,
    raise_for_status,
    retry_after,
)
from receiver.contract.service_limits import (
    ask_each,
    cut,
    cut_bytes,
    in_batches,
    send_each,
    start_each,
)
from receiver.contract.tenant import Tenant
from receiver.contract.watching import NoWatches, Teller, Watch, Watches
from receiver.core.errors import AttemptError, PermanentError, TemporaryError
from receiver.core.model import Json

__all__ = [
    "PLACEHOLDER",
    "Answer",
    "AttemptError",
    "Call",
    "Cel",
    "Duration",
    "Filled",
    "Finding",
    "Handler",
    "Headers",
    "Http",
    "Json",
    "NoWatches",
    "Outcome",
    "Params",
    "Pending",
    "PermanentError",
    "Rate",
    "Secret",
    "Sent",
    "Stream",
    "StreamHttp",
    "Succeeded",
    "Teller",
    "TemporaryError",
    "Tenant",
    "Tls",
    "Watch",
    "Watches",
    "ask_each",
    "by_parameters",
    "cut",
    "cut_bytes",
    "host_of",
    "in_batches",
    "is_temporary",
    "needs",
    "object_of",
    "raise_for_status",
    "retry_after",
    "send_each",
    "start_each",
    "wrong_shape",
]
