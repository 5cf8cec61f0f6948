"""The rule files that we ship."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from receiver.expressions import Expressions
from receiver.registry import Registry
from receiver.rulebook import load_rules

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("folder", ["config/rules", "config/examples/rules"])
def test_check(folder: str) -> None:
    """Every rule that we ship passes `check`."""
    assert load_rules([ROOT / folder], Registry.discover(), Expressions()).rules


WORDS_OF_PLANS = re.findall(
    r"```yaml\n(.*?)```",
    (ROOT / "docs/rules.md").read_text().split("\n## Plans\n")[1].split("\n## ")[0],
    re.DOTALL,
)


@pytest.mark.parametrize("words", WORDS_OF_PLANS, ids=lambda words: words.split(":")[0])
def test_what_the_page_says_of_plans_passes_check(words: str, tmp_path: Path) -> None:
    """Each example of the page is a part of a rule that can be used as it stands."""
    actions = "" if "actions:" in words else "actions: [{uses: log.message, with: {text: x}}]\n"
    body = f"name: a\nmatch: {{resources: [{{kind: ConfigMap}}]}}\n{actions}{words}"
    rule = "- " + textwrap.indent(body, "  ").strip()
    (tmp_path / "rules.yaml").write_text(f"version: 1\nrules:\n{rule}\n")
    assert load_rules([tmp_path], Registry.discover(), Expressions()).rules


def test_first_steps_need_no_network() -> None:
    """What runs out of the box only writes to the log."""
    rules = load_rules([ROOT / "config/rules"], Registry.discover(), Expressions()).rules
    assert {action.uses for rule in rules for action in rule.actions} == {"log.message"}
