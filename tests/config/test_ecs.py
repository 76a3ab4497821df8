"""The task definition of docs/ecs.md: what ECS accepts, and a configuration that the gateway accepts."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from gateway.config.load import examine
from gateway.config.model import Config
from tests.support.ecs import Task, container, task_definition
from tests.support.tokens import CLIENT_ID, POOL_ID

ROOT = Path(__file__).parents[2]
# Fargate's largest, in seconds (AWS: task definition parameters, container timeouts).
LONGEST_STOP = 120
SECRET = "a1b2c3d4e5f6a7b8c9d0e1f2"


@pytest.fixture(scope="module")
def task() -> Task:
    return task_definition()


@pytest.fixture(scope="module")
def gateway(task: Task) -> dict[str, Any]:
    return container(task, "gateway")


@pytest.fixture(scope="module")
def config(gateway: dict[str, Any]) -> Config:
    """The configuration of the image with these variables."""
    environ = {each["name"]: each["value"] for each in gateway["environment"]}
    environ |= {each["name"]: SECRET for each in gateway["secrets"]}
    # check-config warns about the example's IDs.
    ids = {"ap-south-1_AbCdEfGhI": POOL_ID, "1example23456789": CLIENT_ID}
    environ = {name: ids.get(value, value) for name, value in environ.items()}
    found, report = examine(ROOT / "config/gateway.image.yaml", environ)
    assert not report.lines
    assert found is not None
    return found


def test_ecs_accepts_its_shape(task: Task) -> None:
    shape = Session().get_service_model("ecs").operation_model("RegisterTaskDefinition").input_shape
    assert shape is not None
    assert ParamValidator().validate(task, shape).generate_report() == ""
    unknown = ParamValidator().validate({**task, "containers": []}, shape)
    assert "Unknown parameter" in unknown.generate_report()


def test_the_gateway_accepts_its_variables(config: Config) -> None:
    (pool,) = config.cognito.user_pools
    assert (pool.id, pool.client_ids, pool.client_secret) == (POOL_ID, (CLIENT_ID,), SECRET)
    upstream = config.upstream
    assert (upstream.scheme, upstream.host, upstream.port) == ("http", "127.0.0.1", 8080)


def test_ecs_waits_until_the_gateway_has_drained(gateway: dict[str, Any], config: Config) -> None:
    drained = config.listen.drain_delay + config.listen.drain_timeout
    assert drained < gateway["stopTimeout"] <= LONGEST_STOP
    # Containers stop in the reverse order: the API last.
    assert [each["containerName"] for each in gateway["dependsOn"]] == ["api"]


def test_its_health_check_is_the_one_of_the_image(gateway: dict[str, Any]) -> None:
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", "")
    found = re.search(r'HEALTHCHECK .*?CMD \["python", "-c", "(.*?)"\]', dockerfile)
    assert found is not None
    assert gateway["healthCheck"]["command"] == ["CMD", "python", "-c", found[1]]


def test_both_ports_of_the_image_are_named(gateway: dict[str, Any], config: Config) -> None:
    ports = {f":{each['containerPort']}" for each in gateway["portMappings"]}
    assert ports == {":8000", ":9090"}
