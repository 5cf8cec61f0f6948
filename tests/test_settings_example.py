"""The example of the settings is complete and true."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic.alias_generators import to_camel

from receiver.settings.loading import load_settings
from receiver.settings.model import Settings

EXAMPLE = Path(__file__).parents[1] / "config/settings.example.yaml"


def test_the_example_names_every_setting_with_its_default() -> None:
    """Whoever adds a setting documents it there; whoever changes a default does, too."""
    named = re.findall(r"^([a-zA-Z_]+):", EXAMPLE.read_text(), re.MULTILINE)
    assert sorted(named) == sorted(map(to_camel, Settings.model_fields))
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    assert load_settings(EXAMPLE).model_dump() == defaults
