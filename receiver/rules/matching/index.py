"""Indexes: the rules that could match a sync, and the resources that a selector accepts.

Sets are integers, bit i for number i: thousands are intersected in a step.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain, compress, count
from typing import Any

from receiver.core import interruption
from receiver.core.model import Resource, Sync
from receiver.rules.matching.compiled import CompiledRule
from receiver.rules.matching.match_predicates import Selector, phases_of
from receiver.rules.matching.predicates import Globs, Predicate
from receiver.rules.tenants.names import tenant_of
from receiver.rules.tenants.sight import Reach

FLAGS = bytes.maketrans(b"01", b"\0\1")
DIGITS = bytes.maketrans(b"\0\1", b"01")

FEW = 8
"""Rules, or numbers: so few are gone through one by one sooner than anything is looked up."""


def bits_of(numbers: Iterable[int], size: int) -> int:
    """Return the set of these numbers, each below ``size``."""
    found = tuple(numbers)
    if len(found) <= FEW:
        return sum(1 << number for number in set(found))
    digits = bytearray(b"0") * (size + 1)
    for number in found:
        digits[size - number] = 49  # the digit 1
    return int(digits, 2)


def numbers_in(bits: int) -> tuple[int, ...]:
    """Return the numbers of the set, ascending."""
    if bits.bit_count() > FEW:
        return tuple(compress(count(), bin(bits)[:1:-1].encode().translate(FLAGS)))
    found = list[int]()
    while bits:
        found.append((bits & -bits).bit_length() - 1)
        bits &= bits - 1
    return tuple(found)


class RuleIndex:
    """Rules by channel, phase, application, and what names resources; bit i of a set is rule i."""

    def __init__(self, rules: Sequence[CompiledRule]) -> None:
        self._rules = rules
        self._channels, self._phases = Dimension(), Dimension()
        self._applications, self._tenants = Dimension(), Dimension()
        self._kinds, self._names = Dimension(), Dimension()
        self._asking_of_images = self._of_tenants = 0
        self._numbers_of_tenants = {0: 0}
        for number, compiled in enumerate(rules):
            if compiled.rule.enabled:
                self._add(1 << number, compiled)

    def of_application(self, sync: Sync) -> Iterable[CompiledRule]:
        """Return the rules that could ever match a sync of this channel and Application."""
        return self._in(self._of_application(sync))

    def asks_of_images(self, sync: Sync) -> bool:
        """Return whether one of them may ask if images changed."""
        asking = self._asking_of_images
        return bool(asking and asking & self._of_application(sync))

    def tenants_of(self, sync: Sync) -> int:
        """Return of how many namespaces there are rules that may see a sync by where it belongs."""
        found = self._of_tenants and self._of_tenants & self._tenants.rules(Reach.of(sync).keys)
        number = self._numbers_of_tenants.get(found)
        if number is None:
            names = {tenant_of(self._rules[one].rule.name) for one in numbers_in(found)}
            number = self._numbers_of_tenants[found] = len(names)
        return number

    def of_resources(self, sync: Sync) -> Iterable[CompiledRule]:
        """Return those of them that could select one of its resources, whatever became of it."""
        return self._in(self._naming(self._of_application(sync), sync.resources))

    def candidates(self, sync: Sync) -> Iterable[CompiledRule]:
        """Return the rules that could match, in their order."""
        found = self._of_application(sync) & self._phases.rules((sync.phase,))
        return self._in(self._naming(found, sync.resources))

    def _of_application(self, sync: Sync) -> int:
        found = self._channels.rules((sync.channel,))
        found = found and found & self._applications.rules((sync.application.name,))
        return found and found & self._tenants.rules(Reach.of(sync).keys)

    def _naming(self, found: int, resources: Sequence[Resource]) -> int:
        """Narrow rules to those that could select one of the resources; a few are left as they are.

        The fields that divide rules best come first.
        """
        if found.bit_count() > FEW:
            found &= self._kinds.rules({one.kind for one in resources})
        if found.bit_count() > FEW:
            found &= self._names.rules({one.name for one in resources})
        return found

    def _in(self, found: int) -> Iterable[CompiledRule]:
        return [self._rules[number] for number in numbers_in(found)]

    def _add(self, bit: int, compiled: CompiledRule) -> None:
        if compiled.asks_of_images:
            self._asking_of_images |= bit
        globs = {predicate.field: predicate.globs for predicate in compiled.predicates}
        tested = compiled.sight is None
        self._channels.add(bit, globs["channel"], tested=tested)
        self._applications.add(bit, globs.get("application.name"), tested=tested)
        self._add_tenant(bit, compiled)
        for phase in phases_of(compiled.rule.match):
            self._phases.add_literal(bit, phase)
        if compiled.selectors is None:
            self._kinds.add(bit, None)
            self._names.add(bit, None)
        for selector in compiled.selectors or ():
            named = {predicate.field: predicate.globs for predicate in selector}
            self._kinds.add(bit, named.get("kind"), tested=tested)
            name = named.get("name")
            # What begins anyhow is tested on each name later, and need not be tested here as well.
            name = None if name and "" in name.prefixes else name
            self._names.add(bit, name, tested=tested)

    def _add_tenant(self, bit: int, compiled: CompiledRule) -> None:
        if compiled.sight is None:
            self._tenants.add(bit, None)
        else:
            self._of_tenants |= bit
            for key in compiled.sight.keys:
                self._tenants.add_literal(bit, key)


class Dimension:
    """Which rules accept a value of one field."""

    def __init__(self) -> None:
        self._any = 0
        self._literals: defaultdict[str, int] = defaultdict(int)
        self._prefixes: dict[str, defaultdict[Globs, int]] = {}
        self._untested: defaultdict[str, int] = defaultdict(int)
        self._lengths: set[int] = set()

    def add(self, bit: int, globs: Globs | None, *, tested: bool = True) -> None:
        """Add a rule that accepts what the globs do; None: every value, and no value.

        Globs of namespaces are not ``tested``: that is done in the time of whoever wrote them, and
        only for what may be seen.
        """
        if globs is None:
            self._any |= bit
            return
        for literal in globs.literals:
            self.add_literal(bit, literal)
        for prefix in globs.prefixes:
            if tested:
                self._prefixes.setdefault(prefix, defaultdict(int))[globs] |= bit
            else:
                self._untested[prefix] |= bit
            self._lengths.add(len(prefix))

    def add_literal(self, bit: int, value: str) -> None:
        """Add a rule that accepts this value."""
        self._literals[value] |= bit

    def rules(self, values: Iterable[str]) -> int:
        """Return the rules that accept one of the values."""
        found = self._any
        for value in values:
            found |= self._literals.get(value, 0)
            for length in self._lengths:
                start = value[:length]
                found |= self._untested.get(start, 0)
                for globs, rules in self._prefixes.get(start, NO_GLOBS).items():
                    if globs.accept(value):
                        found |= rules
        return found


NO_GLOBS: dict[Globs, int] = {}


class ResourceIndex:
    """The resources of one sync by the values of their fields; bit i of a set is resource i.

    A predicate is tested on each value once, and its result is cached: rules share predicates,
    and most have the same defaults.
    """

    def __init__(self, resources: Sequence[Resource]) -> None:
        self._resources = resources
        self._all = (1 << len(resources)) - 1
        self._columns: dict[str, Column] = {}
        self._accepted: dict[Predicate[Resource], int] = {}

    def select(self, selector: Selector) -> int:
        """Return the resources that every predicate accepts."""
        found = self._all
        for predicate in selector:
            if not found:
                break
            found &= self._accept(predicate)
        return found

    def select_any(self, selectors: Iterable[Selector]) -> int:
        """Return the resources that at least one of the selectors accepts."""
        found = 0
        for selector in selectors:
            found |= self.select(selector)
        return found

    def _accept(self, predicate: Predicate[Resource]) -> int:
        known = self._accepted.get(predicate)
        if known is None:
            column = self._columns.get(predicate.field)
            if column is None:
                values = list(map(predicate.read, self._resources))
                column = self._columns[predicate.field] = Column(values)
            known = self._accepted[predicate] = column.accepted_by(predicate)
        return known


def _interruptibly(accept: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a test with a checkpoint before each value: what is no plain text may be long."""

    def test(value: Any) -> bool:
        interruption.checkpoint()
        return accept(value)

    return test


class Column:
    """The values of one field of all resources.

    The first predicate goes through all of them; where another one comes, many may, and they are
    looked up.
    """

    def __init__(self, values: list[Any]) -> None:
        self._values = values
        self._distinct = frozenset(values)
        self._asked = False
        self._numbers: dict[Any, list[int]] = {}
        self._sorted: list[str] = []

    def accepted_by(self, predicate: Predicate[Resource]) -> int:
        """Return the resources whose value the predicate accepts."""
        accept, promising = predicate.accept, self._promising(predicate.globs)
        if len(promising) > FEW and predicate.globs is None:
            accept = _interruptibly(accept)
        accepted = {value for value in promising if accept(value)}
        again, self._asked = self._asked, True
        if len(accepted) == len(self._distinct):
            return (1 << len(self._values)) - 1
        if not accepted:
            return 0
        if again:
            return self._look_up(accepted)
        flags = bytes(map(accepted.__contains__, reversed(self._values)))
        return int(flags.translate(DIGITS), 2)

    def _look_up(self, accepted: Iterable[Any]) -> int:
        if not self._numbers:
            for number, value in enumerate(self._values):
                self._numbers.setdefault(value, []).append(number)
        numbers = list(chain.from_iterable(self._numbers[value] for value in accepted))
        return bits_of(numbers, len(self._values))

    def _promising(self, globs: Globs | None) -> Collection[Any]:
        if globs is None or (globs.prefixes and not self._asked):
            return self._distinct
        return (globs.literals & self._distinct).union(self._by_prefix(globs))

    def _by_prefix(self, globs: Globs) -> Iterator[str]:
        """Yield the values with the prefix of a glob: few, even where there are thousands."""
        texts = self._sorted
        if globs.prefixes and not texts:
            texts = self._sorted = sorted(self._distinct)
        for prefix in globs.prefixes:
            start = bisect_left(texts, prefix)
            size = len(prefix)
            yield from texts[start : bisect_right(texts, prefix, start, key=lambda t: t[:size])]
