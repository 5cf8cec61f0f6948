"""Two teams in one service: what keeps their rules apart, and what does not."""

from __future__ import annotations

import time
from pathlib import Path

from notifications import notification, resource
from service import TOKEN, Service, Target, serving

from receiver.outbound import Outbound
from receiver.outbound.secret_masking import Masker

RULES = """
version: 1
rules:
- name: ours
  match: {{sender: [test], resources: [{{kind: ConfigMap}}]}}
  actions:
  - uses: http.request
    with: {{url: "{url}", headers: {{X-Key: {{env: POSTSYNC_SECRET_OURS}}}}}}
- name: theirs
  match: {{sender: [other], resources: [{{kind: ConfigMap}}]}}
  actions:
  - uses: http.request
    with: {{url: "{url}", headers: {{X-Key: {{env: POSTSYNC_SECRET_OURS}}}}}}
"""


def post(service: Service, token: str, body: bytes) -> str:
    door = Outbound().http(time.monotonic() + 20, Masker(()))
    headers = {"Authorization": f"Bearer {token}", "Connection": "close"}
    answer = door.send("POST", f"{service.url}/v1/notifications", headers=headers, body=body)
    assert answer.status == 202, answer.text
    return str(answer.json()["sync"])


def test_a_senders_syncs_meet_its_own_rules_only_and_every_rule_has_every_secret(
    tmp_path: Path, target: Target
) -> None:
    """The token decides who has sent: the same body of another sender is another sync."""
    (tmp_path / "senders").mkdir()
    (tmp_path / "senders/other").write_text("token-of-the-other-0123")
    rules = RULES.format(url=target.url)
    with serving(tmp_path, rules, secret_ours="the key of us") as service:
        body = notification(resource("a"))
        matched = {}
        for sender, token in (("test", TOKEN + "senders"), ("other", "token-of-the-other-0123")):
            story = service.ended(post(service, token, body))
            matched[sender] = [plan["rule"] for plan in story["plans"]]
    assert matched == {"test": ["ours"], "other": ["theirs"]}
    assert [seen["headers"]["X-Key"] for seen in target.seen] == ["the key of us"] * 2
