from __future__ import annotations

from peers import call, door

from handlers.log_message import handler
from receiver.contract import Succeeded
from receiver.outbound import Outbound
from receiver.testkit import Subject

SUBJECTS = [Subject(handler, parameters={"text": {"env": "POSTSYNC_SECRET_TEXT"}}, sends=False)]


def test_the_line_is_on_the_trail_and_is_the_output() -> None:
    """Nothing is sent anywhere."""
    said: list[str] = []
    outcome = handler.run(handler.params(text="hello"), call(door(Outbound()), said))
    assert said == ["hello"]
    assert outcome == Succeeded({"text": "hello"})


def test_a_line_has_a_limit() -> None:
    """The trail is no place for files; the beginning of one is on it, and no half of a secret."""
    said: list[str] = []
    attempt = call(door(Outbound()), said, mask=lambda text: text.replace("hush-hush", "***"))
    handler.run(handler.params(text="x" * 9_995 + "hush-hush" + "x" * 9), attempt)
    assert said == ["x" * 9_995 + "***x…"]
