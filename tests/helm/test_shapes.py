"""Every shape of helm/ci: linted, rendered, of Kubernetes' own schemas, and safe in what it says.

No Kubernetes runs here: what a cluster makes of the objects is not seen, only that their schemas take them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.version import VERSION
from tests.support.certificates import Authority
from tests.support.rendering import (
    CHART,
    HELMS,
    NEWEST,
    OLDEST,
    SHAPES,
    SLEEPS,
    Object,
    containers,
    gateway_of,
    objects,
    of_kind,
    one,
    pod_of,
    program,
    rendered,
    run,
    shape,
)

pytestmark = pytest.mark.engine

CRDS = {path.stem: json.loads(path.read_text()) for path in (Path(__file__).parent / "crds").glob("*.json")}
SCRIPTS = Path(sys.executable).parent
APP = {"sidecar": "orders", "sidecar-secrets": "app"}


def refused_by_kubernetes(text: str, version: str) -> list[str]:
    """What the schemas of that Kubernetes say against it; custom resources go by tests/helm/crds.

    The imports take a second of CPU: too much for every process of a test run.
    """
    import jsonschema
    import kubernetes_validate

    said = []
    for each in objects(text):
        if each["kind"] in CRDS:
            found = jsonschema.Draft7Validator(CRDS[each["kind"]]).iter_errors(each)
            said += [f"{each['kind']} {error.json_path}: {error.message}" for error in found]
            continue
        try:
            kubernetes_validate.validate(each, version, strict=True)
        # Its command line only warns of a kind that it does not know.
        except (kubernetes_validate.SchemaNotFoundError, kubernetes_validate.ValidationError) as error:
            said.append(f"{each['kind']}: {error}")
    return said


@pytest.mark.parametrize("name", SHAPES)
def test_it_is_linted(helm: str, name: str) -> None:
    done = run(
        *(program(helm), "lint", "--strict", "--kube-version", NEWEST),
        *(CHART, "-f", CHART / "ci" / f"{name}.yaml"),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[WARNING]" not in done.stdout
    assert "Fail:" not in done.stdout + done.stderr


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("kubernetes", [OLDEST, "1.29.0", SLEEPS, NEWEST])
def test_kubernetes_takes_it(helm: str, name: str, kubernetes: str) -> None:
    text = shape(helm, name, kubernetes=kubernetes)
    assert refused_by_kubernetes(text, kubernetes) == []


def test_fields_unknown_to_kubernetes_are_found() -> None:
    text = shape(_any_helm(), "standalone-full")
    assert refused_by_kubernetes(text.replace("targetPort", "targetPrt"), NEWEST)
    assert refused_by_kubernetes(text.replace("kind: Ingress", "kind: Ingres"), NEWEST)
    assert refused_by_kubernetes(text.replace("scrapeTimeout", "scrapeTime"), NEWEST)


def _any_helm() -> str:
    return HELMS[0]


@pytest.mark.parametrize("name", SHAPES)
def test_both_helms_say_the_same(name: str) -> None:
    three, four = (objects(shape(helm, name)) for helm in HELMS)
    key = lambda each: (each["kind"], each["metadata"]["name"])  # noqa: E731 - a sort key is no function
    assert sorted(three, key=key) == sorted(four, key=key)


def _contents(folder: Path) -> dict[str, bytes]:
    """What the Secrets and ConfigMaps of the shapes hold, by file name."""
    authority = Authority(folder)
    pair = authority.sign("pod", "gateway.test")
    return {
        "tls.crt": pair.certificate.read_bytes(),
        "tls.key": pair.key.read_bytes(),
        "ca.crt": authority.file.read_bytes(),
        "assertion-key": pair.key.read_bytes(),
        "client-secret": b"s" * 32 + b"\n",
        "session-secret": b"k" * 64 + b"\n",
        "redis-password": b"p" * 16 + b"\n",
        "logo.svg": b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>',
    }


@pytest.mark.parametrize("name", [name for name in SHAPES if name != "existing-config"])
def test_our_own_check_takes_the_configuration(name: str, tmp_path: Path) -> None:
    (config,) = (
        each
        for each in of_kind(objects(shape(_any_helm(), name)), "ConfigMap")
        if "gateway.yaml" in each["data"]
    )
    text = str(config["data"]["gateway.yaml"])
    # Files and folders of the pod, which are not here; the check looks into them.
    text = text.replace("state_dir: /var/lib/cognito-gateway", f"state_dir: {tmp_path}")
    contents = _contents(tmp_path)
    for file in set(re.findall(r"/etc/[\w-]+/[\w.-]+", text)):
        here = tmp_path / Path(file).name
        here.touch(mode=0o600)
        here.write_bytes(contents[here.name])
        text = text.replace(file, str(here))
    path = tmp_path / "gateway.yaml"
    path.write_text(text)
    done = run(SCRIPTS / "cognito-gateway", "check-config", path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    written = yaml.safe_load(text)
    assert written["listen"]["address"] == ":8000"
    assert written["metrics"]["address"] == ":9090"


@pytest.mark.parametrize("name", SHAPES)
def test_the_container_may_do_nothing(helm: str, name: str) -> None:
    pod = pod_of(objects(shape(helm, name)))
    gateway = gateway_of(pod)
    assert gateway["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["automountServiceAccountToken"] is False
    assert "hostNetwork" not in pod
    ours = [mount for mount in gateway["volumeMounts"] if mount["name"].startswith("gateway-")]
    writable = [mount["mountPath"] for mount in ours if not mount.get("readOnly")]
    assert writable == (["/var/lib/cognito-gateway"] if name == "set-up-page" else [])
    assert not any("subPath" in mount for mount in gateway["volumeMounts"])
    assert gateway["resources"]["limits"]["memory"]


@pytest.mark.parametrize("name", SHAPES)
def test_probes_ask_the_metrics_listener(helm: str, name: str) -> None:
    gateway = gateway_of(pod_of(objects(shape(helm, name))))
    ports = {port["name"]: port["containerPort"] for port in gateway["ports"]}
    assert ports["metrics"] == 9090
    assert gateway["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert gateway["readinessProbe"]["httpGet"]["port"] == "metrics"
    if name != "existing-config":  # which turns it off
        assert gateway["livenessProbe"]["httpGet"] == {
            "path": "/healthz",
            "port": "metrics",
            "scheme": "HTTP",
        }


@pytest.mark.parametrize("name", SHAPES)
def test_services_lead_to_the_gateway_only(helm: str, name: str) -> None:
    all_ = objects(shape(helm, name))
    gateway = gateway_of(pod_of(all_))
    ports = {port["name"]: port["containerPort"] for port in gateway["ports"]}
    labels = one(all_, "Deployment")["spec"]["template"]["metadata"]["labels"]
    for service in of_kind(all_, "Service"):
        assert service["spec"]["selector"].items() <= labels.items()
        metrics = service["metadata"]["name"].endswith("-metrics")
        allowed = {ports["metrics"]} if metrics else set(ports.values()) - {ports["metrics"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= allowed
    # Nobody else declares a port that anything could lead to.
    for each in containers(pod_of(all_)):
        assert each is gateway or "ports" not in each


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("kubernetes", [OLDEST, SLEEPS])
def test_the_pod_outlives_the_drain(name: str, kubernetes: str) -> None:
    all_ = objects(shape(_any_helm(), name, kubernetes=kubernetes))
    pod = pod_of(all_)
    if name == "existing-config":
        drain = 20 + 120
    else:
        (config,) = (each for each in of_kind(all_, "ConfigMap") if "gateway.yaml" in each["data"])
        listen = yaml.safe_load(config["data"]["gateway.yaml"])["listen"]
        drain = _seconds(listen["drain_delay"]) + _seconds(listen["drain_timeout"])
    assert pod["terminationGracePeriodSeconds"] > drain
    if name in APP:
        (app,) = (each for each in pod["containers"] if each["name"] == APP[name])
        hook = app["lifecycle"]["preStop"]
        slept = hook["sleep"]["seconds"] if kubernetes == SLEEPS else int(hook["exec"]["command"][1])
        assert drain <= slept < pod["terminationGracePeriodSeconds"]


def _seconds(text: str) -> int:
    return int(text[:-1]) * {"s": 1, "m": 60}[text[-1]]


def test_a_native_sidecar_where_the_cluster_has_it(helm: str) -> None:
    for kubernetes, native in ((OLDEST, False), ("1.28.9", False), ("1.29.0", True), ("1.31.3-eks-1", True)):
        pod = pod_of(objects(shape(helm, "sidecar", kubernetes=kubernetes)))
        assert [each["name"] for each in pod.get("initContainers", [])] == (["gateway"] if native else [])
        assert gateway_of(pod).get("restartPolicy") == ("Always" if native else None)
        # Without it both are told to stop at once, and the gateway needs no hook.
        assert ("lifecycle" in gateway_of(pod)) == native
        # Without it, the application could ask a gateway that does not listen, and slow starts are killed.
        assert gateway_of(pod)["startupProbe"]["tcpSocket"] == {"port": "gateway"}
        assert gateway_of(pod)["startupProbe"]["failureThreshold"] >= 60


def test_the_network_policies_close_every_way_round(helm: str) -> None:
    all_ = objects(shape(helm, "standalone-full"))
    own, upstream = of_kind(all_, "NetworkPolicy")
    labels = one(all_, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert own["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert [[p["port"] for p in rule["ports"]] for rule in own["spec"]["ingress"]] == [[8000], [9090]]
    assert upstream["metadata"]["namespace"] == "shop"
    assert upstream["spec"]["podSelector"]["matchLabels"] == {"app": "orders"}
    (peer,) = upstream["spec"]["ingress"][0]["from"]
    assert peer["podSelector"]["matchLabels"].items() <= labels.items()
    assert peer["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": "shop"}

    all_ = objects(shape(helm, "sidecar"))
    rules = one(all_, "NetworkPolicy")["spec"]["ingress"]
    assert sorted(p["port"] for rule in rules for p in rule["ports"]) == [8000, 9090]


def test_a_route_says_what_the_api_would_fill_in(helm: str) -> None:
    """Argo CD compares lists whole: a default that the API adds would always be a difference."""
    all_ = objects(shape(helm, "standalone-autoscaled"))
    spec, service = one(all_, "HTTPRoute")["spec"], one(all_, "Service")
    (parent,), (rule,) = spec["parentRefs"], spec["rules"]
    assert (parent["group"], parent["kind"]) == ("gateway.networking.k8s.io", "Gateway")
    assert rule["backendRefs"] == [
        {
            "group": "",
            "kind": "Service",
            "name": service["metadata"]["name"],
            "port": service["spec"]["ports"][0]["port"],
            "weight": 1,
        }
    ]
    assert rule["matches"] == [{"path": {"type": "PathPrefix", "value": "/"}}]


@pytest.mark.parametrize("name", ["forward-auth-gateway-api", "forward-auth-envoy-gateway"])
def test_a_gateway_asks_about_the_api_alone(helm: str, name: str) -> None:
    """Nobody reaches the API unasked, nor the place where verdicts are given."""
    all_ = objects(shape(helm, name))
    own, api = of_kind(all_, "HTTPRoute")
    service = one(all_, "Service")
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    decides = {
        "group": "",
        "kind": "Service",
        "name": service["metadata"]["name"],
        "port": ports["grpc-ext-authz"],
    }
    closed, pages = own["spec"]["rules"]
    paths = [match["path"] for match in closed["matches"]]
    assert paths == [
        {"type": "PathPrefix", "value": f"/oauth2/{each}"} for each in ("auth", "auth-or-sign-in")
    ]
    (rewritten,) = closed["filters"]
    assert rewritten["urlRewrite"]["path"]["replaceFullPath"] == "/oauth2/no-such-page"
    for rule in (closed, pages):
        (to,) = rule["backendRefs"]
        assert (to["name"], to["port"]) == (service["metadata"]["name"], ports["http"])
    (rule,) = api["spec"]["rules"]
    assert rule["backendRefs"] == [
        {"group": "", "kind": "Service", "name": "orders", "port": 3000, "weight": 1}
    ]
    if name == "forward-auth-gateway-api":
        (asks,) = rule["filters"]
        assert asks["externalAuth"] == {"protocol": "GRPC", "backendRef": decides, "grpc": {}}
        return
    policy = one(all_, "SecurityPolicy")["spec"]
    (target,) = policy["targetRefs"]
    assert (target["kind"], target["name"]) == ("HTTPRoute", api["metadata"]["name"])
    assert policy["extAuth"]["grpc"]["backendRefs"] == [{**decides, "weight": 1}]
    assert policy["extAuth"]["contextExtensions"] == [
        {"name": "endpoint", "type": "Value", "value": "auth-or-sign-in"}
    ]


def test_a_gateways_rules_know_the_prefix_of_the_pages(helm: str) -> None:
    words = ("--set", "config.sign_in.prefix=/login")
    own, _ = of_kind(objects(shape(helm, "forward-auth-envoy-gateway", *words)), "HTTPRoute")
    paths = [match["path"]["value"] for rule in own["spec"]["rules"] for match in rule["matches"]]
    assert paths == [
        *("/login/auth", "/login/auth-or-sign-in", "/login"),
        "/.well-known/oauth-protected-resource",
    ]


def test_a_changed_configuration_is_reloaded_or_restarts(helm: str) -> None:
    def checksum(name: str, *words: str) -> Any:
        template = one(objects(shape(helm, name, *words)), "Deployment")["spec"]["template"]
        return template["metadata"]["annotations"]["checksum/gateway-config"]

    level = ("--set", "config.log.level=debug")
    assert checksum("standalone") == checksum("standalone", *level)
    assert checksum("standalone") != checksum("standalone", *level, "--set", "configChange=restart")
    # What no reload applies.
    assert checksum("standalone") != checksum("standalone", "--set", "config.listen.workers=2")
    assert checksum("standalone-full") != checksum("standalone-full", *level)


def test_the_set_up_page_keeps_its_answer_in_a_volume(helm: str) -> None:
    all_ = objects(shape(helm, "set-up-page"))
    claim, pod = one(all_, "PersistentVolumeClaim"), pod_of(all_)
    name = claim["metadata"]["name"]
    assert claim["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert claim["metadata"]["labels"]["team"] == "orders"
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOnce"],
        "storageClassName": "",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    assert {"name": "gateway-state", "persistentVolumeClaim": {"claimName": name}} in pod["volumes"]
    # Whose group the container's user is in.
    assert pod["securityContext"]["fsGroup"] == gateway_of(pod)["securityContext"]["runAsGroup"]
    config = yaml.safe_load(one(all_, "ConfigMap")["data"]["gateway.yaml"])
    assert config["sign_in"] == {"admin_groups": ["admins"], "state_dir": "/var/lib/cognito-gateway"}
    # The old pod gives the volume back first.
    assert one(all_, "Deployment")["spec"]["strategy"] == {"type": "Recreate"}


def test_a_claim_for_several_replicas_or_of_ones_own(helm: str) -> None:
    replicas = "replicaCount=3,config.sign_in.session.secret_file=/k"
    shared = shape(helm, "set-up-page", "--set", f"{replicas},persistence.accessModes={{ReadWriteMany}}")
    assert "strategy" not in one(objects(shared), "Deployment")["spec"]
    all_ = objects(shape(helm, "set-up-page", "--set", f"{replicas},persistence.existingClaim=mine"))
    assert of_kind(all_, "PersistentVolumeClaim") == []
    assert {"name": "gateway-state", "persistentVolumeClaim": {"claimName": "mine"}} in pod_of(all_)[
        "volumes"
    ]


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == VERSION
    assert chart["kubeVersion"] == f">={OLDEST}-0"


def test_nothing_is_left_out_of_the_widest_shape(helm: str) -> None:
    """So that the checks above have seen every template."""
    kinds = {each["kind"] for name in SHAPES for each in objects(shape(helm, name))}
    templates = {path.read_text() for path in (CHART / "templates").glob("*.yaml")}
    declared = {kind for text in templates for kind in re.findall(r"^kind: (\w+)$", text, re.MULTILINE)}
    assert kinds == declared


class TestOwnChart:
    """tests/helm/own_chart: the sidecar by named templates."""

    @pytest.fixture
    def chart(self, helm: str, tmp_path: Path) -> Path:
        copy = tmp_path / "own"
        (copy / "charts").mkdir(parents=True)
        source = Path(__file__).parent / "own_chart"
        subprocess.run(["cp", "-r", *map(str, source.iterdir()), str(copy)], check=True)
        done = run(program(helm), "package", CHART, "-d", copy / "charts")
        assert done.returncode == 0, done.stderr
        return copy

    @pytest.mark.parametrize("kubernetes", [OLDEST, NEWEST])
    def test_it_has_the_gateway_and_its_configuration(self, helm: str, chart: Path, kubernetes: str) -> None:
        text = rendered(helm, chart=chart, kubernetes=kubernetes)
        assert refused_by_kubernetes(text, kubernetes) == []
        all_ = objects(text)
        pod = pod_of(all_)
        gateway = gateway_of(pod)
        (config,) = of_kind(all_, "ConfigMap")
        assert yaml.safe_load(config["data"]["gateway.yaml"])["upstream"]["url"] == "http://127.0.0.1:3000"
        volumes = {each["name"]: each for each in pod["volumes"]}
        assert volumes["gateway-config"]["configMap"]["name"] == config["metadata"]["name"]
        assert volumes["gateway-secrets"]["secret"]["defaultMode"] == 0o440
        assert {mount["name"] for mount in gateway["volumeMounts"]} == volumes.keys()
        assert pod["terminationGracePeriodSeconds"] == 55
        public = self._service(all_, "orders")
        assert public["spec"]["ports"][0]["targetPort"] == gateway["ports"][0]["containerPort"]
        policy = one(all_, "NetworkPolicy")["spec"]
        assert policy["podSelector"]["matchLabels"] == {"app": "orders"}

    def _service(self, all_: list[Object], name: str) -> Object:
        (found,) = (each for each in of_kind(all_, "Service") if each["metadata"]["name"] == name)
        return found
