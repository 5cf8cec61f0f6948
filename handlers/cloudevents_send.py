"""`cloudevents.send`: send a CloudEvent about a sync or a resource over HTTP.

CloudEvents 1.0 with its HTTP binding (https://github.com/cloudevents/spec); the library builds
and writes the event.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field

from receiver.contract import (
    Call,
    Handler,
    Headers,
    Outcome,
    Params,
    PermanentError,
    Sent,
    Succeeded,
    by_parameters,
    host_of,
    raise_for_status,
)


class CloudEventsSend(Params):
    """The event, and where it goes."""

    url: str = Field(description="Address of the receiver, for example a broker.", min_length=1)
    type: str = Field(
        default="io.postsync.resource.synced.v1", description="Type of the event.", min_length=1
    )
    source: str = Field(
        default="/postsync",
        description="Who tells: a URI reference, for example of the Argo CD instance.",
        min_length=1,
    )
    subject: str | None = Field(default=None, description="What it is about.", min_length=1)
    time: AwareDatetime | None = Field(
        default=None,
        description="When it happened, RFC 3339: `${{ sync.finishedAt }}`; by default the time of "
        "the attempt.",
    )
    data: Annotated[dict[str, Any], Sent()] | None = Field(
        default=None,
        description="The event's data: a mapping, or the whole of what it is about: "
        "`${{ resource }}`, `${{ sync }}`.",
    )
    extensions: dict[Annotated[str, Field(pattern=r"^[a-z0-9]{1,20}$")], str] = Field(
        default={}, description="Further attributes, named with lower case letters and digits."
    )
    mode: Literal["binary", "structured"] = Field(
        default="binary",
        description="binary has the attributes in headers, structured in the body.",
    )
    headers: Headers = Field(default={}, description="Headers, for example Authorization.")


def run(params: CloudEventsSend, call: Call) -> Outcome:
    """Send it. Its id is the idempotency key, by which receivers recognise a repetition."""
    from cloudevents.core.bindings.http import to_binary_event, to_structured_event
    from cloudevents.core.exceptions import CloudEventValidationError
    from cloudevents.core.v1.event import CloudEvent

    attributes: dict[str, Any] = {
        **params.extensions,
        "id": call.idempotency_key,
        "source": params.source,
        "type": params.type,
        "specversion": "1.0",
        "time": params.time or call.now,
    }
    if params.subject is not None:
        attributes["subject"] = params.subject
    if params.data is not None:
        attributes["datacontenttype"] = "application/json"
    try:
        event = CloudEvent(attributes, params.data)
    except CloudEventValidationError as error:
        raise PermanentError(f"this is no CloudEvent: {error}") from None
    write = to_binary_event if params.mode == "binary" else to_structured_event
    message = write(event)
    headers = {**message.headers, **call.with_trace(params.headers)}
    answer = call.http.send("POST", params.url, headers=headers, body=message.body)
    raise_for_status(answer, now=call.now)
    return Succeeded({"id": call.idempotency_key, "status": answer.status})


EXAMPLE = """\
url: http://broker-ingress.knative-eventing.svc.cluster.local/shop/default
subject: "${{ resource.kind }}/${{ resource.name }}"
time: "${{ sync.finishedAt }}"
data: {application: "${{ application.name }}", resource: "${{ resource }}"}
"""

handler = Handler(
    name="cloudevents.send",
    summary="Send a CloudEvent over HTTP: to Knative, Argo Events and others.",
    params=CloudEventsSend,
    run=run,
    example=EXAMPLE,
    confine=by_parameters,
    output="`id` of the event and `status`.",
    lane=host_of("url"),
    extra="cloudevents",
    library="cloudevents.core",
    permissions="Whatever the receiving side asks for.",
)
