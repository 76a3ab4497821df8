"""The gRPC listener of a served gateway: several workers on one address, and the extra that is missing."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import grpc

from tests.support.envoy_client import Stub, check
from tests.support.ports import free_port
from tests.support.processes import OPEN, fleet
from tests.support.programs import ROOT, run, until

_WITHOUT_GRPC = (
    "import sys; sys.modules['grpc'] = None; sys.argv = ['cognito-gateway', 'serve', '--config', {path!r}];"
    " from gateway.cli import main; sys.exit(main())"
)


async def status(port: int) -> int:
    """What a check on a connection of its own gets: 0, or the status of the refusal."""
    # Else the client's library would take the same connection again.
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        response = await Stub(channel).Check(check("/x"), timeout=60)
        return response.denied_response.status.code if response.HasField("denied_response") else 0


async def test_every_worker_listens_and_a_dead_one_is_replaced(tmp_path: Path) -> None:
    port = free_port()
    more = f"{OPEN}\next_authz: {{grpc_address: '127.0.0.1:{port}'}}"
    async with fleet(tmp_path, 2, more) as gateway:
        for _ in range(20):
            assert await status(port) == 0
        os.kill(gateway.workers[0], signal.SIGKILL)
        await gateway.event("worker_started", 3)
        await gateway.serving(2)
        for _ in range(20):
            assert await status(port) == 0
        gateway.rewrite("auth: none", "auth: required")
        gateway.served.signal(signal.SIGHUP)

        async def reloaded() -> bool:
            return await gateway.reloads("success") == 1

        await until(reloaded)
        for _ in range(20):
            assert await status(port) == 401
        # In the sum of all workers, but for what the killed one did not report any more.
        counter = 'cognito_gateway_auth_decisions_total{reason="no_credentials",result="refused"}'
        await gateway.counted(counter, 20)
        second = run(
            sys.executable,
            "-m",
            "gateway",
            "serve",
            "--config",
            gateway.path,
            environ={
                "COGNITO_GATEWAY_LISTEN__ADDRESS": "127.0.0.1:0",
                "COGNITO_GATEWAY_METRICS__ADDRESS": "127.0.0.1:0",
                "COGNITO_GATEWAY_LISTEN__WORKERS": "2",
            },
        )
        assert second.returncode == 1
        assert f"ext_authz.grpc_address 127.0.0.1:{port} is taken" in second.stderr
        assert "Traceback" not in second.stderr
        assert await gateway.served.stop() == 0


def test_without_the_extra_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    path = tmp_path / "gateway.yaml"
    path.write_text(
        "listen: {address: '127.0.0.1:0'}\nmetrics: {address: '127.0.0.1:0'}\n"
        "ext_authz: {grpc_address: '127.0.0.1:0'}\n"
    )
    ended = run(sys.executable, "-c", _WITHOUT_GRPC.format(path=str(path)), cwd=ROOT)
    assert ended.returncode == 1
    lines = [line for line in ended.stderr.splitlines() if line]
    assert len(lines) == 1
    assert "ext_authz.grpc_address is set, and grpc is not installed" in lines[0]
    assert "-m pip install 'grpcio" in lines[0]


def test_nothing_of_it_is_imported_where_it_is_not_configured() -> None:
    program = (
        "import sys, gateway.serve.run, gateway.serve.app, gateway.serve.server;"
        "print([name for name in ('grpc', 'google.protobuf') if name in sys.modules])"
    )
    ended = run(sys.executable, "-c", program)
    assert (ended.stdout, ended.stderr) == ("[]\n", "")
