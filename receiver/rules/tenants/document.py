"""What makes rules among the documents of a text, each read as a rule file of one rule.

These are PostSyncRules, and CronJobs that say by annotations what they follow.

So the rest of the code reads and checks both alike; only the places that problems tell are those
of the resource.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, Field, ValidationError

from receiver.core.errors import Problem
from receiver.core.validation import FieldError, Path, field_errors
from receiver.core.yaml_document import Document, read_all, read_yaml
from receiver.rules.schema.match import Strict
from receiver.rules.tenants.cron_job import (
    ANNOTATIONS,
    BY_SCHEDULE,
    SUSPEND,
    SUSPENDED,
    is_annotated,
    place_in_cron_job,
    rule_of,
    what_it_says,
)
from receiver.rules.tenants.names import (
    API_VERSION,
    CRON_JOB_RULE,
    KIND,
    cron_job_of,
    cron_job_rule,
    file_name,
)

RULE: Path = ("rules", 0)
NAME: Path = (*RULE, "name")
T = TypeVar("T")

OBJECT = re.compile(r"""^["'{ ]*kind\b|\bPostSyncRule|\bpostsync\.dev/""", re.MULTILINE)
"""What a text has that may be objects of Kubernetes; all others are read once."""

NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
LISTS = ("List", f"{KIND}List")
"""What `kubectl get` makes of several."""
NO_NAMESPACE = "in a file, what makes a rule names the namespace that it belongs to"
OF_CRON_JOBS = f"begins with {CRON_JOB_RULE}, as the names of rules that CronJobs make"
APPLY = (
    "a PostSyncRule comes into force in its cluster: kubectl apply -f FILE; `postsync convert` "
    "makes a rule file of it"
)
NAME_HINT = "metadata.name is the rule's name"


class _Metadata(Strict):
    """What is read of the metadata; the name is checked as that of a rule."""

    model_config = ConfigDict(extra="ignore")

    namespace: str = Field(pattern=f"^{NAMESPACE.pattern}$", max_length=63)


class _NamedMetadata(_Metadata):
    name: str


class _CronJob(Strict):
    model_config = ConfigDict(extra="ignore")

    metadata: _NamedMetadata


class _PostSyncRule(Strict):
    api_version: Literal["postsync.dev/v1alpha1"]
    kind: Literal["PostSyncRule"]
    metadata: _Metadata
    spec: Any
    status: Any = None


@dataclass
class ResourceDocument(Document):
    """One PostSyncRule, ``item``, as a rule file; ``whole`` is the document with it, at ``base``.

    ``written`` says that somebody wrote the text, so that its lines tell something.
    """

    whole: Document = field(default_factory=lambda: Document(""))
    base: Path = ()
    item: dict[str, Any] = field(default_factory=dict)
    namespace: str = ""
    written: bool = True

    def problem(self, path: Path, message: str, hint: str = "", column: int = 0) -> Problem:
        """Return a problem at a path of the rule file, told by the path in the resource."""
        found = self.whole.problem(self._place(path), message, hint, column)
        return found if self.written else replace(found, line=0, column=0)

    def _place(self, path: Path) -> Path:
        if path[:3] == NAME:
            return (*self.base, "metadata", "name", *path[3:])
        if path[:2] == RULE:
            return (*self.base, "spec", *path[2:])
        return self.base


@dataclass
class CronJobDocument(ResourceDocument):
    """One CronJob: what is wrong with its rule is told at its annotations."""

    def doubts(self) -> Iterator[Problem]:
        """Yield what is valid, and most likely not meant."""
        if self.item and not what_it_says(self.item)["spec"]["suspend"]:
            found = self.whole.problem((*self.base, *SUSPENDED), BY_SCHEDULE, SUSPEND)
            yield found if self.written else replace(found, line=0, column=0)

    def _place(self, path: Path) -> Path:
        return (*self.base, *place_in_cron_job(path[2:])) if path[:2] == RULE else self.base


def documents(file: str, text: str) -> Iterator[Document]:
    """Yield the rule file, or else each object among its documents that makes a rule.

    Other objects of Kubernetes are left out: a team keeps what belongs together in one folder.
    """
    found = read_all(file, text) if OBJECT.search(text) else []
    if not any(map(_is_object, found)):
        yield read_yaml(file, text)
        return
    for document in found:
        if _is_object(document):
            yield from _resources(document)
        elif document.data is not None or document.problems:
            yield document


def misplaced(file: str, text: str) -> Iterator[Problem]:
    """Yield each object of Kubernetes in what is to be a rule file in force."""
    for document in read_all(file, text) if OBJECT.search(text) else ():
        if _is_object(document):
            message = f"is a {document.data['kind']} of Kubernetes, and no rule file"
            yield document.problem((), message, APPLY)


def _is_object(document: Document) -> bool:
    data = document.data
    return isinstance(data, dict) and "kind" in data and "rules" not in data


def _resources(document: Document) -> Iterator[Document]:
    data = document.data
    if data["kind"] in LISTS and isinstance(data.get("items"), list):
        items: list[tuple[Path, Any]] = [
            (("items", index), item) for index, item in enumerate(data["items"])
        ]
    else:
        items = [((), data)]
    for base, item in items:
        if isinstance(item, dict) and _is_ours(item):
            yield _resource(document, base, item)
        elif isinstance(item, dict) and is_annotated(item):
            yield _cron_job(document, base, item)


def _is_ours(item: dict[str, Any]) -> bool:
    """Whether an object is, or was meant to be, one of ours."""
    return item.get("kind") == KIND or item.get("apiVersion") == API_VERSION


def _resource(whole: Document, base: Path, item: dict[str, Any]) -> ResourceDocument:
    """Return one PostSyncRule, with the problems of what is around its spec."""
    metadata, spec = item.get("metadata"), item.get("spec")
    about = metadata if isinstance(metadata, dict) else {}
    namespace, name = about.get("namespace"), about.get("name")
    named = {"name": name} if "name" in about else {}
    found = ResourceDocument(
        whole.file,
        data={"version": 1, "rules": [{**spec, **named} if isinstance(spec, dict) else spec]},
        whole=whole,
        base=base,
        item=item,
        namespace=namespace if isinstance(namespace, str) else "",
        written=whole.file != file_name(str(namespace), str(name)),
    )
    for part, place in ((("spec",), RULE), (("metadata", "name"), NAME)):
        at = (*base, *part)
        found.values |= _below(whole.values, at, place)
        found.unread |= _below(dict.fromkeys(whole.unread), at, place).keys()
    if not isinstance(metadata, dict):
        found.unread.add(NAME)
    if "spec" not in item:
        found.unread.add(RULE)
    found.problems += [*whole.problems, *_around(found, item)]
    return found


def _cron_job(whole: Document, base: Path, item: dict[str, Any]) -> CronJobDocument:
    """Return one CronJob, with the problems of its annotations."""
    found = CronJobDocument(whole.file, whole=whole, base=base)
    found.problems += whole.problems
    mistakes = _of_shape(_CronJob, item)
    if not mistakes:
        metadata = item["metadata"]
        found.item, found.namespace = item, metadata["namespace"]
        found.written = whole.file != file_name(found.namespace, cron_job_rule(metadata["name"]))
        rule, mistakes = rule_of(item)
        found.data = {"version": 1, "rules": [rule]} if rule else None
        found.values[RULE] = whole.values[(*base, *ANNOTATIONS)]
        found.values[NAME] = whole.values[(*base, "metadata", "name")]
    found.problems += _told(found, mistakes)
    return found


def _below(places: Mapping[Path, T], at: Path, place: Path) -> dict[Path, T]:
    """Return what is at or below ``at``, as below ``place``."""
    end = len(at)
    return {(*place, *path[end:]): value for path, value in places.items() if path[:end] == at}


def _around(found: ResourceDocument, item: dict[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong around the spec, and a name in it, which stands in the metadata."""
    mistakes = _of_shape(_PostSyncRule, item)
    if isinstance(item.get("spec"), dict) and "name" in item["spec"]:
        mistakes.append(FieldError(("spec", "name"), "unknown key", NAME_HINT))
    metadata = item.get("metadata")
    if isinstance(metadata, dict) and cron_job_of(str(metadata.get("name"))):
        mistakes.append(FieldError(("metadata", "name"), OF_CRON_JOBS))
    yield from _told(found, mistakes)


def _of_shape(model: type[Strict], item: dict[str, Any]) -> list[FieldError]:
    try:
        model.model_validate(item, by_alias=True, by_name=False)
    except ValidationError as error:
        return field_errors(error, model, item)
    return []


def _told(found: ResourceDocument, mistakes: Iterable[FieldError]) -> Iterator[Problem]:
    """Yield mistakes by their paths in the object."""
    for mistake in mistakes:
        hint = mistake.hint or (NO_NAMESPACE if mistake.path[-1:] == ("namespace",) else "")
        problem = found.whole.problem((*found.base, *mistake.path), mistake.message, hint)
        yield problem if found.written else replace(problem, line=0, column=0)
