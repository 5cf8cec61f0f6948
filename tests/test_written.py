"""Where a secret belongs, only a reference is taken, and no message shows what stands there."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import Field

from receiver.contract import (
    Call,
    Filled,
    Handler,
    Headers,
    Outcome,
    Params,
    Secret,
    Sent,
    Succeeded,
)
from receiver.core.credential_names import HEADERS
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.json_schema import rules_schema
from receiver.rules.handlers.registry import Registry
from receiver.rules.handlers.unrendered_checks import check_written

REF = {"env": "POSTSYNC_SECRET_X"}
REFERENCE = "must be a reference to a secret (write {env: POSTSYNC_SECRET_NAME} or {file: NAME}"
AROUND = ', with format: "Bearer {}" for text around it'


class Login(Params):
    """Who asks."""

    user: str = Field(default="", description="Its name.")
    password: Secret = Field(description="Its password.", min_length=1)


class Region(Params):
    """Where."""

    login: Login | None = Field(default=None, description="Who asks there.")
    next: Region | None = Field(default=None, description="The one after it.")


class Ask(Params):
    """A secret wherever one can be."""

    needed: Secret = Field(default="", description="One that must be there.")
    maybe: Secret | None = Field(default=None, description="One that need not.")
    either: Secret | Login | int = Field(default=0, description="One of several.")
    several: tuple[Secret, ...] = Field(default=(), description="Some.")
    named: dict[str, Secret] = Field(default={}, description="Some, by name.")
    login: Login | None = Field(default=None, description="With one inside.")
    logins: list[Login] = Field(default=[], description="Each with one inside.")
    region: Region | None = Field(default=None, description="With one deep inside.")
    headers: Headers = Field(default={}, description="Headers.")
    tags: Annotated[tuple[str, ...], Filled()] = Field(default=("a",), description="Not none.")
    body: Annotated[Any, Sent()] = Field(default=None, description="What is sent.")
    inputs: Annotated[dict[str, str], Sent()] | None = Field(default=None, description="Likewise.")


def _run(_params: Ask, _call: Call) -> Outcome:
    return Succeeded()


ASK = Handler("toy.ask", "Asks.", Ask, _run, example="{}\n")


def found(tree: dict[str, Any]) -> list[str]:
    mistakes = Registry([ASK]).check_parameters(ASK, tree, Expressions())
    return [str(mistake) for mistake in mistakes]


@pytest.mark.parametrize(
    "tree",
    [
        {},
        {"needed": REF, "maybe": {"file": "a"}, "either": REF},
        {"needed": REF | {"format": "Bearer {}"}, "maybe": None},
        {"either": 7},
        {"either": {"user": "a", "password": REF}},
        {"several": [REF, {"file": "a"}], "named": {"a": REF}},
        {"login": {"password": REF}, "logins": [{"user": "${{ 'a' }}", "password": REF}]},
        {"login": None, "region": {"next": {"login": {"password": REF}}}},
        {"headers": {"Authorization": REF, "X-Request-Id": "a", "Idempotency-Key": "b"}},
        {"headers": "${{ {'X-Team': 'shop'} }}", "tags": "${{ [] }}"},
        {"body": {"password": REF, "list": [{"apiKey": REF | {"format": "k-{}"}}]}, "inputs": {}},
        {"body": {"token": "${{ sync.id }}", "password": None, "secret": "", "dryRun": True}},
        {"body": {"tokens": 4, "pageToken": "a", "secretName": "b", "key": "c", "token": True}},
        {"body": {"password": {"policy": "strict"}, "authorization": ["a"]}},
        {"body": "password: hunter2", "inputs": {"token": REF}},
    ],
)
def test_references_are_taken_everywhere(tree: dict[str, Any]) -> None:
    """A reference stands for any secret; what is no secret is as free as ever."""
    assert found(tree) == []


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"needed": "hunter2"}, "needed"),
        ({"needed": ""}, "needed"),
        ({"needed": None}, "needed"),
        ({"needed": "${{ 'hunter2' }}"}, "needed"),
        ({"needed": "hunter2${{ '' }}"}, "needed"),
        ({"needed": {"hunter2": None}}, "needed"),
        ({"needed": REF | {"value": "hunter2"}}, "needed"),
        ({"maybe": "hunter2"}, "maybe"),
        ({"maybe": 4711}, "maybe"),
        ({"maybe": ["hunter2"]}, "maybe"),
        ({"either": "hunter2"}, "either"),
        ({"either": {"password": "hunter2"}}, "either.password"),
        ({"several": [REF, "hunter2"]}, "several[1]"),
        ({"named": {"a": "hunter2"}}, "named.a"),
        ({"login": {"password": "hunter2"}}, "login.password"),
        ({"logins": [{"password": REF}, {"password": "hunter2"}]}, "logins[1].password"),
        ({"region": {"next": {"login": {"password": "hunter2"}}}}, "region.next.login.password"),
    ],
)
def test_anything_else_is_refused_with_the_reference_to_write(
    tree: dict[str, Any], place: str
) -> None:
    """Once, at its place, in the same words whatever stands there: that may be the secret."""
    assert found(tree) == [f"{place}: {REFERENCE})"]


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"body": {"password": "hunter2"}}, "body.password"),
        ({"body": [{"a": {"clientSecret": "hunter2"}}]}, "body[0].a.clientSecret"),
        ({"body": {"api_key": 4711}}, "body.api_key"),
        ({"body": {"DB_PASSWORD": "hunter2"}}, "body.DB_PASSWORD"),
        ({"body": {"Authorization": "Bearer hunter2"}}, "body.Authorization"),
        ({"body": {"access-token": "hunter2"}}, "body.access-token"),
        ({"inputs": {"token": "hunter2"}}, "inputs.token"),
    ],
)
def test_a_literal_under_the_name_of_a_credential_is_refused_in_what_is_sent(
    tree: dict[str, Any], place: str
) -> None:
    """At any depth; the way out is a reference there, or an expression for what is no secret."""
    other = "; what is no secret can be written as an expression: ${{ '...' }}"
    assert found(tree) == [f"{place}: {REFERENCE}{AROUND}{other})"]


@pytest.mark.parametrize("place", ["login", "logins", "region", "several", "named"])
def test_no_expression_makes_what_has_a_secret_in_it(place: str) -> None:
    """It could only be a literal there: an expression cannot make a reference."""
    assert found({place: "${{ {'password': 'hunter2'} }}"}) == [
        (
            f"{place}: cannot be an expression: it has a secret (write it out, with "
            "{env: POSTSYNC_SECRET_NAME} or {file: NAME} for the secret)"
        )
    ]


@pytest.mark.parametrize("name", ["Authorization", "COOKIE", "x-api-key", "PRIVATE-TOKEN"])
@pytest.mark.parametrize("value", ["Bearer hunter2", "Bearer ${{ 'hunter2' }}", "", 4711])
def test_a_header_that_carries_a_credential_takes_a_reference(name: str, value: object) -> None:
    """Its name is read as HTTP reads it; text around the secret is `format`."""
    assert found({"headers": {name: value}}) == [f"headers.{name}: {REFERENCE}{AROUND})"]


def test_the_names_of_credentials_are_read_without_case() -> None:
    """The list has lower case alone, or a name in it would be passed over."""
    assert {name.lower() for name in HEADERS} == HEADERS


@pytest.mark.parametrize(
    "address", ["https://ci:hunter2@ci.example/x", "http://:hunter2@[::1]/", "https://a:b@c"]
)
def test_an_address_with_a_password_in_it_is_refused(address: str) -> None:
    """In whatever parameter it is; the way out is text around the reference."""
    for tree in ({"tags": [address]}, {"headers": {"Referer": address}}, {"body": [address]}):
        (line,) = found(tree)
        assert line.endswith(
            ': has a password in it (write {env: POSTSYNC_SECRET_NAME, format: "https://user:{}@host/"}'
            ", or with file: NAME)"
        )
        assert "hunter2" not in line


@pytest.mark.parametrize(
    "text",
    [
        "https://ci.example:8443/a@b", "https://ci@ci.example/", "https://ci.example/?at=a:b@c",
        "http://ci:$(PASSWORD)@proxy:3128", "https://ci:${{ 'x' }}@ci.example/", "see a:b@c",
    ],
)  # fmt: skip
def test_an_address_without_one_is_as_free_as_ever(text: str) -> None:
    """A port, a user alone, a query, and what is put in elsewhere are no passwords."""
    assert found({"tags": [text]}) == []


def test_a_list_that_is_written_empty_is_refused() -> None:
    """Nothing would ever be done, which nobody means."""
    assert found({"tags": []}) == ["tags: must not be empty (leave it out, or name what is meant)"]


def test_no_mistake_of_a_reference_shows_its_name() -> None:
    """The secret itself may stand where the name of the variable belongs."""
    for value in ({"env": "hunter2"}, {"file": "/hunter2"}, REF | {"format": "hunter2"}):
        (line,) = found({"needed": value})
        assert "hunter2" not in line


def test_what_is_no_mapping_has_no_secret() -> None:
    """The shape of it is for the model to judge."""
    assert list(check_written(Ask, ["hunter2"])) == []
    assert found({"login": "a"}) == ["login: must be a mapping"]


def test_an_editor_is_offered_a_reference_and_nothing_else() -> None:
    """Also in a list, in a mapping and in a nested model."""
    definitions = rules_schema(Registry([ASK]))["$defs"]
    fields, secret = definitions["toy.ask"]["properties"], [{"$ref": "#/$defs/secret"}]
    assert fields["needed"]["anyOf"] == fields["maybe"]["anyOf"] == secret
    assert fields["several"]["anyOf"][0]["items"]["anyOf"] == secret
    assert fields["named"]["anyOf"][0]["additionalProperties"]["anyOf"] == secret
    assert definitions["toy.ask.Login"]["properties"]["password"]["anyOf"] == secret
    assert fields["tags"]["anyOf"][0]["minItems"] == 1
