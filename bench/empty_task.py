"""The yardstick of runs.py: a Procrastinate worker, with a backlog of a task that does nothing.

Run by the Python of its own venv. It says `ready`, begins when it is told to, and says `done`.
"""

from __future__ import annotations

import asyncio
import sys

import procrastinate  # type: ignore[import-not-found]  # it is in that venv only


async def nothing(number: int) -> None:
    """Do nothing."""


async def main(database: str, count: int, at_once: int) -> None:
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=database))
    task = app.task(name="nothing")(nothing)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        await task.batch_defer_async(*({"number": number} for number in range(count)))
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await app.run_worker_async(wait=False, concurrency=at_once, install_signal_handlers=False)
        print("done", flush=True)
        await asyncio.to_thread(sys.stdin.readline)


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
