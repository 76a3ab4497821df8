"""A Prometheus in the cluster, as its operator would run it: by ServiceMonitors and PrometheusRules alone.

The operator itself does not run: `prometheus-config`, which is of its own code, writes the configuration.
Debian's Prometheus has no discovery in Kubernetes: beside it runs Prometheus's own, in the same program, and
hands over what it finds in files.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.support.cluster.build import programs
from tests.support.cluster.images import built_archive, program_archive
from tests.support.cluster.node import Node
from tests.support.cluster.releases import labels_of_restricted
from tests.support.cluster.shop import Shop, container, deployment
from tests.support.rendering import HELMS, Object, program

# Its namespace, which a NetworkPolicy may name, and the label of what it takes, as of the most used chart.
SPACE, SELECTED = "prometheus", {"release": "prometheus"}
PORT = 9090
_CONFIG, _DATA, _TARGETS = "/etc/prometheus/config", "/prometheus", "/targets"
_GENERATOR = "prometheus-config"
# Where the operator's configuration expects rules: one folder for each of its ConfigMaps.
_RULES = "/etc/prometheus/rules/prometheus-k8s-rulefiles-0"


def _prometheus(binary: str) -> Object:
    """What one would give the operator."""
    said = subprocess.run([binary, "--version"], check=True, capture_output=True, text=True)
    version = re.search(r"version (\d+\.\d+\.\d+)", said.stdout + said.stderr)
    assert version, said
    everywhere: Object = {}
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Prometheus",
        "metadata": {"name": "k8s", "namespace": SPACE},
        "spec": {
            "version": f"v{version[1]}",
            "serviceMonitorSelector": {"matchLabels": SELECTED},
            "serviceMonitorNamespaceSelector": everywhere,
            "ruleSelector": {"matchLabels": SELECTED},
            "ruleNamespaceSelector": everywhere,
            # What the API server fills in where the resource is defined.
            "scrapeInterval": "30s",
            "evaluationInterval": "1s",
        },
    }


def _configured(node: Node, prometheus: Object) -> str:
    """The configuration, of all that is in the cluster."""
    found = json.loads(node.kubectl("get", "namespaces,servicemonitors", "-A", "-o", "json"))
    found["items"].append(prometheus)
    done = subprocess.run(
        [programs() / _GENERATOR],
        input=json.dumps(found),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # Where the operator would warn of something, nothing is to warn of.
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    made = done.stdout
    # In the pod the operator's reloader does this.
    for name, value in (("POD_NAME", "prometheus-k8s-0"), ("SHARD", "0")):
        made = made.replace(f"$({name})", value)
    return made


def _by_files(configured: str) -> str:
    """The same, all rules for labels too, and each job's targets from the file of its number."""
    made = yaml.safe_load(configured)
    for number, job in enumerate(made["scrape_configs"]):
        del job["kubernetes_sd_configs"]
        job["file_sd_configs"] = [{"files": [f"{_TARGETS}/{number}.json"]}]
    return yaml.safe_dump(made)


def _rules(node: Node) -> dict[str, str]:
    """Rule files: the operator writes the `spec` of a PrometheusRule as it is."""
    said = node.kubectl("get", "prometheusrules", "-A", "-l", "release=prometheus", "-o", "json")
    items = json.loads(said)["items"]
    return {
        f"{each['metadata']['name']}.yaml": json.dumps({"groups": each["spec"]["groups"]}) for each in items
    }


def _may_look(space: str) -> list[Object]:
    """Rights to find what is in this namespace, and nothing else anywhere."""
    metadata = {"name": "prometheus", "namespace": space}
    verbs = ["get", "list", "watch"]
    group = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "Role",
        "metadata": metadata,
        "rules": [
            {"apiGroups": [""], "resources": ["services", "endpoints", "pods"], "verbs": verbs},
        ],
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": metadata,
        "roleRef": {"apiGroup": group, "kind": "Role", "name": "prometheus"},
        "subjects": [{"kind": "ServiceAccount", "name": "prometheus", "namespace": SPACE}],
    }
    return [role, binding]


def _config_map(name: str, files: dict[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": files}


def _running(binary: str) -> Object:
    found = {"name": "targets", "mountPath": _TARGETS}
    finder = container(
        "",
        name="targets",
        image=f"{_GENERATOR}:local",
        command=[f"/{_GENERATOR}", "targets", f"{_CONFIG}/operator.yaml", _TARGETS],
        volumeMounts=[{"name": "config", "mountPath": _CONFIG}, found],
    )
    box = container(
        "",
        name="prometheus",
        image="prometheus:local",
        command=[
            *(binary, f"--config.file={_CONFIG}/prometheus.yaml", f"--storage.tsdb.path={_DATA}"),
            f"--web.listen-address=:{PORT}",
        ],
        volumeMounts=[
            {"name": "config", "mountPath": _CONFIG},
            {"name": "rules", "mountPath": _RULES},
            {"name": "data", "mountPath": _DATA},
            found,
        ],
        readinessProbe={"httpGet": {"path": "/-/ready", "port": PORT}, "periodSeconds": 1},
    )
    volumes: list[Object] = [
        {"name": "config", "configMap": {"name": "prometheus"}},
        {"name": "rules", "configMap": {"name": "rules"}},
        {"name": "data", "emptyDir": {}},
        {"name": "targets", "emptyDir": {}},
    ]
    made = deployment("prometheus", box, finder, volumes=volumes)
    made["spec"]["template"]["spec"].update(
        {"serviceAccountName": "prometheus", "automountServiceAccountToken": True}
    )
    return made


@contextmanager
def prometheus(node: Node, folder: Path, space: str) -> Iterator[str]:
    """Run one that finds by itself what is in this namespace; the address of its pod."""
    binary = program("prometheus")
    node.load_image(program_archive(folder, "prometheus", binary))
    node.load_image(built_archive(folder, _GENERATOR))
    node.kubectl("apply", "-f", "-", stdin=json.dumps(labels_of_restricted(SPACE)))
    try:
        made = Shop(node, HELMS[0], SPACE)
        rights = {"apiVersion": "v1", "kind": "List", "items": _may_look(space)}
        node.kubectl("apply", "-f", "-", stdin=json.dumps(rights))
        configured = _configured(node, _prometheus(binary))
        files = {"operator.yaml": configured, "prometheus.yaml": _by_files(configured)}
        made.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "prometheus"}},
            _config_map("prometheus", files),
            _config_map("rules", _rules(node)),
            _running(binary),
        )
        made.rolled_out("prometheus")
        (pod,) = made.pods(app="prometheus")
        yield pod["status"]["podIP"]
    finally:
        node.kubectl("delete", "namespace", SPACE, "--wait=false")
