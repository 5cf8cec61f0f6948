"""What a sender is told whose notification cannot be understood."""

from __future__ import annotations

import json
from typing import Any

import pytest

from receiver.core.errors import PayloadError
from receiver.notification.parse import read_notification

COMMIT = "9f1c2ab4d0e85c7731b6a2f4e9d80c3b5a6f7e12"
FINISHED = {"phase": "Succeeded", "finishedAt": "2026-06-10T08:21:17Z"}


def refused(body: Any, channel: str = "sync", **query: str) -> PayloadError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with pytest.raises(PayloadError) as caught:
        read_notification(raw, sender="argocd", channel=channel, query=query)
    return caught.value


@pytest.mark.parametrize("body", [b"", b" \n"])
def test_an_empty_body_is_refused(body: bytes) -> None:
    """A template without a body for this webhook sends nothing."""
    error = refused(body)
    assert error.reason == "empty"
    assert "template" in error.hint


@pytest.mark.parametrize(
    ("body", "line", "column", "excerpt", "hint"),
    [
        (b'{"name": shop}', 1, 10, '{"name": shop}', ""),
        (b'{\n "a": 1,\n "name": shop\n}', 3, 10, '"name": shop', ""),
        (b'{"name": ""shop""}', 1, 12, '""shop""', "stands in quotes of its own"),
        (b'{"labels": "{"a":"b"}"}', 1, 15, '"{"a":"b"}"', "stands in quotes of its own"),
        (b'{"message": "say "hi""}', 1, 19, '"say "hi""', ""),
        (b'{"message": "one\ntwo"}', 1, 17, '"one\ntwo"', "line break"),
        (b'{"uid": <no value>}', 1, 9, "<no value>", "does not have"),
        (b'{"labels": map[a:b]}', 1, 12, "map[a:b]", "printed without toJson"),
        (b'{"labels": {{toJson .a}}}', 1, 13, "{{toJson .a}}", ""),
        (b'{"resources": [', 1, 15, '{"resources": [', ""),
        (b'{"a": 1} {"b": 2}', 1, 10, '{"a": 1} {"b": 2}', ""),
        (b'{"name": "\xff"}', 1, 11, '{"name": "�"}', ""),
        (b'{"name": "\x00"}', 1, 11, '"\x00"', ""),
        (b'\xef\xbb\xbf{"name": shop}', 1, 10, '{"name": shop}', ""),
        (b"plain text", 1, 1, "plain text", ""),
    ],
)
def test_broken_json_shows_the_place_and_names_to_json(
    body: bytes, line: int, column: int, excerpt: str, hint: str
) -> None:
    """Whatever a template did to break the JSON, the answer shows where and what to write."""
    error = refused(body)
    assert error.reason == "not_json"
    assert (error.details["line"], error.details["column"]) == (line, column)
    assert excerpt in error.details["excerpt"]
    assert hint in error.hint
    assert "{{toJson" in error.hint
    assert f"line {line}, column {column}" in error.message


@pytest.mark.parametrize(
    "body",
    [
        b'{"password": "hunter2-a", "m": ""v"}',
        b'{"password": ""hunter2-a"", "m": 1}',
        b'{"values": "password: hunter2-a\nb: 1", "m": 1}',
        b'{"password": "' + b"x" * 500 + b'hunter2", "m": ""v"}',
    ],
)
def test_the_excerpt_has_no_credential(body: bytes) -> None:
    """It is stored as the reason, logged and answered."""
    error = refused(body)
    assert "hunter2" not in f"{error} {error.details}"
    assert "[secret]" in error.message


def test_the_excerpt_is_short() -> None:
    """Only the surroundings of the place are shown, not the whole body."""
    error = refused(b'{"a": "' + b"x" * 10_000 + b'", oops, "b": "' + b"y" * 10_000 + b'"}')
    assert "oops" in error.details["excerpt"]
    assert len(error.details["excerpt"]) <= 80


@pytest.mark.parametrize(
    "body",
    [b"[" * 100_000, b'{"a":' * 5_000, b"9" * 5_000, b'{"retryCount": -' + b"9" * 5_000 + b"}"],
)
def test_what_no_parser_should_follow_is_refused(body: bytes) -> None:
    """Deep nesting and numbers of thousands of digits end in a plain refusal."""
    assert refused(body).reason == "not_json"


def test_json_in_a_json_string_gets_a_hint() -> None:
    """A body that went through toJson twice is told so."""
    error = refused(json.dumps({"app": {}}))
    assert error.reason == "double_encoded"
    assert "toJson twice" in error.hint


@pytest.mark.parametrize(
    "body",
    [
        {"application": "shop", "operationState": json.dumps(FINISHED)},
        {"app": json.dumps({"metadata": {"name": "shop"}})},
    ],
)
def test_json_in_a_field_gets_a_hint(body: dict[str, Any]) -> None:
    """The same one level deeper."""
    error = refused(body)
    assert error.reason == "unknown_shape"
    assert "a value is a string that contains JSON" in error.hint
    assert "toJson" in error.hint


def test_json_in_a_leaf_gets_a_hint() -> None:
    """And the same for a field of a body whose shape is known."""
    error = refused({"application": "shop", "operationState": FINISHED | {"syncResult": "{}"}})
    assert error.message == "operationState.syncResult: should be an object"
    assert "toJson" in error.hint


@pytest.mark.parametrize("body", [{}, {"alerts": []}, 7, None, "text", True])
def test_a_foreign_body_is_told_every_shape_and_what_it_lacks(body: object) -> None:
    """The answer names the five shapes that were looked for."""
    error = refused(body)
    assert error.reason == "unknown_shape"
    assert error.details["shapes"] == {
        "template": "lacks application.name, operationState",
        "app": "lacks app.metadata.name, app.status.operationState",
        "application": "lacks metadata.name, status.operationState",
        "operationState": "lacks operationState, the application's name beside it",
        "resources": "lacks a list of resources, application in the query, phase in the query",
    }
    assert all(shape in error.message for shape in error.details["shapes"])
    assert "postsync argocd-config" in error.hint


@pytest.mark.parametrize(
    ("body", "query", "shape", "lack"),
    [
        ([], {}, "resources", "lacks application in the query, phase in the query"),
        ([], {"phase": "Failed"}, "resources", "lacks application in the query"),
        ({"operationState": FINISHED}, {}, "template", "lacks application.name"),
        (
            {"operationState": FINISHED},
            {},
            "operationState",
            "lacks the application's name beside it",
        ),
        ({"application": {"name": "shop"}}, {}, "template", "lacks operationState"),
        ({"app": {"metadata": {"name": "s"}}}, {}, "app", "lacks app.status.operationState"),
        ({"metadata": {"name": "shop"}}, {}, "application", "lacks status.operationState"),
        ({"app": {"metadata": {}}}, {}, "app", "lacks app.metadata.name, "),
        ({"kind": "Pod", "metadata": {"name": "s"}}, {}, "app", "lacks app.metadata.name, "),
    ],
)
def test_a_shape_that_is_nearly_there_is_told_what_it_lacks(
    body: object, query: dict[str, str], shape: str, lack: str
) -> None:
    """Only what is missing is listed, so that the one mistake stands out."""
    assert refused(body, **query).details["shapes"][shape].startswith(lack)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"phase": "Running"}, "its phase is 'Running'"),
        ({"phase": "Terminating"}, "its phase is 'Terminating'"),
    ],
)
def test_the_channel_sync_takes_finished_operations_only(
    state: dict[str, Any], message: str
) -> None:
    """An operation under way has no result yet; the trigger has to wait for it."""
    error = refused({"application": "shop", "operationState": FINISHED | state})
    assert error.reason == "not_finished"
    assert message in error.message
    assert "the trigger" in error.hint


@pytest.mark.parametrize("empty", [None, "<no value>", ""])
@pytest.mark.parametrize("field", ["finishedAt", "phase"])
def test_a_field_that_is_missing_is_named_with_what_to_write(field: str, empty: Any) -> None:
    """The trigger is right, the template lacks a line: the hint has it."""
    state = FINISHED | {field: empty}
    for body in (
        {"application": "shop", "operationState": state},
        {"app": {"metadata": {"name": "shop"}, "status": {"operationState": state}}},
    ):
        error = refused(body)
        assert error.reason == "not_finished"
        assert f"its {field} is missing" in error.message
        assert f'"{field}": {{{{toJson .app.status.operationState.{field}}}}}' in error.hint
        assert "trigger" not in error.hint


@pytest.mark.parametrize(
    ("body", "key"),
    [
        ({"application": "shop", "resources": [], "status": "Succeeded"}, "`status`"),
        ({"application": "shop", "resources": [], "sync": {"state": "Error"}}, "`sync.state`"),
        (
            {"application": "shop", "operationState": {"syncPhase": "Failed"}},
            "`operationState.syncPhase`",
        ),
        ({"application": "shop", "operation": {"phase": "Succeeded"}}, "`operation.phase`"),
        (
            {"app": {"metadata": {"name": "shop"}, "status": {"phase": "Succeeded"}}},
            "`app.status.phase`",
        ),
    ],
)
def test_a_phase_under_another_key_is_named(body: dict[str, Any], key: str) -> None:
    """Whoever sends it has only called it something else."""
    assert key in refused(body).hint


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        ({"name": COMMIT, "application": ["web"], "subsystem": ["shop"]}, "`application` is a li"),
        ({"name": "argocd-degraded"}, "`name` could be the name of anything"),
        ({"name": COMMIT, "operationState": FINISHED}, "`name` could be the name of anything"),
        ({"name": "check", "app": 7, "resources": [], "phase": "Failed"}, "`app` is a number"),
    ],
)
@pytest.mark.parametrize("channel", ["sync", "degraded"])
def test_a_name_that_may_be_anything_s_names_no_application(
    body: dict[str, Any], hint: str, channel: str
) -> None:
    """A commit's or a check's: an Application of that name would be an invention."""
    error = refused(body, channel)
    assert error.reason == "unknown_shape"
    assert hint in error.hint
    assert "{{toJson .app.metadata.name}}" in error.hint
    told = read_notification(
        json.dumps(body | {"phase": "Failed"}).encode(), sender="argocd", channel="degraded",
        query={"application": "shop"},
    )  # fmt: skip
    assert told.sync.application.name == "shop"


def test_the_phase_in_the_query_must_be_one_of_argo_cds() -> None:
    """A phase in other letters would match no rule, so it is refused at once."""
    error = refused([], application="shop", phase="succeeded")
    assert error.reason == "not_finished"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"retryCount": "x"}, "operationState.retryCount"),
        ({"retryCount": -1}, "operationState.retryCount"),
        ({"retryCount": 1 << 40}, "operationState.retryCount"),
        ({"startedAt": "yesterday"}, "operationState.startedAt"),
        ({"finishedAt": "0001-01-01T00:00:00+05:00"}, "operationState.finishedAt"),
        ({"operation": {"sync": {"dryRun": "perhaps"}}}, "operationState.operation.sync.dryRun"),
        ({"syncResult": []}, "operationState.syncResult"),
        ({"syncResult": {"resources": {}}}, "operationState.syncResult.resources"),
        (
            {"syncResult": {"resources": [{"kind": "Service"}]}},
            "operationState.syncResult.resources.0.name",
        ),
        (
            {"syncResult": {"resources": [{"kind": "A", "name": "a", "images": "x"}]}},
            "operationState.syncResult.resources.0.images",
        ),
    ],
)
def test_a_wrongly_typed_field_is_named_by_its_path(body: dict[str, Any], path: str) -> None:
    """The path is the one that the sender wrote, whichever shape it is in."""
    state = FINISHED | body
    error = refused({"application": "shop", "operationState": state})
    assert error.reason == "wrong_type"
    assert path in error.details["fields"]
    assert error.message.startswith(f"{path}: ")
    whole = {"app": {"metadata": {"name": "shop"}, "status": {"operationState": state}}}
    assert path in refused(whole).message


def test_the_list_of_resources_names_its_entries() -> None:
    """An entry without a kind cannot be matched."""
    error = refused([{"name": "shop"}], application="shop", phase="Succeeded")
    assert error.message == "resources.0.kind: Field required"


def test_many_mistakes_are_listed_in_part() -> None:
    """An answer stays readable, as Argo CD's controller logs it whole."""
    error = refused([{}] * 1000, application="shop", phase="Succeeded")
    assert len(error.details["fields"]) == 10


@pytest.mark.parametrize("name", ["<no value> or", "Shop!", "a b", "x" * 254, "a\nb", "-a"])
def test_a_name_that_kubernetes_would_not_take_is_refused(name: str) -> None:
    """Most often it is a template that printed something else."""
    error = refused({"application": {"name": name}, "operationState": FINISHED})
    assert error.reason == "bad_name"
    assert "toJson" in error.hint


@pytest.mark.parametrize(
    ("field", "application"),
    [
        ("project", {"project": "x" * 501}),
        ("destination.namespace", {"destination": {"namespace": "x" * 501}}),
    ],
)
def test_a_text_that_is_too_long_to_be_a_name_is_refused(
    field: str, application: dict[str, Any]
) -> None:
    """Argo CD takes any; one of twice the length that Kubernetes allows is let in."""
    error = refused({"application": {"name": "shop", **application}, "operationState": FINISHED})
    assert error.reason == "bad_name"
    assert error.message == (
        f"the application's {field} {'x' * 80!r} has 501 characters, more than 500"
    )
    assert "253" in error.hint


def test_so_is_one_in_the_query_or_in_a_whole_application() -> None:
    """Wherever it stands, it is the same field."""
    long = "x" * 501
    assert refused([], application="shop", phase="Succeeded", project=long).reason == "bad_name"
    spec = {"project": "web", "destination": {"namespace": long}}
    whole = {"metadata": {"name": "shop"}, "spec": spec, "status": {"operationState": FINISHED}}
    assert "destination.namespace" in refused({"app": whole}).message
