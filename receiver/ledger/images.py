"""The images of each application's resources at its newest sync, which `imageChanged` needs."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from sqlalchemy import Connection, select, text

from receiver.ledger import tables
from receiver.ledger.batch import Batch
from receiver.ledger.planning import Planning


def known_images(
    connection: Connection, applications: Collection[str]
) -> dict[str, dict[str, str]]:
    """The images (JSON) of each of the applications' resources at their newest planned sync.

    An application of which nothing is known is left out.
    """
    i = tables.images.c
    query = select(i.application, i.images).where(i.application.in_(applications))
    rows = connection.execute(query) if applications else ()
    return {row.application: dict(json.loads(row.images)) for row in rows}


def remember_images(batch: Batch, plannings: Sequence[Planning]) -> None:
    """Store the images of these syncs, in their order, unless a newer one was stored before.

    A sync that lists some of its resources leaves what is known of the others.
    """
    told = [planning for planning in plannings if planning.images]
    if not told:
        return
    i = tables.images
    wanted = {planning.images_of for planning in told}
    rows = batch.connection.execute(select(i).where(i.c.application.in_(wanted)))
    known = {row.application: (row.finished_at, dict(json.loads(row.images))) for row in rows}
    for planning in told:
        finished_at, images = known.get(planning.images_of, (0, {}))
        if planning.finished_at >= finished_at:
            known[planning.images_of] = planning.finished_at, {**images, **planning.images}
    for application in sorted(wanted):
        finished_at, images = known[application]
        row = {"application": application, "finished_at": finished_at}
        batch.add(_REMEMBER, row | {"images": json.dumps(images)})


_REMEMBER = text(
    "INSERT INTO images (application, images, finished_at) "
    "VALUES (:application, :images, :finished_at) ON CONFLICT (application) "
    "DO UPDATE SET images = excluded.images, finished_at = excluded.finished_at"
)
