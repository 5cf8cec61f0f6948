"""The built-in handlers as the kit is told of them: ``SUBJECTS`` of each handler's own test."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from receiver.testkit import Subject

SUBJECTS: tuple[Subject, ...] = tuple(
    subject
    for path in sorted(Path(__file__).parent.glob("test_*.py"))
    if "SUBJECTS = " in path.read_text()
    for subject in import_module(path.stem).SUBJECTS
)
