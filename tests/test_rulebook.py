"""Rule files become a checked rule set, or every problem is told."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from toy_handlers import toy_registry

from receiver.core.errors import RuleError
from receiver.rules.expressions.cel import Expressions
from receiver.rules.loading.load import Rulebook, RuleSet, load_rules, rule_set_from
from receiver.rules.schema.rule_file import Target

BROKEN = sorted((Path(__file__).parent / "data/rules/broken").glob("*.yaml"))
RULE = """
- name: {name}
  match: {{}}
  actions:
  - uses: toy.say
    with: {{text: hello}}
"""


def load(*paths: Path) -> RuleSet:
    return load_rules(paths, toy_registry(), Expressions())


def write(file: Path, *names: str) -> Path:
    file.write_text("version: 1\nrules:\n" + "".join(RULE.format(name=name) for name in names))
    return file


def refused(*paths: Path) -> list[str]:
    with pytest.raises(RuleError) as caught:
        load(*paths)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("file", BROKEN, ids=lambda file: file.stem)
def test_mistake(file: Path) -> None:
    """A file with one mistake is refused with exactly the message at its head."""
    head = file.read_bytes().decode("latin-1")
    expected = re.findall(r"^# expect: (.*)", head, re.MULTILINE)
    found = [line.replace(f"{file.parent}/", "") for line in refused(file)]
    assert found == [f"{file.name}:{line}" for line in expected]


def test_all_mistakes_at_once(tmp_path: Path) -> None:
    """Every problem of every file is told, in reading order."""
    (tmp_path / "b.yaml").write_text(
        "version: 1\n"
        "defaults: {mode: watch}\n"
        "rules:\n"
        "- name: one\n"
        "  match: {phase: [Failed], condition: sync.x}\n"
        "  actions:\n"
        "  - uses: toy.sya\n"
        "  - uses: toy.say\n"
        "    with: {txt: '${{ sync.y }}'}\n"
        "- name: two\n"
        "  match: {condition: sync.x}\n"
        "  actions:\n"
        "  - {uses: toy.say, with: {text: '${{ sync.y }}'}}\n"
    )
    (tmp_path / "a.yml").write_text("rules: []\n")
    lines = [line.removeprefix(f"{tmp_path}/") for line in refused(tmp_path)]
    assert lines == [
        "a.yml:1:1: version: is missing",
        "b.yaml:2:12: defaults.mode: must be run or observe",
        "b.yaml:5:11: rules[0].match.phase: unknown key (did you mean phases?)",
        "b.yaml:7:5: rules[0].actions[0].uses: there is no handler toy.sya (did you mean toy.say?)",
        "b.yaml:9:5: rules[0].actions[1].with.text: is missing",
        "b.yaml:9:12: rules[0].actions[1].with.txt: unknown key (did you mean text?)",
        "b.yaml:11:26: rules[1].match.condition: sync has no field x",
        "b.yaml:13:43: rules[1].actions[0].with.text: sync has no field y",
    ]


def test_mistake_in_defaults_is_told_once(tmp_path: Path) -> None:
    """What all rules inherit is checked where it is written."""
    file = write(tmp_path / "a.yaml", "one", "two")
    text = file.read_text().replace(
        "rules:", "defaults:\n  onFailure:\n  - {uses: toy.say, with: {text: '${{ x }}'}}\nrules:"
    )
    file.write_text(text)
    assert refused(file) == [
        f"{file}:4:39: defaults.onFailure[0].with.text: unknown name x",
    ]


def test_missing_file(tmp_path: Path) -> None:
    """A file that was named must be there."""
    assert refused(tmp_path / "a.yaml") == [f"{tmp_path}/a.yaml: cannot be read: does not exist"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every folder")
def test_unreadable_folder(tmp_path: Path) -> None:
    """A folder that cannot be listed is a problem, not a crash."""
    tmp_path.chmod(0)
    assert refused(tmp_path) == [f"{tmp_path}: cannot be read: Permission denied"]


def test_name_twice_over_files(tmp_path: Path) -> None:
    """Names of rules are unique over all files."""
    one, two = write(tmp_path / "a.yaml", "same"), write(tmp_path / "b.yaml", "same")
    assert refused(one, two) == [
        f"{two}:4:3: rules[0].name: another rule has the name same (see {one}:4)"
    ]


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "version: 1\nrules: []\n"])
def test_no_rules(text: str, tmp_path: Path) -> None:
    """A file without rules is fine."""
    (tmp_path / "a.yaml").write_text(text)
    assert load(tmp_path).rules == ()


def test_folder(tmp_path: Path) -> None:
    """A folder gives its YAML files by name, hidden ones left out, links followed."""
    write(tmp_path / "b.yml", "b")
    write(tmp_path / "a.yaml", "a")
    write(tmp_path / ".hidden.yaml", "hidden")
    write(tmp_path / "notes.txt", "notes")
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub/c.yaml", "c")
    (tmp_path / "..data").mkdir()
    write(tmp_path / "..data/d.yaml", "d")
    (tmp_path / "d.yaml").symlink_to("..data/d.yaml")
    assert [rule.name for rule in load(tmp_path).rules] == ["a", "b", "d", "c"]


def test_alias_bomb(tmp_path: Path) -> None:
    """Aliases that multiply themselves are refused before they fill the memory."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    (tmp_path / "a.yaml").write_text("\n".join(lines))
    start = time.process_time()
    assert refused(tmp_path) == [
        f"{tmp_path}/a.yaml:1:34: more than 200000 keys and values, aliases counted each time"
    ]
    assert time.process_time() - start < 30


def test_alias(tmp_path: Path) -> None:
    """An alias may repeat what its anchor says."""
    file = tmp_path / "a.yaml"
    file.write_text(
        "version: 1\n"
        "rules:\n"
        "- name: one\n"
        "  match: &edge {application: {name: edge-*}}\n"
        "  actions: &say [{uses: toy.say, with: {text: hello}}]\n"
        "- {name: two, match: *edge, actions: *say}\n"
    )
    one, two = load(file).rules
    assert (one.match, one.actions) == (two.match, two.actions)


@pytest.mark.parametrize(
    ("written", "text"), [("0644", "0644"), ("12:30", "12:30"), ("2026-01-01", "2026-01-01")]
)
def test_yaml_1_1_is_not_followed(written: str, text: str, tmp_path: Path) -> None:
    """Octal numbers, sexagesimal numbers and dates are the texts that people mean."""
    file = write(tmp_path / "a.yaml", "a")
    file.write_text(file.read_text().replace("hello", written))
    assert load(file).rules[0].actions[0].with_ == {"text": text}


@pytest.mark.parametrize("key", ["on", "off", "Yes", "no"])
def test_the_words_of_yaml_1_1_are_keys_like_others(key: str, tmp_path: Path) -> None:
    """Quotes around one could not make a key of it where there is none of that name."""
    file = write(tmp_path / "a.yaml", "a")
    file.write_text(
        file.read_text().replace("match: {}", f"match: {{application: {{labels: {{{key}: x}}}}}}")
    )
    application = load(file).rules[0].match.application
    assert application is not None
    assert list(application.labels) == [key]


def test_digest(tmp_path: Path) -> None:
    """The digest follows names and texts, and a stored set comes back with the same one."""
    file = write(tmp_path / "a.yaml", "a")
    first = load(file)
    assert load(file) == first
    assert rule_set_from(first.files) == first
    write(file, "a", "b")
    assert load(file).digest != first.digest
    assert load(write(tmp_path / "b.yaml", "a")).digest != first.digest


def test_stored_set_is_read_leniently() -> None:
    """What was valid when it was stored is not checked against today's handlers."""
    text = "version: 1\nrules:\n- {name: a, match: {}, actions: [{uses: gone, with: {x: 1}}]}\n"
    (rule,) = rule_set_from([("a.yaml", text)]).rules
    assert rule.actions[0].uses == "gone"


DEFAULTS = """
version: 1
defaults:
  retry: {for: 6h, maxDelay: 10m}
  timeout: 20s
  onUnknownChange: skip
  verify: never
  mode: observe
  concurrency: {limit: 3}
  onFailure:
  - {uses: toy.say, with: {text: failed}}
rules:
- name: inherits
  match: {resources: [{kind: ConfigMap}]}
  actions:
  - {uses: toy.say, with: {text: a}}
  - {uses: toy.post, name: send, with: {url: a}, retry: {for: 9h}, timeout: 5s}
- name: says
  match: {phases: [Failed, Succeeded], resources: [{kind: Job}, {status: SyncFailed}]}
  onUnknownChange: run
  verify: auto
  mode: run
  retry: {initialDelay: 1s}
  deadline: 2h
  concurrency: {key: k}
  onFailure: []
  actions:
  - {uses: toy.say, with: {text: a}, target: batch}
- name: sync
  match: {phases: Error}
  actions:
  - {uses: toy.say, with: {text: a}}
"""


@pytest.fixture
def merged(tmp_path: Path) -> RuleSet:
    (tmp_path / "a.yaml").write_text(DEFAULTS)
    return load(tmp_path)


def test_defaults_are_inherited(merged: RuleSet) -> None:
    """A rule that says nothing has what the defaults of its file say."""
    rule = merged.rules[0]
    assert (rule.on_unknown_change, rule.mode, rule.timeout) == ("skip", "observe", 20)
    assert rule.verify == "never"
    assert rule.concurrency is not None
    assert rule.concurrency.limit == 3
    assert (rule.retry.for_, rule.retry.max_delay, rule.retry.factor) == (21600, 600, 2)
    assert rule.deadline == 21600
    assert rule.on_failure[0].name == "on_failure_toy_say"


def test_actions_inherit(merged: RuleSet) -> None:
    """An action has its rule's retry, timeout and deadline where it has none of its own."""
    say, send = merged.rules[0].actions
    assert (say.name, say.timeout, say.deadline, say.retry.for_) == ("toy_say", 20, 21600, 21600)
    assert (send.name, send.timeout, send.deadline) == ("send", 5, 32400)
    assert (send.retry.for_, send.retry.max_delay) == (32400, 600)


def test_rule_overrides_defaults(merged: RuleSet) -> None:
    """What a rule says counts, also where it says the built-in default or nothing at all."""
    rule = merged.rules[1]
    assert (rule.on_unknown_change, rule.mode, rule.on_failure) == ("run", "run", ())
    assert rule.verify == "auto"
    assert (rule.retry.for_, rule.retry.initial_delay, rule.deadline) == (21600, 1, 7200)
    assert rule.concurrency is not None
    assert (rule.concurrency.key, rule.concurrency.limit) == ("k", 1)


def test_selectors_widen_for_failed_syncs(merged: RuleSet) -> None:
    """With phases Failed or Error a selector takes any change and status, unless it says so."""
    assert merged.rules[0].match.resources is not None
    assert merged.rules[1].match.resources is not None
    (plain,) = merged.rules[0].match.resources
    job, failed = merged.rules[1].match.resources
    assert (plain.change, plain.status, plain.hook_type) == (("changed",), ("Synced",), ("none",))
    assert (job.change, job.status, job.hook_type) == (("any",), ("any",), ("none",))
    assert (failed.change, failed.status) == (("any",), ("SyncFailed",))


def test_target_without_resources(merged: RuleSet) -> None:
    """A rule that matches the sync itself acts on the application."""
    assert merged.rules[2].actions[0].target is Target.APPLICATION
    assert merged.rules[0].actions[0].target is Target.RESOURCE


def test_reload(tmp_path: Path) -> None:
    """A change is seen once, of a broken set too."""
    file = write(tmp_path / "a.yaml", "one")
    book = Rulebook([tmp_path], toy_registry(), Expressions())
    assert book.changed()
    assert len(book.reload().rules) == 1
    assert not book.changed()
    file.write_text("version: 2\nrules: []\n")
    assert book.changed()
    with pytest.raises(RuleError):
        book.reload()
    assert not book.changed()
    write(file, "one", "two")
    assert book.changed()
    assert len(book.reload().rules) == 2


def test_reload_of_a_config_map(tmp_path: Path) -> None:
    """The one link that Kubernetes turns is seen, though no entry of the folder changes."""
    mount = tmp_path / "rules"
    mount.mkdir()
    for version in ("..one", "..two"):
        (mount / version).mkdir()
        write(mount / version / "a.yaml", version.strip("."))
        os.utime(mount / version / "a.yaml", (1, 1))
    (mount / "..data").symlink_to("..one")
    (mount / "a.yaml").symlink_to("..data/a.yaml")
    book = Rulebook([mount], toy_registry(), Expressions())
    assert book.reload().rules[0].name == "one"
    (mount / "..next").symlink_to("..two")
    (mount / "..next").rename(mount / "..data")
    assert book.changed()
    assert book.reload().rules[0].name == "two"


def test_file_that_went(tmp_path: Path) -> None:
    """A file that was named and is gone is a change, and then a problem."""
    file = write(tmp_path / "a.yaml", "one")
    book = Rulebook([file], toy_registry(), Expressions())
    book.reload()
    file.unlink()
    assert book.changed()
    with pytest.raises(RuleError, match="does not exist"):
        book.reload()
    assert not book.changed()


def test_thousand_rules(tmp_path: Path) -> None:
    """A thousand rules load in a time that a reload may take (about one second)."""
    write(tmp_path / "a.yaml", *(f"rule-{number}" for number in range(1000)))
    start = time.process_time()
    assert len(load(tmp_path).rules) == 1000
    assert time.process_time() - start < 10


def rule_with(value: str) -> str:
    return f"version: 1\nrules:\n- name: one\n  match: {{}}\n  actions: {value}\n"


ALIASES = "\n".join(f"- &a{n} [*a{n - 1}]" for n in range(1, 200))
BOMB = "\n".join(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9))


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        (rule_with("[" * 900), "5:108", "nested more than 100 levels deep"),
        (rule_with("[" * 100_000), "5:108", "nested more than 100 levels deep"),
        ("- " * 100_000, "1:199", "nested more than 100 levels deep"),
        ("{a: " * 100_000, "1:397", "nested more than 100 levels deep"),
        (f"- &a0 []\n{ALIASES}\n", "1:3", "nested more than 100 levels deep"),
        (f"- &a0 [1, 2]\n{BOMB}\n", "1:11", "more than 200000 keys and values"),
        ("[" + "a," * 200_001 + "]", "1:1", "more than 200000 keys and values"),
        (rule_with("9" * 5_000), "5:12", "a number of 5000 digits is not read"),
        (rule_with("1.0e+999"), "5:12", "this number is too large"),
        (rule_with("[]\n  enabled: !!bool maybe"), "6:12", "is tagged as a boolean, and is none"),
    ],
    ids=["flow", "segv", "block", "mapping", "aliases", "bomb", "many", "digits", "e", "bool"],
)
def test_a_file_that_would_break_its_reader_is_refused_with_its_place(
    tmp_path: Path, text: str, place: str, message: str
) -> None:
    """Neither a stack nor a memory has no end, and the C parser knows neither."""
    file = tmp_path / "deep.yaml"
    file.write_text(text)
    told = refused(file)
    assert any(line.startswith(f"{file}:{place}: ") and message in line for line in told), told


def test_a_folder_that_leads_back_into_itself_is_read_once(tmp_path: Path) -> None:
    """Two such links would make a path for each way through them."""
    write(tmp_path / "a.yaml", "one")
    for name in ("first", "second"):
        (tmp_path / name).symlink_to(tmp_path)
    assert [rule.name for rule in load(tmp_path).rules] == ["one"]


def test_links_from_folder_to_folder_are_no_ways_without_number(tmp_path: Path) -> None:
    """Of thirty folders with two links to the next one, the last has a thousand million paths."""
    for number in range(30):
        (tmp_path / f"{number:02}").mkdir()
        for name in ("first", "second"):
            (tmp_path / f"{number:02}" / name).symlink_to(tmp_path / f"{number + 1:02}")
    (tmp_path / "30").mkdir()
    write(tmp_path / "30/a.yaml", "one")
    assert [rule.name for rule in load(tmp_path).rules] == ["one"]


def test_a_folder_with_more_than_rules_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A whole disk that was named by mistake is not walked through every other second."""
    monkeypatch.setattr("receiver.rules.loading.files.MOST", 5)
    (tmp_path / "below").mkdir()
    for number in range(5):
        write(tmp_path / "below" / f"{number}.yaml", f"rule-{number}")
    assert refused(tmp_path) == [f"{tmp_path}: cannot be read: has more than 5 names below it"]


def test_a_file_whose_name_is_no_text_is_refused(tmp_path: Path) -> None:
    """Neither the ledger nor a message can have its name."""
    write(tmp_path / os.fsdecode(b"\xff.yaml"), "one")
    assert refused(tmp_path) == [f"{tmp_path}/\ufffd.yaml: has a name that is not UTF-8"]


def test_a_name_that_is_too_long_is_told_in_characters(tmp_path: Path) -> None:
    """A text has no entries."""
    file = write(tmp_path / "a.yaml", "n" * 101)
    assert refused(file) == [f"{file}:4:3: rules[0].name: must have at most 100 characters"]


def test_a_pipe_among_the_rules_is_refused_and_the_rest_is_checked(tmp_path: Path) -> None:
    """Nobody waits for it."""
    os.mkfifo(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("rules: []\n")
    assert refused(tmp_path) == [
        f"{tmp_path}/a.yaml: is no regular file",
        f"{tmp_path}/b.yaml:1:1: version: is missing",
    ]
