"""The alert rules: valid, each seen to fire and to keep quiet, each with its section in docs/alerts.md."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from gateway.errors import Refusal
from gateway.observe.metrics import METRICS, PREFIX
from tests.support.rendering import CHART, ROOT, objects, one, program, run, shape

RULES = CHART / "files" / "alerts.yaml"
CASES = ROOT / "tests" / "helm" / "alerts_fire.yaml"
PAGE = ROOT / "docs" / "alerts.md"


def alerts() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def sections() -> list[str]:
    return re.findall(r"(?m)^## (\w+)$", PAGE.read_text())


@pytest.mark.engine
def test_prometheus_takes_the_rules() -> None:
    done = run(program("promtool"), "check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.engine
def test_they_fire_when_they_should_and_only_then() -> None:
    done = run(program("promtool"), "test", "rules", CASES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_seen_to_fire_and_to_keep_quiet() -> None:
    cases = [case for test in yaml.safe_load(CASES.read_text())["tests"] for case in test["alert_rule_test"]]
    names = {rule["alert"] for rule in alerts()}
    assert {case["alertname"] for case in cases if case.get("exp_alerts")} == names
    assert {case["alertname"] for case in cases if not case.get("exp_alerts")} == names


def test_every_alert_has_its_section_and_every_section_its_alert() -> None:
    assert sections() == [rule["alert"] for rule in alerts()]
    for rule in alerts():
        assert rule["annotations"]["runbook_url"] == f"docs/alerts.md#{rule['alert'].lower()}"


def test_every_section_says_what_it_means_and_what_to_check() -> None:
    for part in PAGE.read_text().split("\n## ")[1:]:
        assert "**Means**:" in part, part
        assert "**Check**:" in part, part


@pytest.mark.parametrize("text", [RULES.read_text(), PAGE.read_text()], ids=["rules", "page"])
def test_metrics_named_by_the_alerts_exist(text: str) -> None:
    known = {PREFIX + metric.name for metric in METRICS}
    assert set(re.findall(rf"{PREFIX}[a-z_]+", text)) <= known


def test_the_reasons_they_watch_exist() -> None:
    (watched,) = re.findall(r'reason=~"([^"]+)"', RULES.read_text())
    assert set(watched.split("|")) <= {refusal.reason for refusal in _refusals(Refusal)}


def _refusals(of: type[Refusal]) -> list[type[Refusal]]:
    return [each for child in of.__subclasses__() for each in (child, *_refusals(child))]


def test_the_chart_ships_them_with_links(helm: str) -> None:
    rule = one(objects(shape(helm, "standalone-full")), "PrometheusRule")
    shipped = rule["spec"]["groups"][0]["rules"]
    assert [each["alert"] for each in shipped] == [each["alert"] for each in alerts()]
    # Prometheus's own templates come through Helm's unharmed.
    assert "{{ $labels.instance }}" in shipped[1]["annotations"]["description"]
    assert shipped[1]["annotations"]["runbook_url"].startswith(
        "https://wiki.example.com/cognito-gateway/alerts#cognitogateway"
    )
