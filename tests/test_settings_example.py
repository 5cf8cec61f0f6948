"""The example of the settings is complete and true."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from pydantic.alias_generators import to_camel

from receiver.settings.loading import load_settings
from receiver.settings.model import Settings

EXAMPLE = Path(__file__).parents[1] / "config/settings.example.yaml"


def test_the_example_names_every_setting_with_its_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever adds a setting documents it there; whoever changes a default does, too."""
    named = re.findall(r"^([a-zA-Z_]+):", EXAMPLE.read_text(), re.MULTILINE)
    assert sorted(named) == sorted(map(to_camel, Settings.model_fields))
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    monkeypatch.chdir(tmp_path)  # its relative paths are those of its folder
    shutil.copy(EXAMPLE, "settings.yaml")
    assert load_settings(Path("settings.yaml")).model_dump() == defaults
