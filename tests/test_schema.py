"""The JSON Schema and the reference page, both made from the handlers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator
from toy_handlers import toy_registry

from receiver.rules.handlers.json_schema import rules_schema
from receiver.rules.handlers.reference_page import handlers_page
from receiver.rules.handlers.registry import Registry

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted([*ROOT.glob("config/rules/*.yaml"), *ROOT.glob("config/examples/rules/*.yaml")])
INVISIBLE = frozenset(
    {
        "action-name-twice",
        "action-with-dash-field",
        "action-with-dash-misspelt",
        "action-with-dash-unquoted",
        "action-of-later-wave",
        "action-of-same-wave",
        "action-unknown",
        "action-with-many-runs",
        "batch-without-parts",
        "cel-parameter",
        "concurrency-key",
        "condition-in-braces",
        "condition-no-boolean",
        "condition-syntax",
        "condition-type",
        "condition-typo",
        "condition-with-actions",
        "condition-without-resources",
        "debounce-key",
        "duration-too-long",
        "failure-in-actions",
        "field-path",
        "glob-negated",
        "glob-negated-application",
        "glob-negated-label",
        "if-unknown-function",
        "key-is-a-boolean",
        "key-is-a-number",
        "key-twice",
        "labels-never-read",
        "limits-without-resources",
        "max-wait-too-short",
        "merge-key",
        "not-nothing",
        "queue-and-concurrency",
        "resource-in-batch",
        "rule-name-twice",
        "secret-format",
        "secret-in-header",
        "suspend-too-long",
        "secret-path",
        "target-without-resources",
        "throttle-and-debounce",
        "throttle-key",
        "template-empty",
        "template-in-block",
        "template-not-closed",
        "template-typo",
        "two-bodies",
        "until-of-no-application",
        "until-without-key",
        "window-zero",
    }
)
"""Mistakes that only `check` finds: in expressions, between places, in YAML itself."""


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    return Draft7Validator(rules_schema(toy_registry()))


def errors(validator: Draft7Validator, rule: dict[str, Any]) -> list[str]:
    rules = [{"name": "a", "match": {}} | rule]
    return [error.message for error in validator.iter_errors({"version": 1, "rules": rules})]


def test_schema_is_one(validator: Draft7Validator) -> None:
    """The schema itself keeps to its draft."""
    Draft7Validator.check_schema(validator.schema)


@pytest.mark.parametrize(
    "parameters",
    [
        {"url": "http://x"},
        {"url": {"env": "POSTSYNC_SECRET_URL", "format": "https://{}/"}},
        {"url": "${{ sync.id }}", "expect": "${{ [200] }}", "method": "${{ 'GET' }}"},
        {"url": "x", "expect": [200, "${{ 201 }}"], "headers": {"a": {"file": "token"}}},
        {"url": "x", "poll": {"url": "x", "until": "answer.ok"}},
        {"url": "x", "token": {"env": "POSTSYNC_SECRET_X"}, "tags": "${{ [] }}"},
        {"url": "x", "poll": "${{ {'url': 'x', 'until': 'true'} }}", "json": {"a": [1]}},
    ],
)
def test_parameters(parameters: dict[str, Any], validator: Draft7Validator) -> None:
    """Nearly every parameter takes its type or an expression, and every string a secret."""
    assert errors(validator, {"actions": [{"uses": "toy.post", "with": parameters}]}) == []


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"text": "of another handler"},
        {"url": 1},
        {"url": {"env": "HOME"}},
        {"url": "x", "expect": ["ok"]},
        {"url": "x", "method": "POTS"},
        {"url": "x", "poll": {"url": "x"}},
        {"url": "x", "token": "abc"},
        {"url": "x", "token": "${{ sync.id }}"},
        {"url": "x", "tags": []},
    ],
)
def test_wrong_parameters(parameters: dict[str, Any], validator: Draft7Validator) -> None:
    """`uses` decides which parameters are right."""
    assert errors(validator, {"actions": [{"uses": "toy.post", "with": parameters}]})


@pytest.mark.parametrize(
    "file", sorted((ROOT / "tests/data/rules/broken").glob("*.yaml")), ids=lambda file: file.stem
)
def test_mistakes(file: Path, validator: Draft7Validator) -> None:
    """An editor shows each mistake that a schema can show."""
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError):
        return
    assert validator.is_valid(data) == (file.stem in INVISIBLE)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_examples(file: Path) -> None:
    """The examples that we ship are valid by the schema that we ship."""
    validator = Draft7Validator(rules_schema(Registry.discover()))
    assert list(validator.iter_errors(yaml.safe_load(file.read_text()))) == []
    assert "# yaml-language-server: $schema=" in file.read_text()


def test_durations_are_shown_as_written() -> None:
    """Defaults of durations are texts, as in the file."""
    retry = rules_schema(toy_registry())["$defs"]["Retry"]["properties"]
    assert (retry["for"]["default"], retry["maxDelay"]["default"]) == ("1h", "5m")


def test_page() -> None:
    """The reference page has a section for each handler with all its parameters."""
    page = handlers_page(toy_registry())
    assert page.count("\n## ") == 2
    assert "| `method` | `GET`, `POST`, `PUT` | `POST` | The verb. |" in page
    assert "| `poll.until` | string | required | CEL over the answer. |" in page
    assert "| `token` | reference to a secret |  | A token. |" in page
    assert "  url: http://127.0.0.1/\n" in page
