"""Any file as a configuration: taken, or refused with a sentence for every mistake; nothing else is raised.

What is taken can be built: a Gateway of it, as `serve` does at its start and at every reload.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.config.load import load
from gateway.errors import ConfigurationError, GatewayError
from gateway.observe.logs import configure
from gateway.observe.metrics import WorkerMetrics
from gateway.serve.app import Gateway
from tests.support.fuzz import examples
from tests.support.programs import ROOT

SCHEMA = json.loads((ROOT / "config" / "gateway.schema.json").read_text())


def keys(schema: dict[str, Any], at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key there is, as a path."""
    for name, inside in schema.get("properties", {}).items():
        yield (*at, name)
        yield from keys(inside, (*at, name))
    for each in schema.get("anyOf", ()):
        yield from keys(each, at)


KEYS = list(keys(SCHEMA))
_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        [
            *(
                "500ms",
                "2s",
                "-1s",
                "0s",
                "99999h",
                "64KiB",
                "1MiB",
                "-1KiB",
                "127.0.0.1:8000",
                ":0",
                "unix:/x",
            ),
            *(
                "http://127.0.0.1:8080",
                "https://localhost",
                "http://[::1]:1",
                "http://a b",
                "ftp://x",
                "10.0.0.0/8",
            ),
            *(
                "${HOME}",
                "${}",
                "${X:-y}",
                "/oauth2",
                "/a/**",
                "/a/../b",
                "required",
                "none",
                "X-User",
                "x y",
            ),
            *(
                "auto",
                "json",
                "debug",
                "preserve",
                "upstream",
                "*",
                "us-east-1_LocalDemo",
                "\x00",
                "é",
                "\ud800",
            ),
        ]
    ),
)
_names = st.sampled_from(sorted({each[-1] for each in KEYS})) | st.text(max_size=5)
_nested = st.recursive(
    _values,
    lambda inside: (
        st.lists(inside, max_size=3)
        | st.dictionaries(
            st.sampled_from(sorted({each[-1] for each in KEYS})) | st.text(max_size=5), inside, max_size=3
        )
    ),
    max_leaves=6,
)
_changes = st.lists(st.tuples(st.sampled_from(KEYS), _values | _nested), min_size=1, max_size=4)
GOOD = b"""\
listen: {address: '127.0.0.1:8000', trusted_proxies: [10.0.0.0/8], max_header_size: 32KiB}
upstream: {url: 'http://127.0.0.1:8080', connect_timeout: 2s}
cognito: {user_pools: [{id: ap-south-1_TestPool1, client_ids: [1testing23456789], token_use: [access]}]}
routes:
  - path: /api/v1/status
    methods: [GET]
    auth: none
  - {path: '/api/**', auth: required}
"""


def taken_or_refused(text: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "gateway.yaml"
        path.write_bytes(text)
        try:
            config = load(path, {}).config
        except ConfigurationError as refused:
            lines = str(refused).splitlines()
            assert lines
            assert all(line.startswith(str(path)) for line in lines), lines
            return
        log = configure(config.log)
        try:
            Gateway(config, metrics=WorkerMetrics(), log=log)
        except GatewayError:
            pass  # a file that is not there, in a sentence
        finally:
            log.close()


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(_changes)
@example([(("upstream", "tls", "ca_file"), "two\nlines")])
@example([(("upstream", "tls", "ca_file"), "half a pair \ud800")])
def test_any_values_in_the_known_places(changes: list[tuple[tuple[str, ...], Any]]) -> None:
    tree: Any = yaml.safe_load(GOOD)
    for place, value in changes:
        at = tree
        for name in place[:-1]:
            if not isinstance(at.get(name), dict):
                at[name] = {}
            at = at[name]
        at[place[-1]] = value
    taken_or_refused(yaml.safe_dump(tree, allow_unicode=True).encode("utf-8", "surrogatepass"))


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 9), st.binary(max_size=5)), max_size=4))
def test_any_bytes_among_the_good_ones(cuts: list[tuple[int, int, bytes]]) -> None:
    text = GOOD
    for at, length, new in cuts:
        text = text[:at] + new + text[at + length :]
    taken_or_refused(text)


_yaml = st.lists(
    st.sampled_from(
        [
            *(
                "listen:",
                "routes:",
                "  - path: /a",
                "- ",
                ": ",
                "\n",
                "\n  ",
                "{",
                "}",
                "[",
                "]",
                ",",
                "&a ",
                "*a",
            ),
            *(
                "!!python/object:x ",
                "!!binary x",
                "<<: ",
                "? ",
                "|",
                ">",
                "'",
                '"',
                "#",
                "---\n",
                "...\n",
                "%TAG",
            ),
            *(
                "\t",
                "\ufeff",
                "0x1",
                "1e999",
                "2024-01-01",
                "yes",
                "~",
                "${A",
                "cognito: {user_pools: [{id: ",
            ),
        ]
    )
    | st.text(max_size=3),
    max_size=25,
).map("".join)


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.too_slow])
@given(_yaml)
def test_anything_that_looks_like_yaml(text: str) -> None:
    taken_or_refused(text.encode("utf-8", "surrogatepass"))
