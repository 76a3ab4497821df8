"""The systemd unit: systemd itself reads it, and what it promises about signals and limits is there."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from gateway.config.load import load

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "config/cognito-gateway.service"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    # It checks that the program is there, too: one that stands in for it.
    program = tmp_path / "bin/cognito-gateway"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/cognito-gateway/", f"{tmp_path}/"))
    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False
    )
    about_ours = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, about_ours) == (0, [])


def test_systemd_waits_longer_than_a_drain(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]  # the documented way to keep the case
    unit.read(UNIT)
    (tmp_path / "gateway.yaml").touch()
    listen = load(tmp_path / "gateway.yaml", {}).config.listen
    assert int(unit["Service"]["TimeoutStopSec"]) > listen.drain_delay + listen.drain_timeout
    # The supervisor drains its workers: systemd must not signal them at once.
    assert unit["Service"]["KillMode"] == "mixed"
