"""What must be true of a ledger at any moment, whoever has done what."""

from __future__ import annotations

from house import House

from receiver.core.states import OPEN_PLANS, OPEN_RUNS
from receiver.ledger.tables import state_in

LAWS = {
    "a running run, and no other, has an owner and a lease": """
        SELECT id FROM runs WHERE (state = 'running') <> (owner IS NOT NULL)
        OR (state = 'running') <> (lease_until IS NOT NULL)
    """,
    "a running run, and no other, has an open attempt, and it is the newest": """
        SELECT runs.id FROM runs LEFT JOIN attempts ON run_id = runs.id AND outcome = ''
        WHERE (state = 'running') <> (number IS NOT NULL) OR number <> runs.attempts
    """,
    "attempts are numbered without a gap": """
        SELECT runs.id FROM runs LEFT JOIN attempts ON run_id = runs.id GROUP BY runs.id, attempts
        HAVING COUNT(number) <> attempts OR COALESCE(MAX(number), 0) <> attempts
    """,
    "to ask again is no attempt": """
        SELECT id FROM runs WHERE claims < attempts
    """,
    "what is pending, and nothing else, has an attempt that goes on elsewhere": """
        SELECT runs.id FROM runs JOIN attempts ON run_id = runs.id AND number = attempts
        WHERE (state = 'pending') <> (outcome = 'pending' AND attempts.ended_at IS NULL)
    """,
    "what has ended, and nothing else, has a time of its end": f"""
        SELECT id FROM runs WHERE (ended_at IS NULL) <> ({state_in(OPEN_RUNS)})
    """,
    "so it is with plans": f"""
        SELECT id FROM plans WHERE (ended_at IS NULL) <> ({state_in(OPEN_PLANS)})
    """,
    "only what is due is ready": """
        SELECT id FROM runs WHERE ready AND state NOT IN ('due', 'pending')
    """,
    "a plan that has ended has no open run": """
        SELECT plans.id FROM plans JOIN runs ON plan_id = plans.id
        WHERE plans.ended_at IS NOT NULL AND runs.ended_at IS NULL
    """,
    "a later wave waits for the earlier ones": """
        SELECT late.id FROM runs late JOIN runs early ON early.plan_id = late.plan_id
        AND early.section = late.section AND early.wave < late.wave
        WHERE late.state = 'running' AND early.ended_at IS NULL
    """,
    "a key has no more active plans than its limit": """
        SELECT MIN(id) FROM plans WHERE state = 'active' AND concurrency_key IS NOT NULL
        GROUP BY concurrency_key, concurrency_limit HAVING COUNT(*) > concurrency_limit
    """,
    "an attempt that began is a line of the trail": """
        SELECT run_id FROM attempts WHERE NOT EXISTS (SELECT 1 FROM audit_events
        WHERE name = 'attempt.started' AND audit_events.run_id = attempts.run_id
        AND attempt = number)
    """,
    "so is one that ended well, or was lost": """
        SELECT run_id FROM attempts WHERE outcome IN ('succeeded', 'lost') AND NOT EXISTS
        (SELECT 1 FROM audit_events WHERE name = 'attempt.' || outcome
        AND audit_events.run_id = attempts.run_id AND attempt = number)
    """,
    "the trail tells of no end that was not written": """
        SELECT audit_events.run_id FROM audit_events LEFT JOIN attempts ON
        attempts.run_id = audit_events.run_id AND number = attempt
        WHERE name IN ('attempt.succeeded', 'attempt.lost')
        AND (outcome IS NULL OR name <> 'attempt.' || outcome)
    """,
}
"""Each with a query that finds what breaks it."""
ALL = " UNION ALL ".join(
    f"SELECT '{law}', broken.* FROM ({query}) AS broken" for law, query in LAWS.items()
)


def laws_broken(house: House) -> list[str]:
    """Name the laws that are broken, each with what breaks it."""
    return [f"{law}: {one}" for law, one in house.query(ALL)]
