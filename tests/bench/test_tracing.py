"""The work that measures spans: its collector takes nothing but OTLP, its figures come from real spans."""

from __future__ import annotations

import gzip
import http.client
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from bench.collector import PATH, Collector
from bench.contestants import Gateway, Nginx, Setup
from bench.works.tracing import Traced, Tracing
from gateway.config.load import load
from tests.support.waiting import PATIENCE

ROOT = Path(__file__).parents[2]


def exported(spans: int) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for _ in range(spans):
        scope.spans.add(name="GET")
    return request.SerializeToString()


def post(url: str, path: str, body: bytes) -> int:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)
    try:
        connection.request("POST", path, body)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def test_the_collector_counts_spans_and_nothing_else() -> None:
    with Collector() as spans:
        assert post(spans.url, PATH, exported(3)) == 200
        assert post(spans.url, PATH, exported(2)) == 200
        for path, body in (
            ("/v1/metrics", exported(1)),
            (PATH, b"no protobuf"),
            (PATH, b""),
            (PATH, gzip.compress(exported(1))),
        ):
            assert post(spans.url, path, body) == 400
        assert spans.spans == 5


def test_it_settles_when_nothing_has_come_for_a_while_or_its_time_is_over() -> None:
    with Collector() as spans:
        assert spans.settle(0.01, 1.0) == 0
        late = threading.Timer(0.1, spans.count, (2,))
        late.start()
        assert spans.settle(2.0, 30.0) == 2
        over = threading.Event()

        def keep_coming() -> None:
            while not over.wait(0.01):
                spans.count(1)

        coming = threading.Thread(target=keep_coming)
        coming.start()
        began = time.monotonic()
        assert spans.settle(0.3, 0.5) > 2
        assert time.monotonic() - began < PATIENCE
        over.set()
        coming.join()


def test_who_sends_no_spans_of_ours_is_left_out_and_without_the_extra_we_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = Setup(tmp_path, 1, 2, 3, "http://127.0.0.1:4/", tmp_path / "key")
    work = Tracing()
    assert work.unfit(Gateway(setup)) is None
    assert work.unfit(Nginx(setup)) == "its spans differ, if it has any"
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert work.unfit(Gateway(setup)) == (
        "opentelemetry is not installed: pip install 'cognito-gateway[tracing]'"
    )


@pytest.mark.parametrize("routes", [(), ("/api/v1/config",)])
def test_the_traced_gateway_differs_in_nothing_but_its_spans(tmp_path: Path, routes: Any) -> None:
    setup = Setup(tmp_path, 1, 2, 3, "http://127.0.0.1:4/", tmp_path / "key", routes=routes)
    traced = Traced(setup)
    traced.endpoint, traced.sample = "http://127.0.0.1:4318", 0.1
    ((name, text),) = traced.render().items()
    ((_, plain),) = Gateway(setup).render().items()
    assert text.removeprefix(plain) == "tracing:\n  otlp_endpoint: http://127.0.0.1:4318\n  sample: 0.1\n"
    (tmp_path / name).write_text(text)
    tracing = load(tmp_path / name, {}).config.tracing
    assert tracing is not None
    assert (tracing.otlp_endpoint, tracing.sample) == ("http://127.0.0.1:4318", 0.1)


@pytest.mark.engine
def test_a_run_measures_with_and_without_and_leaves_nothing_behind(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    out = tmp_path / "run.json"
    options = ["--work", "tracing", "--rounds", "1", "--seconds", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--only", "gateway", "--json", str(out), *options],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(scratch)},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all ÷ none" in done.stdout
    figures = json.loads(out.read_text())["works"]["tracing"]["contestants"]["gateway"]["medians"]
    # Two more spans a request are more work than none, however busy the machine is; by far.
    assert 5 < figures["plain_us"] < figures["all_us"] < 30_000
    assert figures["all_ratio"] == pytest.approx(figures["all_us"] / figures["plain_us"])
    assert figures["tenth_ratio"] == pytest.approx(figures["tenth_us"] / figures["plain_us"])
    assert 0 <= figures["lost"] < 100
    assert list(scratch.iterdir()) == []
