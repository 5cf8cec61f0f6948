"""docs/security.md keeps its word where a test of its own does not already."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from receiver.rules.schema.match import Match
from receiver.settings.loading import load_settings

PAGE = (Path(__file__).parents[1] / "docs/security.md").read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_its_examples_are_valid(block: str, tmp_path: Path) -> None:
    """Each is a file of settings, or a rule's match."""
    tree = yaml.safe_load(block)
    if "match" in tree:
        Match.model_validate(tree["match"])
        return
    (tmp_path / "settings.yaml").write_text(block)
    assert load_settings(tmp_path / "settings.yaml").model_fields_set
