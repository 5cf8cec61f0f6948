"""A small chart: a bar for each of the last 24 hours, made of what there was in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from receiver.core.model import DeliveryVerdict, from_ms, rfc3339
from receiver.core.plural import plural
from receiver.ledger.queries.history import History
from receiver.web.page.words import tone

WIDTH, HEIGHT, GAP = 480, 70, 3
"""Of the picture without its hours, and between two bars, in the picture's units."""

SEEN = 1.5
"""Units of height that a part has at least: few of many would else not be seen."""

EVERY = 6
"""Hours from one that is named to the next."""

TONES = {DeliveryVerdict.ACCEPTED.value: "good", DeliveryVerdict.REFUSED.value: "bad"}
"""Of what is no state; that of a state is `tone`."""


@dataclass(frozen=True, slots=True)
class Part:
    """What there was of one word in one hour."""

    x: float
    y: float
    width: float
    height: float
    tone: str
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The picture and what it says as text.

    Attributes:
        word: what is counted.
        total: counts by word, of all hours; ``tones`` are their colours.
        ticks: places and hours.
        rows: hours in which there was anything, with counts in the order of ``total``.
        since: not all could be counted, but what came since then.
    """

    title: str
    word: str
    about: str
    total: Mapping[str, int]
    tones: Mapping[str, str]
    bars: Sequence[Part]
    ticks: Sequence[tuple[float, str]]
    rows: Sequence[tuple[str, Sequence[int]]]
    since: str | None
    width: int = WIDTH
    height: int = HEIGHT


def chart(title: str, word: str, history: History, order: Sequence[str]) -> Chart:
    """Draw what was counted; ``order`` has all words, from the bottom up."""
    summed: Counter[str] = Counter()
    for _, counts in history.hours:
        summed.update(counts)
    total = {one: summed[one] for one in order if summed[one]}
    tones = {one: TONES.get(one) or tone(one) for one in total}
    hours = [(_hour(at), counts) for at, counts in history.hours]
    step = WIDTH / len(hours)
    said = ", ".join(f"{count} {one}" for one, count in total.items())
    return Chart(
        title, word, f"{plural(summed.total(), word)} by the hour: {said}", total, tones,
        _bars(hours, tones, step),
        [(round(n * step, 1), hours[n][0]) for n in range(0, len(hours), EVERY)],
        [(hour, _in_order(total, counts)) for hour, counts in hours if counts],
        rfc3339(from_ms(history.since)) if history.since is not None else None,
    )  # fmt: skip


def _bars(
    hours: Sequence[tuple[str, Mapping[str, int]]], tones: Mapping[str, str], step: float
) -> list[Part]:
    highest = max(sum(counts.values()) for _, counts in hours) or 1
    room = HEIGHT - SEEN * len(tones)
    found = []
    for number, (hour, counts) in enumerate(hours):
        y = float(HEIGHT)
        for one in (one for one in tones if counts.get(one)):
            height = SEEN + room * counts[one] / highest
            y -= height
            found.append(Part(
                round(number * step, 1), round(y, 1), round(step - GAP, 1), round(height, 1),
                tones[one], f"from {hour}: {counts[one]} {one}",
            ))  # fmt: skip
    return found


def _in_order(words: Iterable[str], counts: Mapping[str, int]) -> list[int]:
    return [counts.get(one, 0) for one in words]


def _hour(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%H:%M")
