"""The queries of the chart's dashboard, and answers of a real Prometheus to them."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterator, Mapping
from typing import Any

from gateway.observe.metrics import PREFIX
from tests.support.rendering import CHART
from tests.support.wire import get, once

DASHBOARD = CHART / "files" / "dashboard.json"
# Grafana's variables, as its "All" and a short interval set them.
VARIABLES = {"$job": ".*", "$instance": ".*", "$__rate_interval": "30s"}
_HISTOGRAM = ("_bucket", "_sum", "_count")


def _panels() -> Iterator[dict[str, Any]]:
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        if panel["type"] != "row":
            yield panel


def queries(variables: Mapping[str, str] = VARIABLES) -> list[tuple[str, str]]:
    """Each with where it stands."""
    found = []
    for panel in _panels():
        for target in panel["targets"]:
            text = target["expr"]
            for name, value in variables.items():
                text = text.replace(name, value)
            found.append((f"{panel['title']} {target['refId']}", text))
    return found


def names(text: str) -> set[str]:
    """The metrics a query names, histograms without their suffix."""
    found = set()
    for name in re.findall(rf"{PREFIX}[a-z_]+", text):
        base = next((name.removesuffix(s) for s in _HISTOGRAM if name.endswith(s)), name)
        found.add(base)
    return found


async def api(port: int, path: str, *, at: str = "127.0.0.1", **query: str) -> Any:
    """Ask Prometheus."""
    target = f"/api/v1/{path}?{urllib.parse.urlencode(query)}"
    reply = await once(port, get(target, "Connection: close"), at=at)
    answer = json.loads(reply.body)
    assert answer["status"] == "success", answer
    return answer["data"]
