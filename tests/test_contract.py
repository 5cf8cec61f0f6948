from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from receiver.contract import Answer, Duration, raise_for_status, retry_after
from receiver.contract.durations import LONGEST, duration_text
from receiver.core.errors import PermanentError, TemporaryError


class Waiting(BaseModel):
    time: Duration


@pytest.mark.parametrize(
    ("written", "seconds"),
    [("30s", 30), ("1h30m", 5400), ("500ms", 0.5), ("2d", 172_800), ("365d", 31_536_000), (0, 0)],
)
def test_durations_are_read_as_seconds(written: Any, seconds: float) -> None:
    """A unit follows each number; only 0 needs none."""
    assert Waiting(time=written).time == seconds


@pytest.mark.parametrize("written", ["", "30", 30, "30 s", "s", "-1s", True, None, "1.5h", [30]])
def test_what_is_no_duration_is_refused_with_an_example(written: Any) -> None:
    """The unit of a bare number would be a guess."""
    with pytest.raises(ValidationError, match="as in 30s, 5m, 1h30m or 500ms"):
        Waiting(time=written)


def test_no_duration_is_longer_than_a_year() -> None:
    """More is a slip of the pen, and would not fit everywhere."""
    for longer in ("366d", f"{'9' * 400}d"):
        with pytest.raises(ValidationError, match="is longer than a year"):
            Waiting(time=longer)


@pytest.mark.parametrize("text", ["0s", "500ms", "30s", "1h30m", "2d", "1d1h1m1s1ms"])
def test_durations_are_written_as_they_were_read(text: str) -> None:
    """The shortest way to write them."""
    assert duration_text(Waiting(time=text if text != "0s" else 0).time) == text


NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        ("Mon, 01 Jun 2026 12:01:00 GMT", 60.0),
        ("Mon, 01 Jun 2026 11:00:00 GMT", 0.0),
        ("Mon, 01 Jun 2026 12:01:00 -0000", 60.0),
        ("9" * 400, 31_536_000.0),
        ("Mon, 01 Jun 9999 12:00:00 GMT", 31_536_000.0),
        ("soon", None),
        ("Mon, 99 Jun 2026 12:00:00 GMT", None),
        ("\u0662", None),
        ("-5", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str, seconds: float | None) -> None:
    """What is neither asks for nothing, and nobody asks for more than a year."""
    assert retry_after(Answer(429, {"retry-after": value}, b""), NOW) == seconds


@given(st.text(max_size=60) | st.from_regex(r"[A-Z][a-z]{2}, \d+ [A-Z][a-z]{2} \d+ [\d:]+ .*"))
def test_no_retry_after_is_too_odd(value: str) -> None:
    """Whatever a peer sends, it asks for a time that a calendar can hold, or for nothing."""
    delay = retry_after(Answer(503, {"retry-after": value}, b""), NOW)
    assert delay is None or 0 <= delay <= LONGEST


def test_statuses_are_success_temporary_or_permanent() -> None:
    """2xx, or what is expected, passes; some are worth another try, all others are not."""
    for status in range(100, 600):
        answer = Answer(status, {}, b"")
        try:
            raise_for_status(answer)
            verdict = "fine"
        except TemporaryError:
            verdict = "temporary"
        except PermanentError:
            verdict = "permanent"
        temporary = {408, 425, 429, *range(500, 600)} - {501, 505}
        if 200 <= status < 300:
            assert verdict == "fine"
        else:
            assert verdict == ("temporary" if status in temporary else "permanent")
    raise_for_status(Answer(404, {}, b""), expect=frozenset({404}))
    with pytest.raises(PermanentError):
        raise_for_status(Answer(200, {}, b""), expect=frozenset({201}))


def test_the_other_sides_words_are_in_the_reason() -> None:
    """In one line of at most 200 characters, and with the delay that it asks for."""
    answer = Answer(503, {"retry-after": "7"}, b"come\n  back " + b"x" * 500)
    with pytest.raises(TemporaryError) as caught:
        raise_for_status(answer)
    assert str(caught.value) == "answered 503: " + ("come back " + "x" * 500)[:200]
    assert caught.value.delay == 7


def test_a_redirect_says_where_it_leads() -> None:
    """The way out is to write the address that it leads to; of others nothing is said."""
    for status, hint in ((301, "; this one leads to https://new.example/"), (404, "")):
        with pytest.raises(PermanentError) as caught:
            raise_for_status(Answer(status, {"location": "https://new.example/"}, b""))
        assert caught.value.hint.endswith(hint)
        assert bool(caught.value.hint) == bool(hint)


def test_a_date_counts_from_the_attempt() -> None:
    """Not from when the answer happens to be judged."""
    busy = Answer(503, {"retry-after": "Mon, 01 Jun 2026 12:01:00 GMT"}, b"")
    with pytest.raises(TemporaryError) as caught:
        raise_for_status(busy, now=NOW)
    assert caught.value.delay == 60


def test_a_reason_is_masked_before_it_is_cut() -> None:
    """Half a secret could not be found afterwards."""
    body = b"x" * 195 + b" hush-hush"
    answer = Answer(400, {}, body, mask=lambda text: text.replace("hush-hush", "[secret]"))
    with pytest.raises(PermanentError) as caught:
        raise_for_status(answer)
    assert "hush" not in str(caught.value)


def test_an_answer_reads_as_text_and_json() -> None:
    """Text never fails; what is no JSON raises ValueError."""
    assert Answer(200, {}, b"\xff").text == "\ufffd"
    assert Answer(200, {}, b'{"a": 1}').json() == {"a": 1}
    for body in (b"<html>", b"", b"[NaN]", b"[" * 100_000, b"\xff\xfe\xff"):
        with pytest.raises(ValueError):  # noqa: PT011 whatever its words
            Answer(200, {}, body).json()
