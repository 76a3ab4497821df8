"""The task definition of docs/ecs.md, and a compose file that runs it as ECS does.

With `awsvpc`, the containers of a task share the network of one more container, which ECS adds. Whatever this
translation does not know fails it: no setting of the page is ignored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parents[2] / "docs/ecs.md"
# Which service of the compose file has the network of the task.
NETWORK = "network"

# What decides where a task runs and who may start it, and where its log goes. Only one of the containers is
# ever stopped alone here, so `essential` decides nothing.
_PLACEMENT = {"family", "requiresCompatibilities", "networkMode", "cpu", "memory", "executionRoleArn"}
_ELSEWHERE = {"name", "essential", "logConfiguration", "portMappings"}
_CONDITIONS = {"START": "service_started", "HEALTHY": "service_healthy"}
# ECS API reference, HealthCheck: the number of retries where none is given.
_RETRIES = 3

Task = dict[str, Any]


def task_definition() -> Task:
    """Return the page's."""
    found = re.search(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    definition = json.loads(found[1])
    assert isinstance(definition, dict)
    return definition


def container(task: Task, name: str) -> dict[str, Any]:
    (found,) = (each for each in task["containerDefinitions"] if each["name"] == name)
    assert isinstance(found, dict)
    return found


def compose_file(
    task: Task,
    secrets: Mapping[str, str],
    more: Mapping[str, Mapping[str, str]],
    network: Mapping[str, Any],
    subnet: str,
) -> Task:
    """Return a compose file of the task.

    `secrets`: the values by ARN; `more`: further variables by container; `network`: the service whose network
    the task has, in `subnet`.
    """
    assert set(task) == _PLACEMENT | {"containerDefinitions"}
    assert task["networkMode"] == "awsvpc"
    services = {
        each["name"]: _service(each, secrets, more.get(each["name"], {}), int(task["memory"]))
        for each in task["containerDefinitions"]
    }
    services[NETWORK] = {**network, "networks": ["vpc"]}
    return {"services": services, "networks": {"vpc": {"ipam": {"config": [{"subnet": subnet}]}}}}


def _service(
    definition: Mapping[str, Any], secrets: Mapping[str, str], more: Mapping[str, str], memory: int
) -> dict[str, Any]:
    environment = {each["name"]: each["value"] for each in definition.get("environment", ())}
    environment |= {each["name"]: secrets[each["valueFrom"]] for each in definition.get("secrets", ())}
    service: dict[str, Any] = {
        "image": definition["image"],
        # `$` begins a variable in a compose file.
        "environment": {name: value.replace("$", "$$") for name, value in {**environment, **more}.items()},
        "network_mode": f"service:{NETWORK}",
        # The containers share the memory of the task.
        "mem_limit": f"{memory}m",
        "depends_on": {NETWORK: {"condition": "service_healthy"}},
    }
    for each in definition.get("dependsOn", ()):
        service["depends_on"][each["containerName"]] = {"condition": _CONDITIONS[each["condition"]]}
    known = {
        "user": lambda user: {"user": user},
        "readonlyRootFilesystem": lambda fixed: {"read_only": fixed},
        "stopTimeout": lambda seconds: {"stop_grace_period": f"{seconds}s"},
        "linuxParameters": _capabilities,
        "healthCheck": _health_check,
    }
    handled = _ELSEWHERE | {"image", "environment", "secrets", "dependsOn"}
    for name, value in definition.items():
        if name not in handled:
            service |= known[name](value)
    return service


def _capabilities(parameters: Mapping[str, Any]) -> dict[str, Any]:
    assert set(parameters) == {"capabilities"}
    assert set(parameters["capabilities"]) == {"drop"}
    return {"cap_drop": parameters["capabilities"]["drop"]}


def _health_check(check: Mapping[str, Any]) -> dict[str, Any]:
    assert set(check) == {"command", "interval", "timeout", "startPeriod"}
    return {
        "healthcheck": {
            "test": [each.replace("$", "$$") for each in check["command"]],
            "interval": f"{check['interval']}s",
            "timeout": f"{check['timeout']}s",
            "start_period": f"{check['startPeriod']}s",
            "retries": _RETRIES,
        }
    }
