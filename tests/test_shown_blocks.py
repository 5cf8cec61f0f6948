"""Every fenced block of our pages is run or checked, or it is told here why it is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from in_process import run_command
from manifests import check_schema
from pydantic.alias_generators import to_camel
from service import ROOT
from shown_blocks import BLOCKS, Block, commands

from receiver.cli import cli
from receiver.rules.schema.rule_file import Rule
from receiver.settings.loading import load_settings
from receiver.settings.model import Settings

RUN = {
    ("README.md", "newcomer"): "story/test_readme.py",
    ("docs/api.md", "requests"): "story/test_api_page.py",
    ("docs/commands.md", "commands"): "story/test_commands_page.py",
    ("docs/commands.md", "on postgresql"): "story/test_commands_page.py",
    ("docs/helm.md", "values"): "k8s/test_chart.py",
    ("docs/kubernetes.md", "file"): "k8s/test_overlays.py",
    ("docs/operating.md", "acts"): "story/test_operating.py",
    ("docs/postgresql.md", "pgbouncer"): "story/test_pgbouncer.py",
    ("docs/postgresql.md", "restore"): "story/test_shared_ledger.py",
    ("docs/postgresql.md", "sql"): "story/shared_hosts.py",
    ("docs/postgresql.md", "tuning"): "story/shared_hosts.py",
    ("docs/tutorial.md", "file"): "story/test_followed_pages.py",
    ("docs/tutorial.md", "terminal"): "story/test_followed_pages.py",
    ("docs/tutorial.md", "text"): "story/test_followed_pages.py",
    ("docs/leave-out.md", "file"): "story/test_followed_pages.py",
    ("docs/leave-out.md", "terminal"): "story/test_followed_pages.py",
    ("docs/leave-out.md", "text"): "story/test_followed_pages.py",
    ("docs/intake.md", "json"): "web/test_intake_page.py",
    ("docs/writing-a-handler.md", "python"): "test_writing_a_handler.py",
    ("docs/writing-a-handler.md", "toml"): "test_writing_a_handler.py",
    ("examples/handler-package/README.md", "yaml"): "story/test_third_party.py",
}
"""The test that runs blocks of a page: those with a marker, or those of a language."""

NOT_RUN = {
    "README.md": "an engine for images and a cluster; `make run` serves until it is stopped",
    "CONTRIBUTING.md": "the targets are what tests are run by",
    "bench/README.md": "hours",
    "examples/handler-package/README.md": "an index; test_third_party.py installs the package",
    "examples/team-rule/README.md": "a cluster; tenants/test_worked_example.py does the same",
    "docs/argocd-connection.md": "an Argo CD; argocd_room/ has tests of what is shown",
    "docs/argocd-tab.md": "an Argo CD; web/test_argocd_tab.py has the requests",
    "docs/helm.md": "a cluster that runs pods; k8s/test_chart_installed.py has one without",
    "docs/from-a-webhook.md": "nothing: it is what a script would have",
    "docs/intake.md": "nothing: it is the form of a request",
    "docs/kubernetes.md": "a cluster that runs pods; k8s/ has tests on a real control plane",
    "docs/network.md": "a host elsewhere; story/test_ipv6.py serves on IPv6",
    "docs/operating.md": "a ledger that is lost or damaged; story/test_damaged_ledger.py has one",
    "docs/page.md": "a cluster and a login of Dex",
    "docs/postgresql.md": "a server elsewhere; story/test_shared_hosts.py has its own",
    "docs/reliability.md": "half an hour; `make test` runs the short form",
    "docs/rules.md": "a trigger of Argo CD; web/test_intake_door.py has the answers",
    "docs/security.md": "an Argo CD",
    "docs/team-rules.md": "a cluster; tenants/test_worked_example.py has the answers",
    "docs/tenants.md": "a cluster; tenants/test_worked_example.py has the rights",
    "docs/tracing.md": "a collector; story/test_traces.py has its own",
    "docs/truth.md": "a connection; story/test_truth.py has one",
    "docs/tutorial.md": "an index; test_dist.py installs the wheel",
    "docs/writing-a-handler.md": "an index; test_third_party.py installs the package",
    "docs/api.md": "two variables, which the test of the page sets",
    "docs/architecture.md": "nothing: pictures of the code, whose files test_docs.py looks for",
    "docs/command-options.md": "nothing: it is generated from the commands' own help",
    "docs/commands.md": "a trail that is followed without end, and a login shell",
    "docs/audit-trail.md": "a server that goes on",
    "docs/hook-messages.md": "a cluster; story/test_hook_messages.py posts the messages",
}
"""What the commands of a page, or what it shows, would take to run; what they name is checked."""

SNIPPETS = {
    "resources": "a kustomization that k8s/test_manifests.py builds",
    "patches": "a kustomization over k8s/overlays/postgres-ha, as kubectl builds it",
    "receivers": "settings of OpenTelemetry's collector",
    "data": "Argo CD's argocd-cm and argocd-cmd-params-cm: web/test_argocd_tab.py",
    "accounts.postsync": "Argo CD's argocd-cm and argocd-rbac-cm",
    "staticClients": "Dex's settings",
    "spec": "Argo CD's AppProject",
    "body": "a template of Argo CD: test_argocd_trigger.py",
    "template.health": "a template of Argo CD: story/test_degraded.py",
}
"""YAML of others, by its first key, and what else there is of it."""

RULE_KEYS = {field.alias or name for name, field in Rule.model_fields.items()}
SETTINGS = {to_camel(name) for name in Settings.model_fields}


def runner(block: Block) -> str | None:
    """The test that runs the block."""
    for what in (block.marker.partition(" ")[0], block.marker, block.language):
        if test := RUN.get((block.page, what)):
            return test
    return None


def rest(*languages: str) -> list[Any]:
    """The blocks in these languages that no test of their own runs."""
    return [pytest.param(block, id=str(block)) for block in BLOCKS
            if block.language in languages and not runner(block)]  # fmt: skip


@pytest.mark.parametrize(("page", "what"), RUN)
def test_there_are_blocks_for_each_test(page: str, what: str) -> None:
    """Should a marker get lost, the test would be one of nothing."""
    assert (ROOT / "tests" / RUN[page, what]).is_file()
    assert [block for block in BLOCKS if block.page == page and runner(block) == RUN[page, what]]


def test_it_is_told_why_a_block_is_not_run() -> None:
    """Of each page with such blocks, and of no other."""
    pages = {one.values[0].page for one in rest("sh", "console", "", "mermaid")}
    assert sorted(pages) == sorted(NOT_RUN)


def test_no_block_is_in_a_language_that_nothing_checks() -> None:
    """Those that are run aside."""
    known = {"sh", "console", "", "mermaid", "yaml"}
    assert {block.language for block in BLOCKS if not runner(block)} <= known


@pytest.mark.parametrize("block", rest("sh", "console", ""))
def test_what_a_command_names_is_there(block: Block) -> None:
    """Each command and option of ours, each target of make, each folder of a kustomization."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in commands(block.text):
        match words:
            case ["postsync", name, *arguments]:
                _parse(name, arguments)
            case ["make", target, *_]:
                assert target in targets
            case ["kubectl", "apply", "--kustomize", folder] if not folder.startswith("my-"):
                bases = ROOT, ROOT / Path(block.page).parent
                assert any((base / folder).is_dir() for base in bases)


def _parse(name: str, arguments: list[str]) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None, name
    command.make_parser(click.Context(command, info_name=name)).parse_args(arguments)


@pytest.mark.parametrize("block", rest("yaml"))
def test_yaml_is_valid(block: Block, tmp_path: Path) -> None:
    """As a rule file or a part of one, as settings, as an object of Kubernetes."""
    for tree in yaml.safe_load_all(block.text):
        if tree is not None:
            _check_yaml(tree, block, tmp_path)


def _check_yaml(tree: Any, block: Block, folder: Path) -> None:
    keys = set(tree[0] if isinstance(tree, list) else tree)
    if keys & SNIPPETS.keys() and next(iter(tree)) in SNIPPETS:
        return
    if "kind" in keys and tree["kind"] not in {"PostSyncRule", "Kustomization"}:
        check_schema(tree)
    elif keys <= SETTINGS and "rules" not in keys:
        (folder / "settings.yaml").write_text(block.text)
        assert load_settings(folder / "settings.yaml").model_fields_set
    elif "kind" not in keys or tree["kind"] == "PostSyncRule":
        _check_rules(tree, keys, folder)


def _check_rules(tree: Any, keys: set[str], folder: Path) -> None:
    """Complete what is a part of a rule, and check it as a user does."""
    if isinstance(tree, list):
        tree = {"rules": tree}
    elif keys <= RULE_KEYS:
        tree = {"rules": [tree]}
    elif not keys & {"rules", "kind"}:
        tree = {"rules": [{"actions": [_action(tree)]}]}
    if "rules" in tree:
        tree = {"version": 1} | tree
        for rule in tree["rules"]:
            rule.setdefault("name", "shown")
            rule.setdefault("match", {"resources": [{"kind": "ConfigMap"}]})
            rule.setdefault("actions", [_action({"text": "x"}) | {"target": "application"}])
            for action in rule["actions"]:
                if action.get("with", {}).keys() == {"..."}:
                    action["with"] = {"url": "https://example.com"}
    file = folder / "rules.yaml"
    file.write_text(yaml.safe_dump(tree, sort_keys=False))
    done = run_command(("check", str(file)), environ={}, folder=folder)
    assert done.returncode == 0, done.stderr


def _action(parameters: dict[str, Any]) -> dict[str, Any]:
    """An action that has these among its parameters."""
    if "text" in parameters:
        return {"uses": "log.message", "target": "batch", "with": parameters}
    return {"uses": "http.request", "with": {"url": "https://example.com"} | parameters}
