"""Every shape of helm/ci, installed, upgraded, rolled back and uninstalled against a real API server.

In namespaces with pod security `restricted`, with the real CustomResourceDefinitions, without one warning.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.cluster.build import programs
from tests.support.cluster.node import Node
from tests.support.cluster.releases import Release, namespace
from tests.support.rendering import CHART, HELMS, SHAPES, Object, objects, of_kind, shape

pytestmark = [pytest.mark.kubernetes, pytest.mark.slow]

# Where shapes write to beside their own namespace.
OTHERS = ("shop", "monitoring")


@pytest.fixture(scope="module", autouse=True)
def other_namespaces(api_server: Node) -> Iterator[None]:
    from tests.support.cluster.inside import network_of

    with network_of(api_server.pid), ExitStack() as stack:
        for space in OTHERS:
            stack.enter_context(namespace(api_server, space))
        yield


def _live(release: Release) -> dict[tuple[str, str], Object]:
    """What is in the cluster of what the release says it made, without what only the API server writes."""
    made = objects(release.manifest())
    for each in made:
        each["metadata"].setdefault("namespace", release.space)
    wanted = json.dumps({"apiVersion": "v1", "kind": "List", "items": made})
    said = release.node.kubectl("get", "-f", "-", "-o", "json", stdin=wanted)
    found = {}
    for each in json.loads(said)["items"]:
        meta = each["metadata"]
        for key in ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields"):
            meta.pop(key, None)
        meta.get("annotations", {}).pop("deployment.kubernetes.io/revision", None)
        each.pop("status", None)
        found[each["kind"], meta["name"]] = each
    return found


def _left(release: Release) -> str:
    kinds = (
        "deployments,services,configmaps,serviceaccounts,ingresses,networkpolicies,poddisruptionbudgets,"
        "horizontalpodautoscalers,httproutes,servicemonitors,prometheusrules,securitypolicies"
    )
    return release.node.kubectl(
        *("get", kinds, "-A", "-l", f"app.kubernetes.io/instance={release.name}", "-o", "name")
    )


# Each shape by one version of Helm, the largest by both.
BY = [(shape, HELMS[number % len(HELMS)]) for number, shape in enumerate(SHAPES)]
LARGEST = "standalone-full"


@pytest.mark.parametrize(("shape", "helm"), sorted({*BY, *((LARGEST, helm) for helm in HELMS)}))
def test_a_release_lives_and_dies_without_a_warning(api_server: Node, shape: str, helm: str) -> None:
    space = f"{shape}-{helm}"
    values = ("-f", CHART / "ci" / f"{shape}.yaml")
    with namespace(api_server, space):
        release = Release(api_server, helm, space)
        release.install(*values)
        first = _live(release)
        assert ("Deployment", "shop-gw" if shape == "standalone-full" else "shop-cognito-gateway") in first
        release.install(*values, "--set", "podAnnotations.changed=yes", "--set", "priorityClassName=")
        assert _live(release) != first
        release.quietly("rollback", release.name, "1")
        assert _live(release) == first
        release.quietly("uninstall", release.name)
        assert _left(release) == ""


@pytest.mark.parametrize("shape", SHAPES)
def test_its_pods_are_admitted_under_restricted(api_server: Node, shape: str) -> None:
    """A Deployment is only warned of; its pods are what pod security refuses."""
    space = f"{shape}-pods"
    with namespace(api_server, space):
        release = Release(api_server, HELMS[0], space)
        _service_accounts(release, "default")
        text = release.run(
            *("template", release.name, CHART, "-f", CHART / "ci" / f"{shape}.yaml", "--validate")
        ).stdout
        made = [_pod_of(each) for each in objects(text) if each["kind"] in ("Deployment", "Pod")]
        assert len(made) == 2
        for pod in made:
            account = pod["spec"].get("serviceAccountName", "default")
            _service_accounts(release, account)
            release.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


def _pod_of(made: Object) -> Object:
    if made["kind"] == "Pod":
        made["metadata"].pop("namespace", None)
        return made
    template = made["spec"]["template"]
    metadata = {**template["metadata"], "name": "one"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _service_accounts(release: Release, name: str) -> None:
    """Nobody makes `default` where no controllers run."""
    text = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
    release.kubectl("apply", "-f", "-", stdin=json.dumps(text))


def test_a_warning_would_be_seen(api_server: Node, helm: str) -> None:
    with namespace(api_server, f"warned-{helm}"):
        release = Release(api_server, helm, f"warned-{helm}")
        values = ("-f", CHART / "ci" / "standalone.yaml", "--set", "securityContext.enabled=false")
        with pytest.raises(AssertionError, match="would violate PodSecurity"):
            release.install(*values)


def test_only_the_filter_needs_the_experimental_channel(api_server: Node) -> None:
    """Of Gateway API, in which ExternalAuth is; every other route is one of the standard channel."""
    release = Release(api_server, HELMS[0], "channels")
    ways = ("standalone-autoscaled", "forward-auth-envoy-gateway", "forward-auth-gateway-api")
    name = "httproutes.yaml"
    with namespace(api_server, release.space):
        try:
            _define(api_server, programs() / "crds" / "standard" / name)
            for way in ways[:2]:
                _try_routes(release, way)
            with pytest.raises(AssertionError, match="externalAuth"):
                _try_routes(release, ways[2])
        finally:
            _define(api_server, programs() / "crds" / name)
        _try_routes(release, ways[2])


def _define(node: Node, file: Path) -> None:
    node.kubectl("apply", "--server-side", "--force-conflicts", "-f", file)


def _try_routes(release: Release, name: str) -> None:
    routes = of_kind(objects(shape(release.helm, name)), "HTTPRoute")
    assert routes
    for each in routes:
        each["metadata"]["namespace"] = release.space
        release.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(each))
