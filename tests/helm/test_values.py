"""Values that would look well and not be are refused, in one sentence that says what to do."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.helm.rendering import CHART, objects, pod_of, refusal, shape

STANDALONE = ("-f", CHART / "ci" / "standalone.yaml")
SIDECAR = ("-f", CHART / "ci" / "sidecar.yaml")
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
        (("livenessProbe.httpGet.path=/",), "/livenessProbe"),
        (("drain.delay=10",), "/drain/delay"),
    ],
)
def test_the_schema_names_the_value(helm: str, words: tuple[str, ...], said: str) -> None:
    assert said in refusal(helm, *STANDALONE, "--set", ",".join(words))


@pytest.mark.parametrize(
    ("base", "words", "said"),
    [
        (STANDALONE, "image.repository=", "image.repository is empty: build the image"),
        (STANDALONE, "upstream.url=", "upstream.url is empty: name the Service"),
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
        (STANDALONE, "replicaCount=2", "config.sign_in.session.secret_file is not set"),
        (STANDALONE, "autoscaling.enabled=true", "each of 10 replicas"),
        (
            STANDALONE,
            "replicaCount=2,config.sign_in.session.secret_file=/k,config.sign_in.session.store=memory",
            "store: memory is each replica's own",
        ),
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
            if inner.get("additionalProperties") is False:
                compare(inner, given[key], f"{where}.{key}")  # type: ignore[arg-type]  # a section by the line above

    compare(schema, values, "")


def test_seconds_are_read_from_every_unit(helm: str) -> None:
    for timeout, grace in (("500ms", 26), ("45s", 70), ("2m", 145), ("1h", 3625)):
        pod = pod_of(objects(shape(helm, "standalone", "--set", f"config.listen.drain_timeout={timeout}")))
        assert pod["terminationGracePeriodSeconds"] == grace
