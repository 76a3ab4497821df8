"""What all tests share."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable, Generator, Mapping

import pytest
from hypothesis import HealthCheck, settings

from gateway.serve.cpus import usable_cpus
from tests.support import commands, engines
from tests.support.figures import Figure, recorded

# No deadline per example, and no complaint about slow ones: the first one may have to make an RSA key, and
# test machines are busy. Where CI is set, hypothesis chooses the same examples every time by itself.
settings.register_profile("gateway", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("gateway")

# What the machine has set for AWS or for a gateway is not for those that the tests start, and what they ask
# on loopback goes through no proxy; pip and apt, which some of them start, may need theirs.
for _name in [name for name in os.environ if name.startswith(("AWS_", "COGNITO_GATEWAY_"))]:
    del os.environ[_name]
# Nor are the variables of the make that runs these tests: a make that a test runs has its own environment.
for _name in ("MAKEFLAGS", "MFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "ARGS", "VENV", "PYTHON"):
    os.environ.pop(_name, None)
for _name in ("no_proxy", "NO_PROXY"):
    os.environ[_name] = ",".join(filter(None, (os.environ.get(_name), "127.0.0.1", "localhost")))

# Images of Python set this, and then each of the hundreds of programs that the tests start compiles its
# modules again: about a second of CPU each time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# A shell without job control starts what it runs in the background with SIGINT ignored, and so would all
# programs that these tests start and then interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--uvloop", action="store_true", help="run the asynchronous tests on uvloop")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Choose three times as many as there are CPUs, since most tests wait for programs and for time to pass.

    Beyond 16 the imports of each one cost more than it gains.
    """
    return min(3 * usable_cpus(), 16)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for no garbage among the thousands of tests: what is collected here stays until the end."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_runtest_setup(item: pytest.Item) -> None:
    engines.begins(item)
    commands.begins(item)


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Takes what a test of a fault saw, for the row of docs/reliability.md that its marker `fault` names."""
    marker = request.node.get_closest_marker("fault")
    assert marker is not None, "figures are for tests with the marker `fault`"

    def keep(seen: str, failed: int = 0) -> None:
        print(f"{marker.args[0]}: {seen}; {failed} failed")
        recorded(marker.args[0], seen, failed)

    return keep


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories(
    config: pytest.Config,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """One loop for all tests: asyncio's own, or with --uvloop the one that serves where it is installed."""
    if not config.getoption("--uvloop"):
        return {"asyncio": asyncio.new_event_loop}
    import uvloop

    return {"uvloop": uvloop.new_event_loop}
