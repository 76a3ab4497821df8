"""Policies for client ID metadata documents, and the documents that Cognito keeps for them.

Invariant: a URL is a client only while a policy of a pool matches it and the policy's app client exists.
Sources: API reference, CreateCIMDPolicy; developer guide, "Client ID metadata documents (CIMD)".
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Iterator, Mapping
from typing import Any

from local_cognito.errors import AwsError, not_found
from local_cognito.pages import page
from local_cognito.state import Client, Pool, State
from local_cognito.state_documents import CimdPolicy, ClientDocument

Request = Mapping[str, Any]
Answer = dict[str, Any]

# Seconds. API reference, CreateCIMDPolicy: a day to a (mean) year, and a day without a setting.
DAY, YEAR = 86_400, 31_556_952
# A server that runs for long keeps no more documents for a policy than this, the newest.
_MOST_DOCUMENTS = 1000
_ID = string.ascii_lowercase + string.digits


def create_cimd_policy(state: State, request: Request, now: float) -> Answer:
    pool = _pool(state, request)
    policy = CimdPolicy(
        id="".join(secrets.choice(_ID) for _ in range(26)),
        name=request["PolicyName"],
        client_id=state.client(request["ClientId"], pool.id)[1].id,
        patterns=list(request["URLPatterns"]),
        seconds=request.get("CacheDuration", DAY),
        created=now,
        modified=now,
    )
    pool.cimd_policies[policy.id] = policy
    return {"CIMDPolicy": _described(pool, policy)}


def describe_cimd_policy(state: State, request: Request, now: float) -> Answer:
    return {"CIMDPolicy": _described(*_policy(state, request))}


def update_cimd_policy(state: State, request: Request, now: float) -> Answer:
    """UpdateCIMDPolicy. A cache duration that is left out stays."""
    _pool(state, request)
    pool, policy = _policy(state, request)
    policy.client_id = state.client(request["ClientId"], pool.id)[1].id
    policy.name = request.get("PolicyName", policy.name)
    policy.patterns = list(request["URLPatterns"])
    policy.seconds = request.get("CacheDuration", policy.seconds)
    policy.modified = now
    policy.documents = {url: one for url, one in policy.documents.items() if _matches(policy, url)}
    return {"CIMDPolicy": _described(pool, policy)}


def delete_cimd_policy(state: State, request: Request, now: float) -> Answer:
    pool, policy = _policy(state, request)
    del pool.cimd_policies[policy.id]
    return {}


def list_cimd_policies(state: State, request: Request, now: float) -> Answer:
    pool = state.pool(request["UserPoolId"])
    shown = [_described(pool, policy) for policy in pool.cimd_policies.values()]
    items = [{name: one[name] for name in one if name not in ("UserPoolId", "URLPatterns")} for one in shown]
    size = request.get("MaxResults", 60)
    return page(items, size, request.get("NextToken"), names=("CIMDPolicies", "NextToken"))


def list_client_metadata_urls(state: State, request: Request, now: float) -> Answer:
    _, policy = _policy(state, request)
    items = [
        {"URL": one.url, "CachedDate": one.cached, "ExpirationDate": one.expires}
        for one in policy.documents.values()
    ]
    size = request.get("MaxResults", 60)
    return page(items, size, request.get("NextToken"), names=("ClientMetadataURLs", "NextToken"))


def update_client_metadata_url_state(state: State, request: Request, now: float) -> Answer:
    """UpdateClientMetadataURLState. Both actions drop the document: the next authorization fetches it."""
    _pool(state, request)
    _, policy = _policy(state, request)
    if policy.documents.pop(request["URL"], None) is None:
        raise AwsError(
            "CachedCIMDURLDoesNotExistException", "There is no cached client metadata document for the URL."
        )
    return {}


# --- for managed login ---


def is_document(client_id: str) -> bool:
    return client_id.startswith("https://")


def client_of(state: State, url: str) -> tuple[Pool, Client, CimdPolicy] | None:
    """Return the app client that a policy maps this URL to; the oldest policy of the first pool wins."""
    for pool in state.pools.values():
        for policy in pool.cimd_policies.values():
            if pool.domain is not None and policy.client_id in pool.clients and _matches(policy, url):
                return pool, pool.clients[policy.client_id], policy
    return None


def keep(policy: CimdPolicy, document: ClientDocument) -> None:
    policy.documents.pop(document.url, None)
    while len(policy.documents) >= _MOST_DOCUMENTS:
        del policy.documents[next(iter(policy.documents))]
    policy.documents[document.url] = document


def _matches(policy: CimdPolicy, url: str) -> bool:
    return any(re.fullmatch("".join(_expression(each)), url) for each in policy.patterns)


def _expression(pattern: str) -> Iterator[str]:
    """Yield a pattern's parts as regular expressions: before the path, `*` matches no slash."""
    path = False
    for part in re.split(r"(\*|(?<=[^:/])/)", pattern):
        path = path or part == "/"
        if part == "*":
            yield "[^?#]*" if path else "[^/?#@]*"
        else:
            yield re.escape(part)


def _pool(state: State, request: Request) -> Pool:
    """Return the pool, whose tier must have the feature."""
    pool = state.pool(request["UserPoolId"])
    if pool.settings["UserPoolTier"] == "LITE":
        raise AwsError(
            "FeatureUnavailableInTierException", "CIMD policies need the Essentials tier or higher."
        )
    return pool


def _policy(state: State, request: Request) -> tuple[Pool, CimdPolicy]:
    pool = state.pool(request["UserPoolId"])
    policy = pool.cimd_policies.get(request["CIMDPolicyId"])
    if policy is None:
        raise not_found(f"CIMD policy {request['CIMDPolicyId']} does not exist.")
    return pool, policy


def _described(pool: Pool, policy: CimdPolicy) -> Answer:
    # API reference, CIMDPolicyType: left out when the app client no longer exists.
    client = {"ClientId": policy.client_id} if policy.client_id in pool.clients else {}
    return {
        "UserPoolId": pool.id,
        "CIMDPolicyId": policy.id,
        **client,
        "PolicyName": policy.name,
        "CacheDuration": policy.seconds,
        "URLPatterns": policy.patterns,
        "CreationDate": policy.created,
        "LastModifiedDate": policy.modified,
    }
