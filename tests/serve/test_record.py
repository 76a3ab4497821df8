"""What becomes of requests that nobody saw the end of."""

from __future__ import annotations

from pathlib import Path

from tests.support.running import logged, running
from tests.support.waiting import until
from tests.support.wire import Client, get


async def test_a_client_that_leaves_before_the_decision_is_no_error_of_ours(tmp_path: Path) -> None:
    async with running(tmp_path) as gateway:
        async with await Client.connect(gateway.port) as client:
            # A form of our own page, whose body is waited for.
            cookie = "Cookie: cognito_gateway_browser=" + "x" * 22
            form = ("Content-Type: application/x-www-form-urlencoded", "Content-Length: 10", cookie)
            await client.send(get("/oauth2/sign_in", *form, method="POST"))
            await until(lambda: gateway.worker.metrics.requests_in_flight)
        (line,) = await logged(gateway, "request", 1)
        assert (line["status"], line["decision"], line["reason"]) == (499, "refused", "client_gone")
        assert dict(gateway.worker.metrics.auth_decisions) == {("refused", "client_gone"): 1}
