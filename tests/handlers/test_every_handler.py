from __future__ import annotations

import pytest
from subjects import SUBJECTS

from handlers import builtin
from receiver.rules.handlers.registry import Registry
from receiver.testkit import Check, checks

HANDLERS = builtin()


def test_the_folder_is_scanned() -> None:
    """A file in it is a handler, under a name of its own."""
    names = [handler.name for handler in HANDLERS]
    assert {"http.request", "log.message"} <= set(names)
    assert len(set(names)) == len(names)


def test_the_installed_entry_point_finds_the_same() -> None:
    """Built-in handlers come through the public door."""
    registry = Registry.discover()
    found = {one.name for one in registry if str(registry.origin(one.name)) == "built-in"}
    assert found == {one.name for one in HANDLERS}


def test_the_kit_is_told_of_every_handler() -> None:
    """A new one brings `SUBJECTS` in a test of its own; Apprise sends by itself, past the kit."""
    told = {subject.handler.name for subject in SUBJECTS}
    assert {one.name for one in HANDLERS} == told | {"notify.apprise"}


@pytest.mark.parametrize(
    "check", [check for subject in SUBJECTS for check in checks(subject)], ids=str
)
def test_it_keeps_the_contract(check: Check) -> None:
    """As the kit for everybody's handlers checks it."""
    check()
