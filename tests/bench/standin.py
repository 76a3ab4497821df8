"""Stands in for the gateway in the harness's tests: `standin.py serve --config FILE`, `standin.py version`.

It does the checks with PyJWT and relays nothing: it answers what the upstream would. With `--skip NAME` in
front it forgets one check, which the harness has to notice.
"""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import jwt
import yaml
from aiohttp import ClientSession, web

from bench import upstream


def refuses(token: str, keys: jwt.PyJWKSet, pool: dict[str, Any], skip: str) -> bool:
    try:
        claims = jwt.decode(
            token,
            keys[jwt.get_unverified_header(token)["kid"]],
            algorithms=["RS256"],
            issuer=pool["issuers"],
            options={"verify_exp": skip != "exp", "verify_signature": skip != "signature"},
        )
    except (jwt.PyJWTError, KeyError):
        return True
    wrong_client = claims["client_id"] not in pool["client_ids"] and skip != "client_id"
    return wrong_client or claims["token_use"] not in pool["token_use"]


async def applications(config: dict[str, Any], skip: str) -> list[tuple[web.Application, str]]:
    (pool,) = config["cognito"]["user_pools"]
    async with ClientSession() as session, session.get(pool["jwks_url"]) as answer:
        keys = jwt.PyJWKSet.from_dict(await answer.json())

    async def public(request: web.Request) -> web.Response:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or refuses(token, keys, pool, skip):
            return web.Response(status=401)
        return web.Response(body=upstream.body())

    async def ready(_: web.Request) -> web.Response:
        return web.Response()

    front, probes = web.Application(), web.Application()
    front.router.add_get("/{path:.*}", public)
    probes.router.add_get("/readyz", ready)
    return [(front, config["listen"]["address"]), (probes, config["metrics"]["address"])]


async def serve(config: dict[str, Any], skip: str) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    runners = []
    for application, address in await applications(config, skip):
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        host, _, port = address.rpartition(":")
        await web.TCPSite(runner, host, int(port)).start()
        runners.append(runner)
    await stop.wait()
    for runner in runners:
        await runner.cleanup()


def main(argv: list[str]) -> None:
    skip = ""
    if argv[0] == "--skip":
        skip, argv = argv[1], argv[2:]
    if argv[0] == "version":
        print("standin 0.1")
        return
    asyncio.run(serve(yaml.safe_load(Path(argv[2]).read_text()), skip))


if __name__ == "__main__":
    main(sys.argv[1:])
