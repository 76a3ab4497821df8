"""docs/kubernetes.md and the chart's README: commands that run, values that render, files that are there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

from tests.support.rendering import CHART, NEWEST, ROOT, SHAPES, objects, one, program, rendered, run

KUBERNETES, README = ROOT / "docs" / "kubernetes.md", CHART / "README.md"
FORWARD = ROOT / "docs" / "forward-auth.md"
COMMANDS = sorted(
    {
        line
        for page in (KUBERNETES, README)
        for block in re.findall(r"```console\n(.*?)```", page.read_text(), re.DOTALL)
        for line in re.findall(r"(?m)^\$ (.*)$", block)
    }
)
EXAMPLES = re.findall(r"## ([^\n]+)\n(?:(?!\n## ).)*?```yaml\n(.*?)```", KUBERNETES.read_text(), re.DOTALL)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_runs(helm: str, command: str) -> None:
    name, verb, *words = shlex.split(command)
    assert name == "helm"
    # Helm as Go builds it says it is for a Kubernetes of long ago.
    done = run(program(helm), verb, "--kube-version", NEWEST, *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize(("heading", "text"), EXAMPLES, ids=[heading for heading, _ in EXAMPLES])
def test_an_example_renders(helm: str, heading: str, text: str, tmp_path: Path) -> None:
    values = yaml.safe_load(text)
    # Some sections show only what they are about.
    values = {"image": {"repository": "r"}, "upstream": {"url": "http://orders"}, **values}
    if values.get("mode") == "sidecar":
        del values["upstream"]
    path = tmp_path / "values.yaml"
    path.write_text(yaml.safe_dump(values))
    assert objects(rendered(helm, "-f", path)), heading


def test_ingress_nginx_is_led_to_the_service(helm: str) -> None:
    text = FORWARD.read_text()
    (name, port) = re.findall(
        r"auth-url: http://([\w-]+)\.default\.svc\.cluster\.local(:\d+)?/oauth2/auth\n", text
    )[0]
    (values,) = re.findall(r"(?m)^    ingress:\n((?: {6}.*\n)+)", text)
    words = (
        "-f",
        CHART / "ci" / "forward-auth.yaml",
        "--set-json",
        f"ingress={json.dumps(yaml.safe_load(values))}",
    )
    all_ = objects(rendered(helm, *words, release="cognito-gateway"))
    service, ingress = one(all_, "Service"), one(all_, "Ingress")
    assert name == service["metadata"]["name"]
    assert (port or ":80") == f":{service['spec']['ports'][0]['port']}"
    (rule,) = ingress["spec"]["rules"]
    (signing_in,) = re.findall(r"auth-signin: https://([\w.]+)(/\w+)/sign_in", text)
    assert signing_in == (rule["host"], rule["http"]["paths"][0]["path"])


def test_the_runbook_names_the_deployment(helm: str) -> None:
    """Of the release that kubernetes.md installs."""
    (release,) = set(re.findall(r"helm (?:upgrade --install|test) (\S+)", KUBERNETES.read_text()))
    (named,) = re.findall(r"port-forward deployment/(\S+) (?:\d+)", (ROOT / "docs" / "alerts.md").read_text())
    all_ = objects(rendered(helm, "-f", CHART / "ci" / "standalone.yaml", release=release))
    assert one(all_, "Deployment")["metadata"]["name"] == named


def test_there_are_examples_and_commands() -> None:
    assert len(EXAMPLES) >= 4
    assert len(COMMANDS) >= 3


def test_the_readme_lists_every_shape() -> None:
    assert sorted(set(re.findall(r"\(ci/([\w-]+)\.yaml\)", README.read_text()))) == SHAPES


@pytest.mark.parametrize(
    "page", [KUBERNETES, README, ROOT / "docs" / "alerts.md"], ids=lambda page: page.stem
)
def test_links_lead_somewhere(page: Path) -> None:
    for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", page.read_text())):
        file = (page.parent / target) if target else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"(?m)^#+ (.+)$", file.read_text())
            assert anchor in {re.sub(r"[^\w -]", "", h).lower().replace(" ", "-") for h in headings}, anchor


def test_every_template_is_explained() -> None:
    defined = set()
    for path in (CHART / "templates").glob("_*.tpl"):
        defined |= set(re.findall(r'define "(cognito-gateway\.sidecar[\w.]*)"', path.read_text()))
    assert defined <= set(re.findall(r"`(cognito-gateway\.[\w.]+)`", KUBERNETES.read_text()))
