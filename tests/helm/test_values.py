"""Values that would look well and not be are refused, in one sentence that says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.support.rendering import CHART, gateway_of, objects, of_kind, one, pod_of, refusal, shape

STANDALONE = ("-f", CHART / "ci" / "standalone.yaml")
SIDECAR = ("-f", CHART / "ci" / "sidecar.yaml")
GATEWAY = ("-f", CHART / "ci" / "forward-auth-gateway-api.yaml")
SET_UP_PAGE = ("-f", CHART / "ci" / "set-up-page.yaml")
FORWARD = ("-f", CHART / "ci" / "forward-auth.yaml")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("mode=proxy",), "/mode"),
        (("servce.type=NodePort",), "additional properties 'servce' not allowed"),
        (("replicaCount=two",), "/replicaCount"),
        (("metrics.port=99999",), "/metrics/port"),
        (("image.digest=latest",), "/image/digest"),
        (("upstream.url=ftp://orders",), "/upstream/url"),
        (("livenessProbe.httpGet.path=/",), "at '/livenessProbe': additional properties 'httpGet' not"),
        (("service.ipFamilies={IPv5}",), "/service/ipFamilies/0"),
        (("config.sign_in.sesion.store=redis",), "at '/config/sign_in': additional properties 'sesion' not"),
        (("config.routes[0].group=a",), "at '/config/routes/0': additional properties 'group' not"),
        (("drain.delay=10",), "/drain/delay"),
        (("ingress.hosts[0]=https://orders.example.com",), "/ingress/hosts/0"),
        (("gatewayApi.forwardAuth.by=http",), "/gatewayApi/forwardAuth/by"),
        (("gatewayApi.hostnames[0]=orders.example.com:443",), "/gatewayApi/hostnames/0"),
        (("fullnameOverride=My_Gateway",), "/fullnameOverride"),
        (("imagePullSecrets[0]=registry",), "/imagePullSecrets/0"),
        (("extraEnv.TZ=UTC",), "/extraEnv"),
        (("config=listen: {}",), "/config"),
        (("persistence.size=much",), "/persistence/size"),
        (("persistence.accessModes={ReadOnlyMany}",), "/persistence/accessModes/0"),
    ],
)
def test_the_schema_names_the_value(helm: str, words: tuple[str, ...], said: str) -> None:
    assert said in refusal(helm, *STANDALONE, "--set", ",".join(words))


@pytest.mark.parametrize(
    ("base", "words", "said"),
    [
        (STANDALONE, "image.repository=", "image.repository is empty: build the image"),
        (GATEWAY, "extAuthz.enabled=false", "asks over gRPC: set extAuthz.enabled: true"),
        (
            GATEWAY,
            "gatewayApi.forwardAuth.backendRefs=null",
            "backendRefs is empty: name the Service of the API",
        ),
        (
            GATEWAY,
            "mode=standalone,upstream.url=http://orders:3000,networkPolicy.enabled=false",
            "is for mode: forward-auth, and the mode is",
        ),
        (GATEWAY, "gatewayApi.forwardAuth.signIn=true", "only by: securityPolicy can say so"),
        (GATEWAY, "gatewayApi.gatewayRef.name=", "it needs gatewayRef.name"),
        (STANDALONE, "image.repository=r.example.com/orders:7", "give it without https:// and capital"),
        (STANDALONE, "image.repository=https://r.example.com/orders", "its tag as image.tag"),
        (STANDALONE, "image.repository=r.example.com/Orders", "r.example.com/Orders is no repository"),
        (STANDALONE, "upstream.url=", "upstream.url is empty: name the Service"),
        (
            STANDALONE,
            "config.sign_in.session.secret_file=/etc/cognito-gateway-secrets/key",
            "existingSecret is empty: name the Secret",
        ),
        (STANDALONE, "service.nodePort=30080", "service.nodePort is for service.type: NodePort"),
        (STANDALONE, "service.externalTrafficPolicy=Local", "service.externalTrafficPolicy is for"),
        (
            STANDALONE,
            "metrics.serviceMonitor.enabled=true,metrics.serviceMonitor.interval=5s",
            "scrapeTimeout: 10s is longer than the interval of 5s",
        ),
        (FORWARD, "autoscaling.enabled=true,autoscaling.minReplicas=20", "20 is more than maxReplicas, 10"),
        (FORWARD, "autoscaling.enabled=true,resources=null", "resources.requests.cpu is not set"),
        (STANDALONE, "podDisruptionBudget.maxUnavailable=0", "lets none of the replicas (1) go"),
        (FORWARD, "podDisruptionBudget.minAvailable=2", "lets none of the replicas (2) go"),
        (FORWARD, "podDisruptionBudget.minAvailable=100%", "so that no node could be drained"),
        (
            STANDALONE,
            "config.listen.address=:80",
            "config.listen.address: the chart writes it: set containerPort",
        ),
        (STANDALONE, "config.metrics.address=:80", "config.metrics.address: the chart writes it"),
        (STANDALONE, "config.upstream.url=http://x", "config.upstream.url: the chart writes it"),
        (STANDALONE, "config.listen.drain_timeout=soon", "is no duration such as"),
        (STANDALONE, "terminationGracePeriodSeconds=40", "would cut the drain short"),
        (STANDALONE, "metrics.port=8000", "never share the public port"),
        (STANDALONE, "existingConfig=other", "config and existingConfig"),
        (STANDALONE, "extraArgs.config=/other.yaml", "extraArgs.config: the chart mounts the file"),
        (
            STANDALONE,
            r"podLabels.app\.kubernetes\.io/name=x",
            "label app.kubernetes.io/name: the chart writes",
        ),
        (STANDALONE, r"customLabels.helm\.sh/chart=x", "label helm.sh/chart: the chart writes it"),
        (
            STANDALONE,
            "podDisruptionBudget.minAvailable=1,podDisruptionBudget.maxUnavailable=1",
            "give minAvailable or maxUnavailable",
        ),
        (STANDALONE, "replicaCount=2", "config.sign_in.session.secret_file is not set"),
        (STANDALONE, "autoscaling.enabled=true", "each of 10 replicas"),
        (
            STANDALONE,
            "replicaCount=2,config.sign_in.session.secret_file=/k,config.sign_in.session.store=memory",
            "store: memory is each replica's own",
        ),
        (
            SET_UP_PAGE,
            "replicaCount=2,config.sign_in.session.secret_file=/k",
            "there may be 2 replicas: set [ReadWriteMany]",
        ),
        (SET_UP_PAGE, "config.sign_in.state_dir=/state", "config.sign_in.state_dir: the chart writes it"),
        (STANDALONE, "networkPolicy.enabled=true", "networkPolicy.upstream.podSelector is empty"),
        (STANDALONE, "ingress.enabled=true", "ingress: it needs hosts"),
        (STANDALONE, "gatewayApi.enabled=true", "gatewayRef.name"),
        (STANDALONE, "mode=include,networkPolicy.enabled=true", "podSelector is empty"),
        (STANDALONE, "mode=include,upstream.url=http://10.0.0.1", "is not in this pod"),
        (SIDECAR, "app.image=", "app.image is empty"),
        (SIDECAR, "app.port=8000", "is the gateway's own containerPort"),
        (SIDECAR, "app.port=9090", "is the gateway's own metrics.port"),
        (SIDECAR, "upstream.url=http://orders:3000", "is not in this pod"),
        (FORWARD, "extAuthz.enabled=false,config.listen.trusted_proxies=null", "trusted_proxies is empty"),
    ],
)
def test_a_combination_is_refused(helm: str, base: tuple[str, str], words: str, said: str) -> None:
    assert said in refusal(helm, *base, "--set", words)


def test_a_label_is_there_once_and_the_nearer_one_counts(helm: str) -> None:
    words = [
        *("customLabels.team=a", "podLabels.team=b", r"customLabels.app\.kubernetes\.io/component=gateway"),
        r"podAnnotations.kubectl\.kubernetes\.io/default-container=other",
        *("metrics.serviceMonitor.enabled=true", "metrics.serviceMonitor.labels.release=prometheus"),
    ]
    all_ = objects(shape(helm, "standalone", "--set", ",".join(words)))
    deployment, monitor = one(all_, "Deployment"), one(all_, "ServiceMonitor")
    assert deployment["metadata"]["labels"]["team"] == "a"
    pod = deployment["spec"]["template"]["metadata"]
    assert pod["labels"]["team"] == "b"
    assert pod["annotations"]["kubectl.kubernetes.io/default-container"] == "other"
    assert pod["annotations"]["checksum/gateway-config"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= pod["labels"].items()
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    # Prometheus finds the one Service by a label that customLabels has as well.
    found = [
        service["metadata"]["name"]
        for service in of_kind(all_, "Service")
        if monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    ]
    assert found == ["shop-cognito-gateway-metrics"]


def test_a_long_number_that_yaml_rounds_is_refused(helm: str, tmp_path: Path) -> None:
    """It would be another client's ID, or another tenant."""
    path = tmp_path / "values.yaml"
    for digits, said in (("12345678901234567890123456", "1.2345678901234568e+25"), ("1" * 19, "1" * 16)):
        path.write_text(f"config: {{cognito: {{user_pools: [{{id: a-b-1_C, client_ids: [{digits}]}}]}}}}")
        assert f"config: {said}" in refusal(helm, *STANDALONE, "-f", path)
        path.write_text(f"config: {{routes: [{{path: /a, claims: {{tenant: {digits}}}}}]}}")
        assert f"config: {said}" in refusal(helm, *STANDALONE, "-f", path)
    path.write_text(f"config: {{routes: [{{path: /a, claims: {{tenant: '{digits}'}}}}]}}")
    assert f'tenant: "{digits}"' in shape(helm, "standalone", "-f", path)


def test_long_numbers_that_yaml_keeps_are_kept(helm: str) -> None:
    size = "config.listen.max_body_size=1099511627776,config.tracing.otlp_endpoint=http://o,config.tracing.sample"
    all_ = objects(shape(helm, "standalone", "--set", f"{size}=0.00001"))
    (config,) = (each for each in of_kind(all_, "ConfigMap") if "gateway.yaml" in each["data"])
    written = yaml.safe_load(config["data"]["gateway.yaml"])
    assert written["listen"]["max_body_size"] == 1099511627776
    assert float(written["tracing"]["sample"]) == 0.00001


def test_a_section_can_be_emptied(helm: str) -> None:
    """As people do who have their own ConfigMap, or a cluster that sets the security context."""
    assert pod_of(objects(shape(helm, "standalone", "--set", "config=null,existingConfig=own")))
    for word in ("securityContext=null", "securityContext.enabled=false"):
        pod = pod_of(objects(shape(helm, "standalone", "--set", word)))
        assert "securityContext" not in gateway_of(pod)
    pod = pod_of(objects(shape(helm, "standalone", "--set", "securityContext.runAsUser=null")))
    assert gateway_of(pod)["securityContext"].keys() == {
        *("runAsNonRoot", "runAsGroup", "readOnlyRootFilesystem", "allowPrivilegeEscalation"),
        *("capabilities", "seccompProfile"),
    }


def test_a_drain_of_nothing_sleeps_as_little_as_kubernetes_takes(helm: str) -> None:
    pod = pod_of(objects(shape(helm, "sidecar", "--set", "drain.delay=0s,drain.timeout=0s")))
    (app,) = pod["containers"]
    assert app["lifecycle"]["preStop"]["sleep"]["seconds"] == 1


def test_an_old_kubernetes_is_refused(helm: str) -> None:
    assert "requires kubeVersion" in refusal(helm, *STANDALONE, kubernetes="1.24.0")


def test_the_schema_knows_every_value() -> None:
    """values.yaml and values.schema.json name the same keys, at every depth that the schema closes."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    extra = {"global", "enabled", "tags"}  # what Helm itself passes to a chart somebody depends on

    def compare(known: dict[str, object], given: dict[str, object], where: str) -> None:
        properties = known["properties"]
        assert isinstance(properties, dict)
        assert properties.keys() - (extra if not where else set()) == given.keys(), where
        for key, inner in properties.items():
            if inner.get("additionalProperties") is False and key != "config":
                compare(inner, given[key], f"{where}.{key}")  # type: ignore[arg-type]  # a section by the line above

    compare(schema, values, "")


def test_seconds_are_read_from_every_unit(helm: str) -> None:
    for timeout, grace in (("500ms", 26), ("45s", 70), ("2m", 145), ("1h", 3625)):
        pod = pod_of(objects(shape(helm, "standalone", "--set", f"config.listen.drain_timeout={timeout}")))
        assert pod["terminationGracePeriodSeconds"] == grace
