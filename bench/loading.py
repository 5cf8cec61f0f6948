"""Loads what is measured: notifications sent one by one, or by `wrk` as fast as they are taken."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from itertools import count
from pathlib import Path

from stage import TOKEN

TELL = """
version: 1
rules:
- name: tell
  match: {resources: [{kind: ConfigMap, name: config-*}]}
  actions: [{uses: log.message, with: {text: "${{ resource.name }}"}}]
"""
"""Rules that give a notification of `body_template` one run, which needs nobody."""


def body_template(number: int = 40) -> str:
    """A notification of 40 resources, about 10 KB; @@N@@ makes each one another sync."""
    resources = [
        {
            "group": "", "version": "v1", "kind": "ConfigMap", "namespace": "shop",
            "name": f"config-{i:02d}", "status": "Synced", "hookPhase": "Succeeded",
            "syncPhase": "Sync", "images": [f"ghcr.io/acme/shop-component-{i:02d}:2.4.{i}"],
            "message": f"configmap/config-{i:02d} " + ("configured" if i == 0 else "unchanged"),
        }
        for i in range(number)
    ]  # fmt: skip
    start = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    state = {
        "phase": "Succeeded", "startedAt": start, "finishedAt": start,
        "message": "successfully synced (all tasks run)",
        "syncResult": {"revision": "9f1c2ab4d0e85c7731b6a2f4e9d80c3b5a6f7e12",
                       "resources": resources},
    }  # fmt: skip
    application = {"name": "shop-@@N@@", "namespace": "argocd", "project": "web"}
    return json.dumps({"application": application, "operationState": state})


def post(port: int, body: str, name: str) -> int:
    """Send one notification as Argo CD does, on a connection of its own; its status.

    The body is that of `body_template`, made after the start: an older sync is not acted upon.
    """
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(
            "POST", "/v1/notifications", body.replace("@@N@@", name).encode(),
            {"Authorization": f"Bearer {TOKEN}", "Connection": "close"},
        )  # fmt: skip
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@dataclass(frozen=True)
class Load:
    """What a load saw: requests a second, milliseconds, answers that were no 2xx.

    ``pending`` is how many runs the other side worked on meanwhile.
    """

    rate: float
    p50: float
    p99: float
    failed: int
    done: int
    pending: int = 0


def load(port: int, path: str, *, seconds: int, connections: int = 16, tag: str = "") -> Load:
    """Post distinct notifications, each on a connection of its own as Argo CD does."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "post.lua")
        body = Path(folder, "body.json")
        body.write_text(body_template())
        script.write_text(LUA.replace("@@BODY@@", str(body)).replace("@@TAG@@", tag))
        command = [
            "wrk", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", "--timeout", "30s",
            "-s", str(script), f"http://127.0.0.1:{port}{path}",
        ]  # fmt: skip
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    numbers = dict(re.findall(r"^@(\w+) ([\d.]+)$", out, re.MULTILINE))
    return Load(
        float(numbers["rate"]), float(numbers["p50"]), float(numbers["p99"]),
        int(numbers["failed"]), int(numbers["done"]),
    )  # fmt: skip


def load_many(ports: Sequence[int], path: str, *, seconds: int) -> Load:
    """Load several at once, each with its part of 16 connections; the slowest percentiles count."""
    with ThreadPoolExecutor(len(ports)) as pool:
        each = [
            pool.submit(
                load, port, path, seconds=seconds, connections=16 // len(ports), tag=f"{port}-"
            )
            for port in ports
        ]
        seen = [one.result() for one in each]
    return Load(
        sum(one.rate for one in seen), max(one.p50 for one in seen),
        max(one.p99 for one in seen), sum(one.failed for one in seen),
        sum(one.done for one in seen),
    )  # fmt: skip


@dataclass(frozen=True)
class Paced:
    """Seconds of the sending and, sorted, of each answer; and how many were not a 202."""

    seconds: float
    answers: list[float]
    refused: int


def paced(ports: Sequence[int], number: int, rate: float, *, tag: str = "") -> Paced:
    """Send so many, each at its own moment whether those before were answered or not."""
    body, began = body_template(), time.monotonic()
    numbers, answers, refused = count(), list[float](), list[int]()

    def send() -> None:
        while (own := next(numbers)) < number:
            time.sleep(max(0.0, began + own / rate - time.monotonic()))
            asked = time.monotonic()
            status = post(ports[own % len(ports)], body, f"{tag}{own}")
            answers.append(time.monotonic() - asked)
            if status != 202:
                refused.append(status)

    threads = [threading.Thread(target=send) for _ in range(64)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Paced(time.monotonic() - began, sorted(answers), len(refused))


LUA = """
local file = io.open("@@BODY@@", "r")
local body = file:read("*a")
file:close()
local first, last = body:find("@@N@@", 1, true)
local head, tail = body:sub(1, first - 1), body:sub(last + 1)
local n = 0
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Connection"] = "close"
wrk.headers["Authorization"] = "Bearer bench-token-0123456789abcdef"
request = function()
  n = n + 1
  return wrk.format(nil, nil, nil, head .. "@@TAG@@" .. n .. tail)
end
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("@rate %.1f\\n", summary.requests / (summary.duration / 1e6)))
  io.write(string.format("@p50 %.2f\\n", latency:percentile(50) / 1000))
  io.write(string.format("@p99 %.2f\\n", latency:percentile(99) / 1000))
  io.write(string.format("@failed %d\\n", e.status + e.connect + e.read + e.write + e.timeout))
  io.write(string.format("@done %d\\n", summary.requests))
end
"""
