"""The work that compares decisions over gRPC and HTTP: its figures come from right answers only."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.contestants import Gateway, Nginx, Setup
from bench.keyserver import KeyServer
from bench.load import LoadPlan, generate
from bench.load.checks import decided
from bench.processes import free_port
from bench.tokens import Mint
from bench.works.grpc import Checked, GrpcDecisions

CPUS = frozenset({0})
ROOT = Path(__file__).parents[2]


@pytest.mark.engine
def test_the_load_counts_only_decisions_that_let_pass(tmp_path: Path) -> None:
    mint = Mint()
    with ExitStack() as stack:
        checked = Checked(
            Setup(
                directory=tmp_path / "checked",
                port=free_port(),
                probe_port=free_port(),
                upstream_port=1,
                jwks_url=stack.enter_context(KeyServer(mint.key_set())).url,
                public_key_file=tmp_path / "public.pem",
                asked=True,
            )
        )
        checked.grpc_port = free_port()
        stack.callback(checked.stop)
        checked.start(CPUS)
        checked.wait_ready(mint.valid())
        (tmp_path / "good").write_text(mint.valid() + "\n")
        plan = LoadPlan(checked.grpc_port, "", str(tmp_path / "good"), 1, connections=2, window=8, grpc=True)
        result = generate(plan, CPUS)
        assert result.requests > 8
        assert result.failed == 0
        for fault, token in mint.hostile().items():
            assert decided(checked.grpc_port, token) == 401, fault
        (tmp_path / "bad").write_text(token + "\n")
        bad = LoadPlan(checked.grpc_port, "", str(tmp_path / "bad"), 1, connections=2, window=8, grpc=True)
        assert generate(bad, CPUS).failed
        with pytest.raises(OSError, match="no decision over gRPC"):
            decided(free_port(), mint.valid())


@pytest.mark.engine
def test_a_run_reports_both_and_their_ratio(tmp_path: Path) -> None:
    out = tmp_path / "run.json"
    options = ("--work", "grpc", "--only", "gateway", "--rounds", "1", "--seconds", "1", "--json", str(out))
    done = subprocess.run(
        [sys.executable, "-m", "bench", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (sample,) = json.loads(out.read_text())["works"]["grpc"]["contestants"]["gateway"]["rounds"]
    assert sample["ratio"] == pytest.approx(sample["grpc_us"] / sample["http_us"])
    assert sample["http_us"] > 0


def test_only_the_gateway_is_asked(tmp_path: Path) -> None:
    setup = Setup(tmp_path, 1, 2, 3, "http://127.0.0.1:4/", tmp_path / "key", asked=True)
    assert GrpcDecisions().unfit(Gateway(setup)) is None
    assert GrpcDecisions().unfit(Nginx(setup)) == "Envoy does not ask it over gRPC"


def test_without_the_extra_the_other_works_run() -> None:
    code = "import sys; sys.modules['google.protobuf'] = sys.modules['grpc'] = None; import bench.works"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
