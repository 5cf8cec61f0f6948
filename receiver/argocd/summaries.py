"""Reads an Application among others: one that cannot be read holds up no other."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import structlog

from receiver.argocd.application_json import mapping, summary_of, text
from receiver.argocd.objects import ApplicationSummary

REMEMBERED = 1000
"""Applications that cannot be read and are told of once; there should be none."""


def one_summary(app: Mapping[str, Any], *, deleted: bool = False) -> ApplicationSummary:
    """Return what is told of an Application; its name alone, if our reading of it has a bug."""
    try:
        return summary_of(app, deleted=deleted)
    except Exception:  # noqa: BLE001 whoever may write one Application would stop all
        metadata = mapping(app, "metadata")
        name = {"namespace": text(metadata, "namespace"), "name": text(metadata, "name")}
        _tell(f"{name['namespace']}/{name['name']}", traceback.format_exc())
        return summary_of({"metadata": name}, deleted=deleted)


@lru_cache(REMEMBERED)
def _tell(application: str, trace: str) -> None:
    structlog.get_logger().error("application.unread", application=application, traceback=trace)
