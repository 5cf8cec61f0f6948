"""A real Kubernetes API server with RBAC, its controller manager and etcd, on loopback.

As in a cluster the API server has its watch cache, over an etcd of its time. Nodes are missing:
`kubelet.py` stands in for one where a test wants pods to run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from certificates import make, openssl
from kube import ADMIN, PATIENCE, Kube
from service import free_port

HERE = Path(__file__).parent / "cluster"
RELEASE = str(
    re.findall(r"^require k8s.io/kubernetes v(\S+)", (HERE / "go.mod").read_text(), re.MULTILINE)[0]
)
CACHES = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
CACHE = CACHES / f"postsync-tests/kube-{RELEASE}"


def program(name: str) -> Path | None:
    """Find a program where envtest looks, where `make test-deps` builds it, or on the PATH."""
    folders = [Path(os.environ.get("KUBEBUILDER_ASSETS") or CACHE), CACHE]
    found = [folder / name for folder in folders if (folder / name).exists()]
    on_path = shutil.which(name)
    return found[0] if found else Path(on_path) if on_path else None


GO_ENVIRON = {**os.environ, "GOGC": "400"}
"""Garbage is searched for a quarter as often: a test on them takes a fifth less of a core."""
PROGRAMS = ("etcd", "kube-apiserver", "kube-controller-manager", "openssl")


@contextmanager
def cluster(folder: Path) -> Iterator[Kube]:
    """Start a control plane, or skip the test with the reason why there is none."""
    missing = [name for name in PROGRAMS if program(name) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} here; `make test-deps` installs and builds them")
    started: list[subprocess.Popen[bytes]] = []
    kube = None
    try:
        kube = _started(folder, started)
        yield kube
    finally:
        if kube is not None:
            kube.close()
        for process in started:
            process.kill()  # nothing of it is kept, and an orderly end takes a minute
            process.wait(PATIENCE)


def _started(folder: Path, started: list[subprocess.Popen[bytes]]) -> Kube:
    certificate, key = make(folder)
    openssl(folder, "genrsa", "-out", "accounts.key", "2048")
    (folder / "tokens.csv").write_text(f'{ADMIN},admin,1,"system:masters"\n')
    etcd, port = f"http://127.0.0.1:{free_port()}", free_port()
    kube = Kube(f"https://127.0.0.1:{port}", certificate)

    def start(name: str, **options: str) -> None:
        words = [f"--{option.replace('_', '-')}={value}" for option, value in options.items()]
        with (folder / f"{name}.log").open("wb") as log:
            started.append(
                subprocess.Popen([str(program(name)), *words], stdout=log, stderr=log, cwd=folder,
                                 env=GO_ENVIRON)
            )  # fmt: skip

    start(
        "etcd", data_dir=str(folder / "etcd"), listen_client_urls=etcd, advertise_client_urls=etcd,
        listen_peer_urls=f"http://127.0.0.1:{free_port()}", unsafe_no_fsync="true",
    )  # fmt: skip
    start("kube-apiserver", **_api_server(folder, etcd, port, certificate, key))
    _wait(kube.ready, started, folder)
    (folder / "kubeconfig").write_text(kube.kubeconfig())
    start(
        "kube-controller-manager", kubeconfig=str(folder / "kubeconfig"), leader_elect="false",
        service_account_private_key_file="accounts.key", secure_port="0",
        controllers="job-controller,cronjob-controller,garbage-collector-controller,"
        "serviceaccount-controller,namespace-controller,ttl-after-finished-controller,"
        "deployment-controller,replicaset-controller,root-ca-certificate-publisher-controller,"
        "clusterrole-aggregation-controller",
        root_ca_file=str(certificate),
    )  # fmt: skip
    path = "/api/v1/namespaces/default/serviceaccounts/default"
    _wait(lambda: kube.find(path) is not None, started, folder)
    return kube


def _api_server(
    folder: Path, etcd: str, port: int, certificate: Path, key: Path
) -> Mapping[str, str]:
    accounts = str(folder / "accounts.key")
    return {
        "etcd_servers": etcd,
        "bind_address": "127.0.0.1",
        "advertise_address": "127.0.0.1",
        "endpoint_reconciler_type": "none",
        "secure_port": str(port),
        "tls_cert_file": str(certificate),
        "tls_private_key_file": str(key),
        "authorization_mode": "RBAC",
        "token_auth_file": str(folder / "tokens.csv"),
        "service_account_issuer": "https://kubernetes.default.svc",
        "service_account_key_file": accounts,
        "service_account_signing_key_file": accounts,
        "service_cluster_ip_range": "10.0.0.0/24,fd00::/112",  # Services of both families
        "kubelet_preferred_address_types": "InternalIP",
        "audit_policy_file": str(HERE / "audit.yaml"),
        "audit_log_path": str(folder / "audit.log"),
    }


def _wait(there: Callable[[], bool], started: list[subprocess.Popen[bytes]], folder: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not there():
        ended = [process for process in started if process.poll() is not None]
        logs = "".join(log.read_text()[-500:] for log in folder.glob("*.log"))
        assert not ended, f"a part of the cluster has ended: {logs}"
        assert time.monotonic() < until, f"the cluster did not start: {logs}"
        time.sleep(0.05)
