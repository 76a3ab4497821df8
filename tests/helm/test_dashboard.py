"""The dashboard's queries and the gateway's metrics, before a real Prometheus."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.observe.metrics import METRICS, PREFIX
from tests.support.ports import free_port
from tests.support.programs import Served, pinned, serving, started, until
from tests.support.prometheus import DASHBOARD, api, names, queries
from tests.support.rendering import CHART, objects, of_kind, program, run, shape
from tests.support.tokens import KeyPair, access_claims, sign
from tests.support.wire import Upstream

KEY, FORGER = KeyPair.generate("key-1"), KeyPair.generate("key-2")


@pytest.mark.engine
def test_prometheus_takes_every_query(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{index}", "expr": text, "labels": {"panel": where}}
        for index, (where, text) in enumerate(queries())
    ]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = run(program("promtool"), "check", "rules", path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "$" not in path.read_text()


def test_every_metric_is_on_it() -> None:
    shown = set().union(*(names(text) for _, text in queries()))
    assert shown == {PREFIX + metric.name for metric in METRICS}


def test_no_two_panels_share_a_place_or_a_name() -> None:
    whole = json.loads(DASHBOARD.read_text())["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in whole:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in whole}) == len(whole)
    assert len({panel["title"] for panel in whole}) == len(whole)


def test_the_chart_ships_it_as_it_is(helm: str) -> None:
    maps = of_kind(objects(shape(helm, "standalone-full")), "ConfigMap")
    (shipped,) = (each for each in maps if each["metadata"]["name"].endswith("-dashboard"))
    assert shipped["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(shipped["data"]["cognito-gateway.json"]) == json.loads(DASHBOARD.read_text())


async def traffic(served: Served) -> None:
    token = sign(KEY, access_claims())
    # More often than there are workers, so that one of them has seen it before.
    for _ in range(6):
        assert (await served.bearer(token)).status == 200
    assert (await served.bearer(sign(FORGER, access_claims()))).status == 401
    assert (await served.ask("/")).status == 401
    assert (await served.ask("/a//b")).status == 400


def scraped(metadata: dict[str, Any]) -> set[str]:
    """Our metrics by the names of their series: OpenMetrics leaves _total out of a counter's family."""
    return {
        name + ("_total" if told[0]["type"] == "counter" else "")
        for name, told in metadata.items()
        if name.startswith(PREFIX)
    }


def scraping(folder: Path, served: Served) -> Path:
    path = folder / "prometheus.yaml"
    target = {"targets": [f"127.0.0.1:{served.metrics_port}"]}
    path.write_text(
        yaml.safe_dump(
            {
                "global": {
                    "scrape_interval": "1s",
                    "scrape_timeout": "1s",
                    "evaluation_interval": "1s",
                },
                "rule_files": [str(CHART / "files" / "alerts.yaml")],
                "scrape_configs": [{"job_name": "gateway", "static_configs": [target]}],
            }
        )
    )
    return path


@pytest.mark.slow
async def test_a_real_prometheus_scrapes_and_answers_every_query(tmp_path: Path) -> None:
    prometheus, promtool, port = program("prometheus"), program("promtool"), free_port()
    two = {"COGNITO_GATEWAY_LISTEN__WORKERS": "2"}
    async with (
        Upstream().running() as upstream,
        serving(tmp_path, upstream=upstream.url, pools=pinned(tmp_path, KEY), environ=two) as served,
    ):
        await traffic(served)
        text = (await served.probe("/metrics")).body
        checked = await asyncio.to_thread(
            subprocess.run, [promtool, "check", "metrics"], input=text, capture_output=True, check=False
        )
        assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")

        command = [
            *(prometheus, f"--config.file={scraping(tmp_path, served)}"),
            *(f"--storage.tsdb.path={tmp_path / 'data'}", f"--web.listen-address=127.0.0.1:{port}"),
        ]
        async with started(tmp_path, command, name="prometheus"):

            async def seen() -> bool:
                try:
                    found = await api(port, "query", query=f"count_over_time({PREFIX}build_info[1m])")
                except (ConnectionError, asyncio.IncompleteReadError, json.JSONDecodeError):
                    return False
                return any(float(each["value"][1]) >= 3 for each in found["result"])

            await until(seen, seconds=120)
            await traffic(served)
            before = await api(port, "query", query=f"sum({PREFIX}requests_total)")

            async def counted() -> bool:
                now = await api(port, "query", query=f"sum({PREFIX}requests_total)")
                return float(now["result"][0]["value"][1]) > float(before["result"][0]["value"][1])

            await until(counted, seconds=120)
            known = scraped(await api(port, "metadata"))
            assert known == {PREFIX + metric.name for metric in METRICS}
            answers = {}
            for where, query in queries():
                assert names(query) <= known
                answers[where] = (await api(port, "query", query=query))["result"]
            rules = await api(port, "rules")

    silent = {where for where, result in answers.items() if not result}
    # What did not happen in this traffic has no series; all else has a number.
    assert silent == {
        "Upstream errors by reason A",
        "Checks by result A",
        *("Accepted tokens that cannot be checked A", "Sessions A", "Session renewals A", "MCP clients A"),
        *("Rate-limited requests A", "Limits reached A", "Spans A"),
        "Time until certificates expire A",
    }
    assert {each["metric"]["code"] for each in answers["Requests by status A"]} >= {"200", "400", "401"}
    assert float(answers["Workers A"][0]["value"][1]) == 2
    assert float(answers["Token cache hit ratio A"][0]["value"][1]) > 0
    loaded = {rule["name"]: rule["health"] for group in rules["groups"] for rule in group["rules"]}
    assert loaded
    assert "err" not in loaded.values()
