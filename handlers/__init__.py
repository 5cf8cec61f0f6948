"""The built-in handlers, each for one kind of action."""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from importlib import import_module
from types import ModuleType
from typing import Any

from receiver.contract import Handler


def builtin() -> list[Handler[Any]]:
    """Return the handlers: ``handler`` of each file, ``handlers`` of a folder that has several."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [one for name in names for one in _registered(import_module(f"{__name__}.{name}"))]


def _registered(module: ModuleType) -> Sequence[Handler[Any]]:
    several: Sequence[Handler[Any]] | None = getattr(module, "handlers", None)
    return [module.handler] if several is None else several
