"""The chart as rendered by both versions of Helm, parsed into objects."""

from __future__ import annotations

import functools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.engines import find, missing, starts

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm"
SHAPES = sorted(path.stem for path in (CHART / "ci").glob("*.yaml"))
# The oldest and the newest supported Kubernetes, and the first with the sleep action of preStop hooks.
OLDEST, SLEEPS, NEWEST = "1.25.0", "1.30.0", "1.37.0"
HELMS = ("helm3", "helm4")

Object = dict[str, Any]


def program(name: str) -> str:
    """Return its path; if it is missing, skip, or fail in CI, where .ci/helm and .ci/programs install it."""
    starts(name)
    found = find(name)
    if found is None and name in HELMS:
        # A user has one Helm, called helm, of either version.
        plain = find("helm")
        if plain and _version(plain) == name.removeprefix("helm"):
            found = plain
    return found or missing(f"needs {name} on PATH")


def _version(helm: str) -> str:
    said = subprocess.run([helm, "version", "--short"], capture_output=True, text=True, check=False).stdout
    match = re.match(r"v(\d+)\.", said)
    return match.group(1) if match else ""


def run(*words: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=250, check=False)


@functools.cache
def rendered(
    helm: str, *words: str | Path, kubernetes: str = NEWEST, chart: Path = CHART, release: str = "shop"
) -> str:
    done = run(
        *(program(helm), "template", release, chart, "--namespace", "shop"),
        *("--kube-version", kubernetes, *words),
    )
    assert done.returncode == 0, done.stderr
    # A warning about a value of the wrong type is easily missed, and the value is lost.
    assert "warning" not in done.stderr.lower(), done.stderr
    return done.stdout


def shape(helm: str, name: str, *words: str | Path, kubernetes: str = NEWEST) -> str:
    return rendered(helm, "-f", CHART / "ci" / f"{name}.yaml", *words, kubernetes=kubernetes)


class _Strict(yaml.SafeLoader):
    """Refuses duplicate keys, as Kustomize and others do; PyYAML takes the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        made = super().construct_mapping(node, deep)
        assert len(made) == len(node.value), f"a key twice in {sorted(key.value for key, _ in node.value)}"
        return made


def objects(text: str) -> list[Object]:
    return [each for each in yaml.load_all(text, _Strict) if each is not None]


def of_kind(all_: list[Object], kind: str) -> list[Object]:
    return [each for each in all_ if each["kind"] == kind]


def one(all_: list[Object], kind: str) -> Object:
    (found,) = of_kind(all_, kind)
    return found


def pod_of(all_: list[Object]) -> Object:
    spec = one(all_, "Deployment")["spec"]["template"]["spec"]
    assert isinstance(spec, dict)
    return spec


def containers(pod: Object) -> Iterator[Object]:
    yield from pod.get("initContainers", [])
    yield from pod["containers"]


def gateway_of(pod: Object) -> Object:
    (found,) = (each for each in containers(pod) if each["name"] == "gateway")
    return found


def refusal(helm: str, *words: str | Path, kubernetes: str = NEWEST) -> str:
    """Return Helm's error message."""
    done = run(program(helm), "template", "shop", CHART, "--kube-version", kubernetes, *words)
    assert done.returncode != 0, done.stdout
    return done.stderr
