"""A dry run tells what is wrong, and no secret, whatever the handler does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from receiver.contract import Call, Finding, Handler, Outcome, Params, PermanentError, Secret
from receiver.contract import Succeeded as Done
from receiver.inspection.dry_run import DryRun
from receiver.outbound import Outbound
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import load_rules
from receiver.settings.secrets import Secrets

SECRET = "hush-hush-1/2+3"
RULES = """\
version: 1
rules:
- name: it
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - uses: toy.try
    with: {key: {file: key, format: "Bearer {}"}}
"""


class Keyed(Params):
    """A key."""

    key: Secret


def _found(params: Keyed, _call: Call) -> Sequence[Finding]:
    return [Finding(("key", params.key), f"{params.key!r} is wrong", f"not {params.key}")]


def _refused(params: Keyed, _call: Call) -> Sequence[Finding]:
    raise PermanentError(f"refused {params.key}", hint=params.key[7:])


def _broken(params: Keyed, _call: Call) -> Sequence[Finding]:
    raise KeyError(params.key)


def _run(_params: Keyed, _call: Call) -> Outcome:
    return Done()


@pytest.mark.parametrize(
    ("dry_run", "told"),
    [
        (_found, "'[secret]' is wrong (not [secret])"),
        (_refused, "refused [secret] ([secret])"),
        (_broken, "handler toy.try broke off with KeyError"),
    ],
)
def test_nothing_that_it_tells_has_a_secret(
    tmp_path: Path, dry_run: Callable[[Keyed, Call], Sequence[Finding]], told: str
) -> None:
    """A finding, a refusal, and a bug of the handler, of which no traceback is shown."""
    (tmp_path / "key").write_text(SECRET)
    (tmp_path / "rules.yaml").write_text(RULES)
    handler = Handler("toy.try", "Tries.", Keyed, _run, example="{}", dry_run=dry_run)
    registry, expressions = Registry([handler]), Expressions()
    found = load_rules([tmp_path / "rules.yaml"], registry, expressions)
    with closing(Outbound()) as outbound:
        result = DryRun(registry, expressions, Secrets(tmp_path), outbound).run(found)
    (problem,) = result.problems
    assert str(problem).endswith(told)
    assert "hush" not in str(problem)
