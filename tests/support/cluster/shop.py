"""What stands around a gateway in the cluster: a namespace, the API, the secrets, and who has tokens."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.cluster.node import Node
from tests.support.cluster.releases import Release, namespace
from tests.support.container_engine import IMAGE
from tests.support.load import tokens
from tests.support.rendering import CHART, HELMS, Object
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, key_set_document

PROGRAM = Path(__file__).parents[2] / "kubernetes" / "orders.py"
SECRETS = "/etc/cognito-gateway-secrets"
REPOSITORY, _, TAG = IMAGE.partition(":")
KEY = KeyPair.generate("cluster")

# What pod security `restricted` asks of a container.
CONFINED: Object = {
    "runAsNonRoot": True,
    "runAsUser": 1000,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
PROGRAM_VOLUME: Object = {"name": "program", "configMap": {"name": "orders-program"}}
PROGRAM_MOUNT: Object = {"name": "program", "mountPath": "/program"}


def container(where: str, **more: Any) -> Object:
    """The API's, listening there."""
    return {
        "name": "orders",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python", "/program/orders.py", where],
        "volumeMounts": [PROGRAM_MOUNT],
        "securityContext": CONFINED,
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}},
        **more,
    }


def deployment(
    name: str, *containers: Object, replicas: int = 1, volumes: list[Object] | None = None
) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": 1,
                    "containers": list(containers),
                    "volumes": volumes or [],
                },
            },
        },
    }


def service(name: str, port: int, target: int, selector: dict[str, str] | None = None) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": selector or {"app": name}, "ports": [{"port": port, "targetPort": target}]},
    }


def base(**more: Any) -> Object:
    """Values of a gateway of this checkout's image with the tests' pool, its keys in a Secret."""
    pool = {"id": POOL_ID, "client_ids": [CLIENT_ID], "jwks_file": f"{SECRETS}/jwks.json"}
    values: Object = {
        "image": {"repository": REPOSITORY, "tag": TAG, "pullPolicy": "Never"},
        "existingSecret": "gateway-secrets",
        "config": {
            "listen": {"drain_delay": "3s", "drain_timeout": "14s"},
            "cognito": {"user_pools": [pool]},
            "sign_in": {"enabled": False},
        },
        "resources": {"requests": {"cpu": "20m", "memory": "96Mi"}, "limits": {"memory": "256Mi"}},
        "readinessProbe": {"periodSeconds": 1},
    }
    return merged(values, more)


def standalone(**more: Any) -> Object:
    return base(**merged({"upstream": {"url": "http://orders:3000"}}, more))


def sidecar(*, native: bool, **more: Any) -> Object:
    probe = {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1}
    values: Object = {
        "mode": "sidecar",
        "nativeSidecar": native,
        "config": {"routes": [{"path": "/health", "auth": "none"}, {"path": "/**"}]},
        "app": container("127.0.0.1:3000", port=3000, readinessProbe=probe),
        "extraVolumes": [PROGRAM_VOLUME],
    }
    return base(**merged(values, more))


def merged(first: Object, second: Object) -> Object:
    both = dict(first)
    for key, value in second.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


class Shop(Release):
    """A release called `shop` in a namespace of its own, with the API beside it."""

    def apply(self, *made: Object) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(made)})
        self.kubectl("apply", "-f", "-", stdin=text)

    def keep(self, files: Mapping[str, str]) -> None:
        """Write the gateway's Secret: the key set of `KEY`, and these."""
        every = {"jwks.json": key_set_document(KEY).decode(), **files}
        data = {name: base64.b64encode(text.encode()).decode() for name, text in every.items()}
        metadata = {"name": "gateway-secrets"}
        self.apply({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})

    def prepare(self, secrets: Mapping[str, str] | None = None) -> None:
        self.keep(secrets or {})
        self.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "orders-program"},
                "data": {"orders.py": PROGRAM.read_text()},
            },
        )

    def start_orders(self) -> None:
        self.apply(
            deployment("orders", container("0.0.0.0:3000"), volumes=[PROGRAM_VOLUME]),
            service("orders", 3000, 3000),
        )
        self.rolled_out("orders")

    def put(self, values: Object, *words: str, chart: Path = CHART) -> None:
        """Install or upgrade, and wait until every pod is ready."""
        file = self.node.folder / f"{self.space}.json"
        file.write_text(json.dumps(values))
        self.install("-f", file, *words, chart=chart)

    def rolled_out(self, name: str = "shop-cognito-gateway", seconds: float = 180) -> None:
        try:
            self.kubectl(
                "rollout", "status", f"deployment/{name}", f"--timeout={seconds:.0f}s", seconds=seconds + 20
            )
        except AssertionError as error:
            seen = self.kubectl("describe", "pods")[-4000:] + self.kubectl("get", "events")[-3000:]
            raise AssertionError(f"{error}\n{seen}") from None
        self._reached(name)

    def _reached(self, name: str, seconds: float = 60) -> None:
        """A Service leads to a pod that is ready a moment after that is known."""
        until = time.monotonic() + seconds
        for each in self.get("services", f"--field-selector=metadata.name={name}"):
            address = (each["spec"]["clusterIP"], each["spec"]["ports"][0]["port"])
            while True:
                try:
                    socket.create_connection(address, timeout=10).close()
                    break
                except OSError:
                    if time.monotonic() > until:
                        raise
                    time.sleep(0.2)

    def pods(self, *, app: str = "", ready: bool = True) -> list[Object]:
        label = f"app={app}" if app else "app.kubernetes.io/instance=shop,app.kubernetes.io/component!=test"
        return [
            pod
            for pod in self.get("pods", "-l", label)
            if "deletionTimestamp" not in pod["metadata"] and (not ready or _is_ready(pod))
        ]

    def states(self, container_: str = "gateway", *, app: str = "") -> list[Object]:
        """The containers of this name, also of pods that are not ready."""
        return [
            state
            for pod in self.pods(app=app, ready=False)
            for kind in ("containerStatuses", "initContainerStatuses")
            for state in pod["status"].get(kind, [])
            if state["name"] == container_
        ]

    def kill(self, container_: str = "gateway", *, app: str = "") -> None:
        """One of them, as the kernel does."""
        first = next(each for each in self.states(container_, app=app) if "running" in each["state"])
        self.node.kill_container(first["containerID"].rpartition("/")[2])

    def address(self, name: str = "shop-cognito-gateway") -> str:
        (found,) = (each for each in self.get("services") if each["metadata"]["name"] == name)
        address = found["spec"]["clusterIP"]
        assert isinstance(address, str)
        return address

    def log(self, pod: str, container_: str = "gateway") -> list[Object]:
        lines = self.kubectl("logs", pod, "-c", container_).splitlines()
        return [json.loads(line) for line in lines if line[:1] == "{"]


def _is_ready(pod: Object) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def people(number: int) -> list[str]:
    """Tokens that the gateway knows the key of."""
    return tokens(KEY, number)


@contextmanager
def shop(
    node: Node,
    space: str,
    *,
    orders: bool = True,
    helm: str = HELMS[0],
    secrets: Mapping[str, str] | None = None,
) -> Iterator[Shop]:
    with namespace(node, space):
        made = Shop(node, helm, space)
        made.prepare(secrets)
        if orders:
            made.start_orders()
        yield made
