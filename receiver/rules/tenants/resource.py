"""One PostSyncRule or CronJob, as the API server has it, becomes a rule set of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from receiver.core.errors import BeyondBounds, Problem, RuleError
from receiver.rules.expressions.cel import Expressions
from receiver.rules.handlers.registry import Registry
from receiver.rules.loading.load import RuleSet, load_texts
from receiver.rules.tenants.bounds import ASK, Tenants
from receiver.rules.tenants.names import CRON_JOB, cron_job_rule, file_name
from receiver.rules.tenants.text import resource_text, size_of, what_makes_it


def load_resource(
    resource: Mapping[str, Any], registry: Registry, expressions: Expressions, *,
    connected: bool = True, tenants: Tenants | None = None,
) -> RuleSet:  # fmt: skip
    """Check what makes a rule, within the bounds of its tenant.

    That of a PostSyncRule is called NAMESPACE/NAME, that of a CronJob NAMESPACE/cronjob.NAME.

    Raises:
        RuleError: with every problem, by its path in the resource; `BeyondBounds` if all of them
            are of bounds.
    """
    metadata = resource["metadata"]
    name = metadata["name"]
    rule = cron_job_rule(name) if resource.get("kind") == CRON_JOB else name
    file = file_name(metadata["namespace"], rule)
    try:
        size = size_of(what_makes_it(resource))
        refusal = tenants.too_large(metadata["namespace"], size) if tenants is not None else ""
        if refusal:  # what is too large is not read
            raise BeyondBounds([Problem(file, 0, 0, "spec", refusal, ASK)])
        text = resource_text(resource)
        text.encode()
    except (RecursionError, UnicodeError):
        message = "is nested too deep, or has a text that is no Unicode"
        raise RuleError([Problem(file, 0, 0, "spec", message)]) from None
    return load_texts(((file, text),), registry, expressions, connected=connected, tenants=tenants)
