"""What a scenario asks its fixtures for."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from controller import Controller
from deployment import Deployment
from senders import Load
from tally import Tally

CALL = """
version: 1
rules:
- name: call
  match: {{resources: [{{kind: ConfigMap}}]}}
  retry: {{for: 5m, initialDelay: 100ms, maxDelay: 500ms}}
  timeout: 8s
  actions:
  - uses: http.request
    with: {{url: "{url}", json: {{name: "${{{{ resource.name }}}}"}}}}
  - uses: log.message
    wave: 1
    target: application
    with: {{text: "done"}}
"""
"""A call for each resource, and a second wave, so that a plan's steps are hit too."""


class Lasting(Protocol):
    """Says how many seconds to go on."""

    def __call__(self, short: float, part: float) -> float:
        """Return ``short`` in the short form, and this part of its minutes in the long one."""
        ...


class Deploy(Protocol):
    """Makes deployments; all of them end with the test."""

    def __call__(self, rules: str, *, home: Path | None = None, **settings: str) -> Deployment:
        """Make one that is not started yet."""
        ...


class Judge(Protocol):
    """Counts, tells, and lets nothing pass that was lost."""

    def __call__(
        self,
        deployment: Deployment,
        *loads: Load | Controller,
        seconds: float,
        explained: bool = True,
    ) -> Tally:
        """Call it when everything has ended.

        Where targets fail by themselves, not every attempt that failed is ``explained`` by a fault.
        """
        ...
