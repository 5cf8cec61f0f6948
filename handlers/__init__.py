"""The built-in handlers: each file of this folder registers one kind of action."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from typing import Any

from receiver.contract import Handler


def builtin() -> list[Handler[Any]]:
    """Return the handler of each file; adding one is adding a file."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [import_module(f"{__name__}.{name}").handler for name in names]
