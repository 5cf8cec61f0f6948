"""What we use of libraries that they do not promise: each by its name, with the reason.

A new major version is tried with these first; `pyproject.toml` lets none in by itself.
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import apprise
import pytest
import requests
import urllib3
import yaml
from akamai.edgegrid import EdgeGridAuth
from apprise.apprise_attachment import AppriseAttachment
from botocore.session import Session
from gunicorn import sock
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser
from gunicorn.workers.gthread import PollableMethodQueue, ThreadWorker
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from service import ROOT
from urllib3.connection import HTTPConnection
from werkzeug.routing import Map, Rule

from receiver.web.worker import KeptSettings

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"


class Seam(NamedTuple):
    """Names of something in a library that we use or override, and why."""

    reason: str
    get: Callable[[], Any]
    names: str


def worker() -> Any:
    one = ThreadWorker(1, 1, [], None, 30, Config(), None)
    one.tmp.close()
    return one


def parser() -> Any:
    return RequestParser(Config(), (), ("127.0.0.1", 1))


def request() -> Any:
    one = parser()
    one.unreader.unread(HEAD)
    return next(one)


SEAMS = {
    "gunicorn's threaded worker": Seam(
        "no request holds a thread before it is whole: gunicorn calls these, which are ours",
        lambda: ThreadWorker,
        "run accept handle handle_error get_thread_pool wait_for_and_dispatch_events "
        "murder_keepalived _cap_keepalive",
    ),
    "its state": Seam(
        "connections are registered, counted and handed over as gunicorn does it",
        worker,
        "poller method_queue nr_conns cfg log handle_request",
    ),
    "its queue": Seam(
        "the thread that accepts takes over what other threads have ended",
        lambda: PollableMethodQueue,
        "defer",
    ),
    "gunicorn's parser": Seam(
        "a head is parsed when it is whole, not while a thread waits for the rest",
        parser,
        "unreader req_count",
    ),
    "its buffer": Seam(
        "bytes that were read without waiting are put where the parser reads",
        lambda: parser().unreader,
        "buf unread take_buffered",
    ),
    "gunicorn's request": Seam(
        "whether a body is read is decided by its head, and told to who expects 100-continue",
        request,
        "_expected_100_continue force_close headers path body",
    ),
    "its body": Seam(
        "a body of unknown length is read otherwise than one that is announced",
        lambda: request().body,
        "reader failed",
    ),
    "the reader of its body": Seam(
        "the length that was announced", lambda: request().body.reader, "length"
    ),
    "gunicorn's sockets": Seam(
        "the handshake is ours, the context is what gunicorn's settings say",
        lambda: sock,
        "ssl_context",
    ),
    "urllib3's connection": Seam(
        "each new connection is made by the guard, to the address that it has checked",
        lambda: HTTPConnection("localhost"),
        "_new_conn _dns_host socket_options sock response_class",
    ),
    "urllib3's pools": Seam(
        "a pool makes guarded connections and no others",
        urllib3.PoolManager,
        "pool_classes_by_scheme",
    ),
    "a pool's connections": Seam("likewise", lambda: urllib3.HTTPConnectionPool, "ConnectionCls"),
    "Python's response": Seam(
        "a head that broke off is no answer", lambda: http.client.HTTPResponse, "begin"
    ),
    "requests' session": Seam(
        "requests would read a redirect's whole answer although it is not followed",
        requests.Session,
        "get_redirect_target",
    ),
    "PyYAML's loader": Seam(
        "the composer, in C, calls these for each node: so its depth is bounded",
        lambda: yaml.CSafeLoader,
        "descend_resolver ascend_resolver",
    ),
    "Werkzeug's routes": Seam(
        "the tests' apps share what makes the URLs of their routes (doors.py)",
        lambda: next(Map([Rule("/")]).iter_rules()),
        "_compile_builder _trace",
    ),
    "botocore's credentials": Seam(
        "providers that would ask the network or start a program are taken out",
        lambda: Session().get_component("credential_provider"),
        "remove",
    ),
    "EdgeGrid's signer": Seam(
        "it signs what our client sends, instead of sending by itself",
        lambda: EdgeGridAuth("a", "b", "c").ah,
        "make_auth_header",
    ),
    "the SDK's queue of spans": Seam(
        "spans for which it has no room are counted, which it tells nobody",
        lambda: BatchSpanProcessor(ConsoleSpanExporter())._batch_processor,
        "_queue _max_queue_size",
    ),
    "the SDK's batches": Seam(
        "likewise", lambda: BatchSpanProcessor(ConsoleSpanExporter()), "_batch_processor"
    ),
    "Apprise's services": Seam(
        "where it would call is looked at before it does, and what it does there is bounded",
        lambda: apprise.Apprise.instantiate("json://localhost"),
        "templates host notify overflow_mode redirects socket_connect_timeout socket_read_timeout",
    ),
    "Apprise's attachments": Seam(
        "an address that names a file of this host is refused",
        AppriseAttachment,
        "__len__",
    ),
}

DOCUMENTED = {"_exit", "_current_frames", "_make", "_mapping", "_replace", "_value_"}
"""Names of Python and SQLAlchemy with an underscore that their documentation promises."""


@pytest.mark.parametrize("name", SEAMS)
def test_the_library_still_has_what_we_use_of_it(name: str) -> None:
    """Where it has gone, what was built on it has to be thought over."""
    seam = SEAMS[name]
    owner = seam.get()
    assert [one for one in seam.names.split() if not hasattr(owner, one)] == [], seam.reason


def test_gunicorn_calls_what_the_worker_overrides() -> None:
    """A method that it no longer calls is still there, and nothing happens any more."""
    called = {
        name
        for one in (ThreadWorker.run, ThreadWorker.init_process, ThreadWorker.set_accept_enabled)
        for name in one.__code__.co_names
    }
    wanted = {"get_thread_pool", "accept", "wait_for_and_dispatch_events", "murder_keepalived"}
    assert wanted | {"_cap_keepalive"} <= called
    assert "_new_conn" in HTTPConnection.connect.__code__.co_names


def test_no_other_private_name_of_a_library_is_used() -> None:
    """A seam that nobody has written down is one that an update breaks."""
    known = {name for seam in SEAMS.values() for name in seam.names.split()} | DOCUMENTED
    found = {
        name
        for folder in ("receiver", "handlers")
        for file in (ROOT / folder).rglob("*.py")
        for line in file.read_text(encoding="utf-8").splitlines()
        for name in re.findall(r"\.(_[a-z]\w*)", line.partition("  # ")[0])
        if not re.search(rf"\b(self|cls|super\(\))\.{name}\b", line) or "SLF001" in line
    }
    assert found - known == set()


def test_gunicorn_takes_settings_that_are_kept() -> None:
    """They are those of its own configuration, and the parser asks for nothing else."""
    config = Config()
    config.set("limit_request_line", 100)
    kept = KeptSettings(config)
    one = RequestParser(kept, (), ("127.0.0.1", 1))
    one.unreader.unread(HEAD)
    assert next(one).limit_request_line == kept.limit_request_line == 100
    names = [
        *config.settings,
        "is_ssl",
        "address",
        "worker_class_str",
        "uid",
        "gid",
        "logger_class",
    ]
    assert [str(getattr(kept, name)) for name in names] == [
        str(getattr(config, name)) for name in names
    ]
    with pytest.raises(AttributeError):
        _ = kept.no_such_setting
