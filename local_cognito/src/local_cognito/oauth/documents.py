"""Fetching client ID metadata documents, when an authorization request names one.

Invariant: no redirect is followed, and no more than LARGEST bytes are read within LONGEST seconds. Unlike
Cognito, it fetches from any address: a test's documents are on loopback.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping
from typing import Any

import aiohttp

from local_cognito.client_documents import DAY, YEAR, client_of, is_document, keep
from local_cognito.client_oauth import check_url
from local_cognito.errors import AwsError
from local_cognito.oauth.authorize import NotHere
from local_cognito.shapes import Field, check
from local_cognito.state import State
from local_cognito.state_documents import ClientDocument

# The draft (draft-ietf-oauth-client-id-metadata-document) recommends 5 KB.
LARGEST, LONGEST = 5 * 1024, 5.0
_LONGEST_URL = 256
_MAX_AGE = re.compile(r"(?:^|,)\s*max-age=(\d{1,9})\s*(?:,|$)", re.IGNORECASE)
_TEXTS = Field(list, minimum=1, maximum=20, item=Field(str, minimum=1, maximum=1024))
_DOCUMENT = {
    "client_id": Field(str, True),
    "redirect_uris": Field(list, True, minimum=1, maximum=20, item=Field(str, minimum=1, maximum=1024)),
    "grant_types": _TEXTS,
    "token_endpoint_auth_method": Field(str, maximum=64),
}


async def know(state: State, client_id: str, now: float) -> None:
    """Fetch the document of this client, unless it is cached or the client is no document. Raises NotHere."""
    if not is_document(client_id):
        return
    found = client_of(state, client_id) if len(client_id) <= _LONGEST_URL else None
    if found is None:
        raise NotHere("invalid_request", "client_id is a URL that no CIMD policy matches")
    _, _, policy = found
    cached = policy.documents.get(client_id)
    if cached is not None and now < cached.expires:
        return
    try:
        given, cache_control = await _fetch(client_id)
        document = check(_DOCUMENT, {name: given[name] for name in _DOCUMENT if name in given})
        for uri in document["redirect_uris"]:
            check_url(uri)
    except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError, AwsError) as error:
        why = error.message if isinstance(error, AwsError) else str(error) or "no answer in time"
        raise NotHere("invalid_client", f"the client metadata document: {why}") from None
    if document["client_id"] != client_id:
        raise NotHere("invalid_client", "the client metadata document is another client's")
    if document.get("token_endpoint_auth_method", "none") != "none":
        raise NotHere("invalid_client", "the client metadata document is not a public client's")
    said = _MAX_AGE.search(cache_control)
    seconds = int(said[1]) if said is not None and DAY <= int(said[1]) <= YEAR else policy.seconds
    grants = tuple(document.get("grant_types", ("authorization_code",)))
    keep(policy, ClientDocument(client_id, tuple(document["redirect_uris"]), grants, now, now + seconds))


async def _fetch(url: str) -> tuple[Mapping[str, Any], str]:
    """Return the document and its Cache-Control. Raises ValueError, ClientError or TimeoutError."""
    timeout = aiohttp.ClientTimeout(total=LONGEST)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        # The process's roots: SSL_CERT_FILE names a test's own.
        session.get(url, allow_redirects=False, ssl=ssl.create_default_context()) as answer,
    ):
        if answer.status != 200 or answer.content_type != "application/json":
            raise ValueError("the answer is not 200 and application/json")
        body = b""
        async for chunk in answer.content.iter_any():
            body += chunk
            if len(body) > LARGEST:
                raise ValueError(f"it has more than {LARGEST} bytes")
        given = json.loads(body)
        # What is no object has none of the members.
        return given if isinstance(given, dict) else {}, answer.headers.get("Cache-Control", "")
