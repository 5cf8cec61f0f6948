"""`kubernetes.read`: an object's fields for later actions."""

from __future__ import annotations

import json
from typing import Annotated

from pydantic import Field

from handlers.kubernetes.client import Api
from handlers.kubernetes.object_dry_run import dry_run_kind
from handlers.kubernetes.object_expressions import CEL_NAME, OnVisible, evaluate_on
from handlers.kubernetes.objects import complete, locate
from handlers.kubernetes.tenancy import object_in_namespace
from receiver.contract import Call, Cel, Handler, Json, Outcome, PermanentError, Succeeded
from receiver.core.errors import ExpressionError
from receiver.kubernetes.objects import Object

__all__ = ["handler"]

LARGEST_OUTPUT = 65_536
"""Characters of JSON: an output goes into the ledger, and into every expression after it."""


class KubernetesRead(OnVisible):
    """Of what is read, and what."""

    fields: dict[str, Annotated[str, Cel(CEL_NAME)]] = Field(
        min_length=1,
        description="CEL: what is read, each under a name of its own, for example "
        "`host: object.spec.rules[0].host`; for a field that may be missing, "
        "`object.?status.?phase.orValue('')`.",
    )


def run(params: KubernetesRead, call: Call) -> Outcome:
    """Read it once."""
    api = Api.of(params.cluster, call)
    ref, path = locate(api, params.object_)
    found = api.find(path)
    if found is None:
        raise PermanentError(f"there is no {ref}", hint="kubernetes.wait waits until it is there")
    output: dict[str, Json] = {
        name: _value(call, f"fields.{name}", source, found)
        for name, source in params.fields.items()
    }
    if len(json.dumps(output)) > LARGEST_OUTPUT:
        raise PermanentError(
            f"the fields have more than {LARGEST_OUTPUT} characters",
            hint="read what is needed alone",
        )
    return Succeeded(output)


def _value(call: Call, place: str, source: str, found: Object) -> Json:
    try:
        value: Json = evaluate_on(call, place, source, found)
    except ExpressionError as error:
        raise PermanentError(
            error.message, hint=error.hint or "object.?a.?b.orValue('') is for what may be missing"
        ) from None
    return value


EXAMPLE = """\
object: {apiVersion: networking.k8s.io/v1, kind: Ingress, namespace: shop, name: shop}
fields:
  host: object.spec.rules[0].host
  addresses: object.status.loadBalancer.ingress.map(one, one.ip)
  tier: object.metadata.?labels.?tier.orValue('none')
"""

handler = Handler(
    name="kubernetes.read",
    summary="Read fields of an object for later actions.",
    params=KubernetesRead,
    run=run,
    example=EXAMPLE,
    confine=object_in_namespace,
    dry_run=dry_run_kind,
    complete=complete,
    permissions="`get` on the kind. See [kubernetes.md](kubernetes.md#rights).",
    output="What `fields` name, each under its name.",
    errors="See [kubernetes.md](kubernetes.md#what-refusals-mean).",
)
