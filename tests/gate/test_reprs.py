"""What the gate's objects show of themselves: their state, and nothing that a token or a key holds."""

from __future__ import annotations

import time
from pathlib import Path

from gateway.config.load import load
from gateway.gate.assertion import Signer
from gateway.gate.authenticate import Authenticator
from gateway.gate.limits import Limits
from gateway.gate.refusals import Refusals
from gateway.keys.key_sets import KeySets
from gateway.observe.metrics import WorkerMetrics
from gateway.tokens.claims import decode, verify
from gateway.tokens.jwk import read_key_set
from tests.support.assertions import curve, settings
from tests.support.key_sets import Recorder
from tests.support.shared_redis import Lines, logging_to
from tests.support.tokens import CLIENT_ID, POOL_ID, KeyPair, access_claims, key_set_document, sign
from tests.support.verifying import cache_of


async def test_states_are_shown_and_secrets_are_not(tmp_path: Path) -> None:
    key = KeyPair.generate("key-1")
    (tmp_path / "jwks.json").write_bytes(key_set_document(key))
    file = tmp_path / "gateway.yaml"
    file.write_text(
        f"cognito: {{user_pools: [{{id: {POOL_ID}, client_ids: [{CLIENT_ID}],"
        f" jwks_file: {tmp_path}/jwks.json}}]}}\n"
        "rate_limit: {requests_per_second: 2, burst: 5}\n" + settings(tmp_path, curve())
    )
    config, metrics = load(file, {}).config, WorkerMetrics()
    key_sets = KeySets(config.cognito.user_pools, events=Recorder(), timing=None, timeout=10.0)
    authenticator = Authenticator(
        config, key_sets, describe=lambda _: b"", metrics=metrics, cache=cache_of(key_sets.key)
    )
    token = sign(key, access_claims(sub="the-subject"))
    verification = authenticator.begin([b"Bearer " + token], None, time.time())
    assert repr(verification) == f"<Verification by {authenticator!r}>"
    assert token.decode() not in repr(verification)

    assert config.identity_headers.assertion is not None
    signer = Signer(config, config.identity_headers.assertion)
    assert repr(signer).startswith("<Signer ES256, key ")
    (verifying,) = read_key_set(key_set_document(key)).keys.values()
    unverified = decode(token)
    claims = verify(unverified, verifying, authenticator.rules(unverified), now=time.time())
    assert repr(signer.assertion(claims)) == f"<Assertion for {claims!r}>"

    assert config.rate_limit is not None
    with logging_to(tmp_path, Lines()) as log:
        limits = Limits(config.rate_limit, metrics=metrics, log=log)
    buckets = "<Buckets of 0 keys, 2/s, 5 at once>"
    assert repr(limits) == f"<Limits of {buckets} and {buckets}>"

    refusals = Refusals()
    refusals.admits((None, "203.0.113.7"), 1.0)
    assert repr(refusals) == "<Refusals of 1 senders>"
