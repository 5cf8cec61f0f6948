"""References to secrets."""

from __future__ import annotations

from typing import Any

import pytest

from receiver.core.errors import PermanentError
from receiver.rules.handlers.secret_refs import SecretRef, check_secrets, put_values, split_secrets


def test_split() -> None:
    """References are taken out of the tree and listed by JSON pointer."""
    tree = {
        "url": {"env": "POSTSYNC_SECRET_URL"},
        "headers": [{"a/b~": {"file": "ca/token", "format": "Bearer {}"}}],
        "env": "plain",
        "map": {"env": {"env": "POSTSYNC_SECRET_X"}, "other": 1},
    }
    rest, found = split_secrets(tree)
    assert rest == {
        "url": None,
        "headers": [{"a/b~": None}],
        "env": "plain",
        "map": {"env": None, "other": 1},
    }
    assert found == {
        "/url": SecretRef("env", "POSTSYNC_SECRET_URL"),
        "/headers/0/a~1b~0": SecretRef("file", "ca/token", "Bearer {}"),
        "/map/env": SecretRef("env", "POSTSYNC_SECRET_X"),
    }


def test_root_is_no_reference() -> None:
    """Parameters of a handler may be called env or file."""
    assert split_secrets({"file": "a.txt"}) == ({"file": "a.txt"}, {})


def test_put_values() -> None:
    """Values come back to where the references stood, and the stored tree stays as it was."""
    tree: dict[str, Any] = {"a": [1, {"x/y": None}], "b": None}
    assert put_values(tree, {"/a/1/x~1y": "s", "/b": "t"}) == {"a": [1, {"x/y": "s"}], "b": "t"}
    assert tree == {"a": [1, {"x/y": None}], "b": None}


def test_format() -> None:
    """A secret is put in the one place of its format, whatever it contains itself."""
    assert SecretRef("env", "POSTSYNC_SECRET_A", "Bearer {}").apply("{}") == "Bearer {}"
    assert SecretRef("env", "POSTSYNC_SECRET_A").apply("a{0}") == "a{0}"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"env": "POSTSYNC_SECRET_lower"}, "a.env: only variables POSTSYNC_SECRET_* can be named"),
        ({"env": "POSTSYNC_SECRET_A\n"}, "a.env: only variables POSTSYNC_SECRET_* can be named"),
        ({"env": "${{ sync.id }}"}, "a.env: only variables POSTSYNC_SECRET_* can be named"),
        ({"file": "../token"}, "a.file: must be a name below the secrets folder"),
        ({"file": "/etc/passwd"}, "a.file: must be a name below the secrets folder"),
        ({"file": "a/../b"}, "a.file: must be a name below the secrets folder"),
        ({"file": "a//b"}, "a.file: must be a name below the secrets folder"),
        ({"file": ""}, "a.file: must be a name below the secrets folder"),
        ({"file": 1}, "a.file: must be a name below the secrets folder"),
        ({"env": "POSTSYNC_SECRET_A", "format": "{} {}"}, "a.format: must have {} exactly once"),
        ({"env": "POSTSYNC_SECRET_A", "format": 1}, "a.format: must have {} exactly once"),
        (
            {"env": "POSTSYNC_SECRET_A", "file": "a"},
            "a: a secret is in one place, not in",
        ),
    ],
)
def test_refusal(value: dict[str, Any], message: str) -> None:
    """Only variables and files that are meant as secrets can be named."""
    (mistake,) = check_secrets({"a": value})
    assert str(mistake).startswith(message)
    with pytest.raises(PermanentError) as caught:
        split_secrets({"a": value})
    assert str(caught.value).startswith(message)


def test_refusal_shows_the_way_out() -> None:
    """A mapping that was meant literally can be written as an expression.

    What stands there is not told: it may be the secret itself, in the place of its name.
    """
    (mistake,) = check_secrets({"a": {"env": "PRODUCTION"}})
    assert mistake.hint == "if no secret is meant, write ${{ {'env': '...'} }}"


def test_format_alone_is_no_reference() -> None:
    """A mapping is a reference only if it names an env or a file, and nothing else."""
    tree = {"a": {"format": "x"}, "b": {"env": "A", "image": "x"}}
    assert check_secrets(tree) == []
