"""The files derived from the table: they are what would be written now, and complete."""

from __future__ import annotations

import functools
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config.example import example
from gateway.config.generate import ROOT, generated
from gateway.config.schema import json_schema
from gateway.config.shapes import Key, Kind, ListOf, MapOf, Section
from gateway.config.table import SCHEMA
from tests.support.config_files import said
from tests.support.mistakes import WRONG
from tests.support.tokens import CLIENT_ID, POOL_ID


@functools.cache
def validator() -> Any:
    """Make one of our schema. Its import takes a second of CPU: too much for every process of a test run."""
    from jsonschema import Draft7Validator

    return Draft7Validator(json_schema())


# The public surface's own example, as it is promised.
PROMISED = """\
listen:
  address: 127.0.0.1:8000          # host:port, :port or unix:/path
  workers: 1                       # or auto: the CPUs this container may use
  public_url: null                 # what browsers call us; default: from the request
  trusted_proxies: []              # CIDRs whose X-Forwarded-* are believed; nobody by default
  tls: null                        # {certificate_file, key_file, client_ca_file}; files are watched
  max_header_size: 32KiB
  max_body_size: 0                 # 0 = unlimited (streamed, never held)
  header_timeout: 10s              # slow clients
  idle_timeout: 75s                # keep-alive
  drain_timeout: 30s
  drain_delay: 0s                  # readiness fails this long before listening stops
upstream:
  url: http://127.0.0.1:8080       # http, https or unix:/path
  connect_timeout: 2s
  response_timeout: 60s            # until the response head
  idle_timeout: 5m                 # silence inside a body, an event stream or a tunnel
  max_connections: 1024
  host_header: preserve            # or upstream
  forward_token: false             # true: Authorization goes on to the upstream
  tls: null                        # {ca_file, certificate_file, key_file, server_name}
cognito:
  endpoint_url: null               # the Cognito API; null = AWS's for the region
  issuer_from: null                # aws | endpoint; null = aws where endpoint_url is AWS's
  user_pools:                      # one or more; empty = not configured yet (see the set-up page)
    - id: ap-south-1_AbCdEfGhI     # required
      client_ids: [1example23456789]   # required, not empty, unless `clients: bound`
      clients: listed                  # listed | bound: also any other client, of tokens bound to `audiences`
      audiences: []                    # resource identifiers (RFC 8707) that this gateway answers to
      require_audience: false          # true: an access token without `aud` is refused
      client_secret_file: null
      client_secret: null              # or ${NAME}: the whole value from the environment
      token_use: [access]          # access, id
      issuers: null                # default: AWS's exact strings for this pool, both kinds
      jwks_url: null               # default: issuer + /.well-known/jwks.json; https, or http on loopback
      jwks_file: null              # pinned keys, for places with no way out
      identity_pool_id: null       # ap-south-1:00000000-0000-0000-0000-000000000000
      domain: null                 # https://… of managed login; null = our own pages
  clock_leeway: 0s
  revocation:
    check_every: null              # e.g. 30s: signed-out and disabled users lose access within this
routes:                            # first match wins; what no route matches needs a valid token
  - path: /api/v1/status           # literal, * one segment, ** any depth (/a/** also matches /a)
    methods: [GET]                 # default: all
    auth: none                     # none | optional | required (default)
  - path: /api/v1/admin/**
    groups: [admins]               # any of
    scopes: [api/read, api/write]  # all of
    claims: {custom:tenant: acme}  # all of; a list = any of
paths:                             # what a path may hold; ambiguous ones get 400
  encoded_slash: reject            # or pass
  double_slash: reject
  semicolon: reject
identity_headers:                  # sent upstream; every client copy, however spelled, is removed
  user: X-Auth-Request-User        # sub
  username: X-Auth-Request-Preferred-Username
  email: X-Auth-Request-Email
  groups: X-Auth-Request-Groups
  claims: {}                       # {header name: claim name}
sign_in:
  enabled: true
  prefix: /oauth2
  auth_flow: USER_PASSWORD_AUTH    # or USER_SRP_AUTH, USER_AUTH
  sign_up: auto                    # auto = as the pool allows; never = page hidden
  sign_up_attributes: []
  pages: own                       # own | managed: which pages sign people in where `domain` is set
  providers: []                    # [{name: Google, label: …}]
  user_context: false
  languages: [en]
  appearance:
    name: null
    logo_file: null
    accent: null
    css_file: null
    messages_file: null
    terms_url: null
    privacy_url: null
    support_url: null
  session:
    store: cookie                  # cookie (sealed) | memory | redis
    redis_url: null
    secret_file: null              # one key a line, newest first; null = made at start, with a warning
    max_age: 12h
  state_dir: null                  # where the set-up page stores its answer; null = page is read-only
rate_limit:                        # token bucket per principal, or per address when nobody is signed in
  requests_per_second: 0           # 0 = off
  burst: 0
  redis_url: null                  # shared between replicas
cors: null                         # {allow_origins: [...], allow_headers, allow_methods, max_age}
metrics:
  address: 127.0.0.1:9090          # own listener: metrics and probes, never on the public port
  path: /metrics
log:
  format: auto                     # json | text | auto: text on a terminal, else json
  level: info
  access: true
tracing: null                      # {otlp_endpoint: …}; W3C traceparent is passed through in any case
"""


@pytest.mark.parametrize("path", generated())
def test_the_committed_file_is_what_would_be_written_now(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == generated()[path], "run `make config`"


def filled(text: str) -> str:
    """With other IDs than those of the example, which are warned about."""
    return text.replace("ap-south-1_AbCdEfGhI", POOL_ID).replace("1example23456789", CLIENT_ID)


def test_the_promised_file_is_accepted(tmp_path: Path) -> None:
    assert said(tmp_path, filled(PROMISED)) == []


def test_the_promised_defaults_are_the_tables(tmp_path: Path) -> None:
    def walk(section: Section[Any], promised: dict[str, Any]) -> None:
        # In this order; there may be more between them.
        assert list(promised) == [key.name for key in section.keys if key.name in promised]
        for key in (key for key in section.keys if key.name in promised):
            value = promised[key.name]
            if isinstance(key.shape, Section) and value is not None:
                walk(key.shape, value)
            elif isinstance(key.shape, Kind):
                assert value == (None if key.default is None else yaml.safe_load(str(key.default))), key.name

    walk(SCHEMA, yaml.safe_load(PROMISED))
    pool = yaml.safe_load(PROMISED)["cognito"]["user_pools"][0]
    pools = next(key for key in SCHEMA.keys if key.name == "cognito").shape
    assert isinstance(pools, Section)
    items = next(key for key in pools.keys if key.name == "user_pools").shape
    assert isinstance(items, ListOf)
    assert isinstance(items.of, Section)
    assert list(pool) == [key.name for key in items.of.keys]


def test_the_example_is_all_defaults_and_names_every_key(tmp_path: Path) -> None:
    assert said(tmp_path, example()) == []
    for path, key in _keys(SCHEMA, ""):
        assert re.search(rf"^[ #-]*{key.name}:", example(), re.MULTILINE), path
        words = " ".join(re.sub(r"^[ #]+", "", line) for line in example().splitlines())
        assert key.why in words, path


def test_the_examples_in_the_example_are_right_but_for_what_is_not_built(tmp_path: Path) -> None:
    for name in ("tls.crt", "tls.key", "assertion.key", "session.keys"):
        (tmp_path / name).touch(mode=0o600)
    for name in ("logo.svg", "logo-dark.svg", "messages.yaml", "pages.css"):
        (tmp_path / name).touch()
    assert said(tmp_path, re.sub("/etc/(tls|keys|looks)/", "", example(live=True))) == []


def test_every_key_is_in_the_documentation() -> None:
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    for path, key in _keys(SCHEMA, ""):
        assert f"`{path}`" in text, path
        assert key.why.replace("|", "\\|").replace("*", "\\*") in text or key.why in text, path


def test_the_minimal_file_is_small_and_complete(tmp_path: Path) -> None:
    text = (ROOT / "config/gateway.minimal.yaml").read_text(encoding="utf-8")
    assert said(tmp_path, filled(text)) == []
    assert len([line for line in text.splitlines() if line and line[0] not in "#-"]) == 4


def test_editors_find_the_schema() -> None:
    for path in (ROOT / "config").glob("*.yaml"):
        assert path.read_text(encoding="utf-8").startswith(
            "# yaml-language-server: $schema=gateway.schema.json\n"
        )


def test_the_schema_is_one() -> None:
    validator().check_schema(json_schema())
    assert json.loads((ROOT / "config/gateway.schema.json").read_text(encoding="utf-8")) == json_schema()


@pytest.mark.parametrize(
    "text", ["", PROMISED, example(), example(live=True), "log:\nroutes:\n", "listen:\n  workers: ${N}\n"]
)
def test_the_schema_accepts_what_is_right(text: str) -> None:
    assert list(validator().iter_errors(yaml.safe_load(text))) == []


# What a schema can say: keys, shapes, spellings. The rest is check-config's.
EXPRESSIBLE = (
    "unknown keys, the nearest is named",
    "unknown here, known elsewhere",
    "unknown in a list item",
    "missing keys stand on their item's first line",
    "missing in a section",
    "what YAML 1.1 would turn into something else",
    "the wrong shape",
    "one value in place of a list",
    "empty where something must stand",
    "out of bounds",
    "pools",
    "route paths",
    "methods",
    "identity headers",
    "prefixes",
    "prefix without a slash",
    "prefix with one too many",
    "prefix with a pattern",
    "one word",
    "not a mapping",
)


@pytest.mark.parametrize("name", EXPRESSIBLE)
def test_the_schema_refuses_what_it_can_say(name: str) -> None:
    assert list(validator().iter_errors(yaml.safe_load(WRONG[name][0])))


def test_the_head_of_the_example_fits_a_terminal() -> None:
    assert max(map(len, example().splitlines())) <= 80
    assert textwrap.dedent(example()) == example()


def _keys(section: Section[Any], path: str) -> Iterator[tuple[str, Key]]:
    """Every key with its path as the documentation writes it."""
    for key in section.keys:
        where = f"{path}{key.name}"
        yield where, key
        if isinstance(key.shape, Section):
            yield from _keys(key.shape, f"{where}.")
        elif isinstance(key.shape, ListOf) and isinstance(key.shape.of, Section):
            yield from _keys(key.shape.of, f"{where}[].")
        else:
            assert isinstance(key.shape, (Kind, ListOf, MapOf))
