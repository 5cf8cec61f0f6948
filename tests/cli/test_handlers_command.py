"""postsync handlers."""

from __future__ import annotations

import json

from click.testing import CliRunner

from handlers import builtin
from receiver.cli.handlers import handlers
from receiver.core.errors import PostsyncError


def test_list() -> None:
    """Every handler has a line with its name and summary."""
    answer = CliRunner().invoke(handlers)
    assert answer.exit_code == 0
    named = [line.split()[0] for line in answer.stdout.splitlines()]
    assert named == sorted(handler.name for handler in builtin())
    assert {"http.request", "log.message", "slack.message"} <= set(named)


def test_one() -> None:
    """One handler is told with its parameters and its example."""
    answer = CliRunner().invoke(handlers, ["http.request"])
    assert "\nFrom: built-in.\n" in answer.stdout
    assert "\nParameters:\n" in answer.stdout
    assert "\n  url  string, required\n" in answer.stdout
    assert "\nOutput: " in answer.stdout
    assert "\n    - uses: http.request\n      target: application\n" in answer.stdout


def test_json() -> None:
    """The same as JSON, for other programs."""
    pages = json.loads(CliRunner().invoke(handlers, ["--output", "json"]).stdout)
    one = json.loads(CliRunner().invoke(handlers, ["--output", "json", "http.request"]).stdout)
    assert one in pages
    assert one["parameters"][0].keys() == {"name", "type", "required", "default", "description"}


def test_unknown() -> None:
    """A name that is not there comes with the nearest one."""
    answer = CliRunner().invoke(handlers, ["http.reqest"])
    assert isinstance(answer.exception, PostsyncError)
    assert str(answer.exception) == "there is no handler http.reqest (did you mean http.request?)"
