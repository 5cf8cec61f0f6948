"""Makes the picture of the page in docs/pictures, by a real server and a real browser.

`make picture` runs it: a sync whose purge is answered 503 at first, and whose migration waits for
a person.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from browser import chromium
from notifications import notification, resource
from service import ROOT, TOKEN, Service, Target, serving, wait_for

PICTURE = ROOT / "docs/pictures/sync.png"
SIZE = {"width": 1120, "height": 720}

RULES = """
version: 1
rules:
- name: purge-shop-assets
  description: The CDN may keep old assets after the asset ConfigMap changed.
  match: {{resources: [{{kind: ConfigMap, name: assets-*}}]}}
  retry: {{for: 1m, initialDelay: 2s, maxDelay: 3s}}
  actions:
  - name: purge
    uses: http.request
    with: {{url: "{url}", json: {{object: "${{{{ resource.name }}}}"}}}}
  - name: tell
    uses: http.request
    wave: 1
    target: application
    with: {{url: "{url}", json: {{purged: "${{{{ size(resources) }}}}"}}}}
- name: migrate-database
  match: {{resources: [{{kind: Job, name: migrate-*}}]}}
  actions:
  - {{name: migrate, uses: log.message, suspend: true, with: {{text: migrated}}}}
- name: tell-blog
  match: {{application: {{name: blog}}}}
  actions:
  - {{uses: log.message, target: application, with: {{text: "${{{{ application.name }}}}"}}}}
- name: restart-workers
  match: {{resources: [{{kind: Deployment, name: worker}}]}}
  actions: [{{uses: log.message, with: {{text: restart}}}}]
"""


def send(service: Service, application: str, *names: str, phase: str = "Succeeded") -> str:
    """Send a sync that has ended just now, and return its id."""
    objects = [resource(name.partition("/")[2], kind=name.partition("/")[0]) for name in names]
    finished = datetime.now(UTC) - timedelta(seconds=1)
    body = notification(
        *objects, application=application, phase=phase, finished=finished,
        startedAt=(finished - timedelta(seconds=4)).isoformat(),
    )  # fmt: skip
    _, answer = service.request("POST", "/v1/notifications", body)
    return str(answer["sync"])


def main() -> None:
    """Write the picture."""
    PICTURE.parent.mkdir(exist_ok=True)
    target = Target()
    target.statuses, target.delay = [200, 503, 503], 0.8
    rules = RULES.format(url=target.url)
    with tempfile.TemporaryDirectory() as home, serving(Path(home), rules) as service:
        send(service, "blog", "ConfigMap/posts")
        send(service, "docs", "Deployment/web", phase="Failed")
        sync = send(service, "shop", "ConfigMap/assets-css", "ConfigMap/assets-img",
                    "Job/migrate-7", "Deployment/web")  # fmt: skip
        wait_for(lambda: plans(service, sync)["purge-shop-assets"] == "succeeded", 60, "the purge")
        with chromium() as browser:
            page = browser.new_page(viewport=SIZE)  # type: ignore[arg-type]  # its own dict
            page.goto(service.url)
            page.get_by_label("Token").fill(f"{TOKEN}operators")
            page.get_by_role("button", name="Log in").click()
            page.get_by_role("link", name="Syncs", exact=True).wait_for()
            page.goto(f"{service.url}/page/syncs/{sync}")
            page.screenshot(path=PICTURE)
    target.close()


def plans(service: Service, sync: str) -> dict[str, str]:
    """The states of a sync's plans by rule."""
    found = {plan["rule"]: str(plan["state"]) for plan in service.story(sync)["plans"]}
    return {"purge-shop-assets": "", **found}


if __name__ == "__main__":
    main()
