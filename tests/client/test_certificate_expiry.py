"""A certificate that has expired, or does not hold yet: never in the place of a valid one, and said."""

from __future__ import annotations

import datetime
import shutil
import time
from pathlib import Path

import pytest

from gateway.tls.certificates import Validity, validity
from tests.support.certificates import Authority
from tests.support.programs import SCRIPT, run
from tests.support.running import logged, running
from tests.support.tls_serving import greeting, install, serving

LONG_AGO = datetime.timedelta(days=-30)
LATER = datetime.timedelta(days=30)


@pytest.mark.parametrize(("shift", "told"), [(LONG_AGO, "expired at "), (LATER, "is not valid before ")])
async def test_an_expired_certificate_never_replaces_a_valid_one(
    tmp_path: Path, shift: datetime.timedelta, told: str
) -> None:
    async with serving(tmp_path) as (gateway, authority):
        assert gateway.worker.tls is not None
        expiry = gateway.worker.metrics.certificate_expiry
        assert time.time() < expiry["listen.tls"] < time.time() + 90_000
        before = dict(expiry)
        install(tmp_path, authority.sign("old", "127.0.0.1", shift=shift))
        await gateway.worker.tls.refresh()
        assert await greeting(gateway, authority) == "first"
        assert expiry == before
        # A good one that comes afterwards is taken.
        install(tmp_path, authority.sign("second", "127.0.0.1"))
        await gateway.worker.tls.refresh()
        assert await greeting(gateway, authority) == "second"
        events = await logged(gateway, "tls_reload", 2)
        assert [line["result"] for line in events] == ["failure", "success"]
        assert told in str(events[0]["exact"])


async def test_at_start_an_expired_certificate_is_served_with_a_warning_until_replaced(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    install(tmp_path, authority.sign("old", "127.0.0.1", shift=LONG_AGO))
    tls = f"tls: {{certificate_file: {tmp_path}/live.crt, key_file: {tmp_path}/live.key}}"
    async with running(tmp_path, listen_lines=tls) as gateway:
        (event,) = await logged(gateway, "certificate_invalid", 1)
        assert (event["level"], event["section"]) == ("warning", "listen.tls")
        assert "live.crt: expired at " in str(event["exact"])
        assert gateway.worker.metrics.certificate_expiry["listen.tls"] < time.time()
        assert gateway.worker.tls is not None
        # As bad as the one in use: nothing is lost by it.
        install(tmp_path, authority.sign("older", "127.0.0.1", shift=2 * LONG_AGO))
        await gateway.worker.tls.refresh()
        install(tmp_path, authority.sign("second", "127.0.0.1"))
        await gateway.worker.tls.refresh()
        assert await greeting(gateway, authority) == "second"
        assert gateway.worker.metrics.certificate_expiry["listen.tls"] > time.time()


def test_check_config_warns(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    old, good = authority.sign("old", shift=LONG_AGO), authority.sign("good")
    file = tmp_path / "gateway.yaml"
    file.write_text(
        f"listen:\n  tls:\n    certificate_file: {old.certificate}\n    key_file: {old.key}\n"
        f"upstream:\n  url: https://127.0.0.1:1\n"
        f"  tls: {{certificate_file: {good.certificate}, key_file: {good.key}}}\n"
    )
    done = run(SCRIPT, "check-config", file)
    assert done.returncode == 0
    warnings = [line for line in done.stderr.splitlines() if "expired at" in line]
    assert len(warnings) == 1
    assert "gateway.yaml:3: warning: listen.tls.certificate_file: " in warnings[0]
    shutil.copy(old.certificate, good.certificate)
    shutil.copy(old.key, good.key)
    both = [line for line in run(SCRIPT, "check-config", file).stderr.splitlines() if "expired at" in line]
    assert len(both) == 2


def test_which_certificates_are_valid(tmp_path: Path) -> None:
    day = Validity(100.0, 200.0)
    assert (day.problem(100.0), day.problem(200.0)) == (None, None)
    assert day.problem(201.0) == "expired at 1970-01-01T00:03:20Z"
    assert day.problem(99.0) == "is not valid before 1970-01-01T00:01:40Z"
    (tmp_path / "nothing.pem").write_text("nothing")
    assert validity(tmp_path / "nothing.pem") is None
    assert validity(tmp_path / "absent.pem") is None
