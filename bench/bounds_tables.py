"""The tables of `bounds.py`: cores under full load, CPU by part and by stage, pages by table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from bounds_loads import WHOLE, WORKERS
from bounds_measured import Found
from written import Written

MOST = 12
"""Rows of the table of pages before the one of all others."""

Rows = list[list[str]]


def tables(found: Found) -> list[Rows]:
    """Four tables, each with its headings first."""
    return [cores(found), costs(found), by_stage(found), by_page(found.written)]


def cores(found: Found) -> Rows:
    names = ("intake", "dispatcher", "workers", "server", "load", "target", "others", "idle")
    seen = {name: one for name, one in found.loads.items() if one.cores}
    rows = [["Cores under full load", "accepted /s", "delivered /s", *names]]
    for name, one in seen.items():
        delivered = f"{one.delivered:.0f}" if one.delivered else ""
        own = [f"{one.cores[part]:.2f}" if part in one.cores else "" for part in names]
        rows.append([name, f"{one.accepted:.0f}", delivered, *own])
    return rows


def costs(found: Found) -> Rows:
    names = ("intake", "dispatcher", "workers", "server", "target")
    rows = [["CPU of one notification, ms", *names, "load", "in all"]]
    for name, one in found.loads.items():
        if one.costs:
            own = [f"{one.costs[part].cpu:.2f}" if part in one.costs else "" for part in names]
            rows.append([name, *own, f"{one.load:.2f}", f"{one.each:.2f}"])
    return rows


def by_stage(found: Found) -> Rows:
    """The shares of the clocked run, of the CPU of the one without clocks."""
    columns: list[tuple[str, str, Mapping[str, float], float]] = []
    for engine, whole_way in (("SQLite", WHOLE), ("PostgreSQL", WORKERS)):
        measured = found.loads[whole_way].costs
        for part, own_shares in found.stages[engine].items():
            columns.append((engine, part, own_shares, measured[part].cpu * 1000))
    rows = [["CPU of one notification by stage, µs", *(f"{e}: {p}" for e, p, _, _ in columns)]]
    names = Counter[str]()
    for _, _, shares, each in columns:
        names.update({name: int(share * each) for name, share in shares.items()})
    for name, _ in names.most_common():
        own = [f"{s[name] * each:.0f}" if name in s else "" for _, _, s, each in columns]
        rows.append([name, *own])
    return [*rows, ["in all", *(f"{each:.0f}" for *_, each in columns)]]


def by_page(seen: Written) -> Rows:
    rows = [["Written a run by the dispatcher, in the log", "pages", "KB"]]
    ordered = Counter(seen.pages).most_common()
    left = sum(pages for _, pages in ordered[MOST:])
    shown = [*ordered[:MOST], (f"{len(ordered) - MOST} others", left)]
    return rows + [[name, f"{pages:.2f}", f"{pages * seen.page:.2f}"] for name, pages in shown]
