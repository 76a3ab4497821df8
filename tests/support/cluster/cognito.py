"""A local Cognito for pods: they reach it over TLS at the node's address, as they reach AWS's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cognito.server import LocalCognito
from tests.support.certificates import Authority, accepting
from tests.support.cluster.node import ADDRESS
from tests.support.local_cognito import serving
from tests.support.rendering import Object
from tests.support.site import PASSWORD

PORT = 9443
# Beside the other secrets of the gateway.
CA_FILE = "/etc/cognito-gateway-secrets/cognito-ca.pem"


@dataclass
class Cognito:
    """The emulator itself, and the settings of a gateway in a pod that uses it."""

    local: LocalCognito
    authority: str

    @property
    def config(self) -> Object:
        return {"endpoint_url": self.local.state.url, "ca_file": CA_FILE}

    def token(self, client_id: str, username: str) -> str:
        """An access token, after a sign-in."""
        given = {"USERNAME": username, "PASSWORD": PASSWORD}
        said = self.local.call(
            "InitiateAuth", ClientId=client_id, AuthFlow="USER_PASSWORD_AUTH", AuthParameters=given
        )
        return str(said["AuthenticationResult"]["AccessToken"])


@contextlib.asynccontextmanager
async def cognito(folder: Path, seed: Mapping[str, Any]) -> AsyncIterator[Cognito]:
    """Run it in the node's network, where the caller is."""
    authority = Authority(folder)
    context = accepting(authority.sign("cognito", ADDRESS))
    async with serving(seed) as local, contextlib.AsyncExitStack() as stack:
        _, _, port = local.url.rpartition(":")
        # The name that its tokens carry.
        local.state.url = f"https://{ADDRESS}:{PORT}"

        async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                inner = await asyncio.open_connection("127.0.0.1", int(port))
                await asyncio.gather(_copy(reader, inner[1]), _copy(inner[0], writer))
            except OSError:
                writer.transport.abort()

        server = await asyncio.start_server(relay, ADDRESS, PORT, ssl=context)
        await stack.enter_async_context(server)
        yield Cognito(local, authority.file.read_text())


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    finally:
        target.close()
