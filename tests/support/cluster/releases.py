"""Releases of the chart in the node's cluster, by a Helm of either version, and what is live of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.cluster.node import Node
from tests.support.rendering import CHART, ROOT, Object, program

# Of every namespace here: pod security `restricted` is enforced, and warned of where a pod is a template.
RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/warn": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
}


@dataclass
class Release:
    """One release's name, in its namespace."""

    node: Node
    helm: str
    space: str
    name: str = "shop"

    def run(
        self, *words: str | Path, check: bool = True, seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [program(self.helm), *words, "--namespace", self.space],
            cwd=ROOT,
            env=self.node.environ,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check:
            assert done.returncode == 0, f"helm {' '.join(map(str, words))}: {done.stdout}{done.stderr}"
        return done

    def quietly(self, *words: str | Path) -> str:
        """As `run`, and neither Helm nor the API server warns of anything."""
        done = self.run(*words)
        assert "warn" not in done.stderr.lower(), done.stderr
        return done.stdout

    def install(self, *values: str | Path, chart: Path = CHART) -> None:
        self.quietly("upgrade", "--install", self.name, chart, *values)

    def uninstall(self) -> None:
        self.quietly("uninstall", self.name, "--wait")

    def manifest(self) -> str:
        return self.run("get", "manifest", self.name).stdout

    # --- what is live ---

    def get(self, kind: str, *words: str) -> list[Object]:
        said = self.node.kubectl("get", kind, "-n", self.space, "-o", "json", *words)
        items = json.loads(said)["items"]
        assert isinstance(items, list)
        return items

    def kubectl(self, *words: str | Path, stdin: str | None = None, seconds: float = 120) -> str:
        return self.node.kubectl("-n", self.space, *words, stdin=stdin, seconds=seconds)


def labels_of_restricted(space: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": space, "labels": RESTRICTED},
    }


@contextmanager
def namespace(node: Node, space: str) -> Iterator[str]:
    """A namespace with pod security `restricted`, gone in the end where anybody removes namespaces."""
    node.kubectl("apply", "-f", "-", stdin=json.dumps(labels_of_restricted(space)))
    try:
        yield space
    finally:
        node.kubectl("delete", "namespace", space, "--wait=false")
