"""One Kubernetes for all tests here; each test runs in the node's network, where Services have addresses."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cluster.build import built, programs
from tests.support.cluster.images import gateway_archive, pause_archive
from tests.support.cluster.inside import network_of
from tests.support.cluster.node import CNI, NEEDED, Node, running
from tests.support.engines import find, missing
from tests.support.rendering import HELMS


@pytest.fixture(scope="session")
def api_server() -> Iterator[Node]:
    """etcd and an API server that know the custom resources the chart makes."""
    if os.geteuid() != 0:
        missing("needs root, for namespaces of its own")
    if not built():
        missing("needs a Kubernetes: `python3 -m tests.support.cluster.build` takes some 10 minutes of CPU")
    with running(Path(tempfile.mkdtemp(prefix="kubernetes-", dir="/tmp"))) as node:
        with network_of(node.pid):
            node.kubectl("apply", "--server-side", "-f", programs() / "crds")
            node.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        yield node


@pytest.fixture(scope="session")
def pods(api_server: Node) -> Node:
    """The same, and it runs pods of this checkout's image."""
    gone = [name for name in NEEDED if find(name) is None]
    if gone or not (CNI / "ptp").exists():
        missing(
            f"needs {', '.join(gone) or CNI}: apt-get install containerd runc containernetworking-plugins "
            "iptables conntrack"
        )
    api_server.start_pods([pause_archive(api_server.folder), gateway_archive()])
    return api_server


@pytest.fixture(autouse=True)
def inside(api_server: Node) -> Iterator[None]:
    with network_of(api_server.pid):
        yield


@pytest.fixture(params=HELMS)
def helm(request: pytest.FixtureRequest) -> str:
    name = request.param
    assert isinstance(name, str)
    return name
