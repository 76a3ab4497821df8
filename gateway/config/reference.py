"""docs/configuration.md from the table, behind the rules that hold for every key."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.environment import single_values, variable
from gateway.config.example import value_of
from gateway.config.shapes import Key, Kind, ListOf, MapOf, Section, Shape
from gateway.config.table import SCHEMA

_HEAD = """\
<!-- Generated from gateway/config/table_*.py and reference.py by `make config`. -->

# Configuration

One YAML file. `serve` reads the one named by `--config`, else by `$COGNITO_GATEWAY_CONFIG`, else
`config/gateway.yaml`; [variables](#flags-and-environment-variables) alone work as well. An empty file is
valid: everything has a default, and without a user pool the gateway answers 503 where a token is needed.
A start is [`config/gateway.minimal.yaml`](../config/gateway.minimal.yaml); every key with its default is in
[`config/gateway.example.yaml`](../config/gateway.example.yaml).

    cognito-gateway check-config config/gateway.yaml

reports every mistake in one run, as `FILE:LINE: key.path: what is wrong`, and warns of what is
valid but surely not meant. Mistakes and warnings go to stderr; exit code 1 means mistakes. A missing
key is reported on the first line of its section or list item.

## How values are written

- **Text decides, not YAML's guesses**: `off`, `0755` and `12:30` are what the key says they are, with
  or without quotes. Booleans are `true` and `false` only.
- **Durations**: `500ms`, `2s`, `5m`, `12h`, and `0`; a whole number and one unit. **Sizes**: `65536`,
  `64KiB`, `1MiB`, `1GiB`.
- **Addresses**: `host:port`, `:port` (every interface), `[::1]:8000`, `unix:/path`; port 0 lets the
  system choose.
- **null**: an empty value or `null`. Only keys that say so take it, and there it is a decision. A
  section, list or mapping without content is an empty one.
- **Files**: relative paths begin at the folder of the configuration file. They must exist and be
  readable; a secret that others may read (`mode & 077`) is a warning.
- **Environment**: `${NAME}` and `${NAME:-default}` inside any value; the default also replaces an
  empty variable and ends at the first `}`. `$$` is one dollar sign, and a `$` before anything else is
  itself. References are resolved after the YAML is read, so a value never changes the structure.
  Inside `[ ]` and `{ }` quote them: `["${CLIENT_ID}"]`. A variable that is not set is a mistake.
- **One document**, UTF-8, at most 1 MiB, indented with spaces. Duplicate keys, tags and merge keys
  (`<<`) are mistakes; anchors and aliases work.

## Flags and environment variables

Flags override the environment, and the environment overrides the file. Variables alone are enough: without a
file named by `--config` or `$COGNITO_GATEWAY_CONFIG`, `config/gateway.yaml` may be missing.

| to set | write |
|---|---|
| a key | `COGNITO_GATEWAY_LISTEN__ADDRESS=:8000`: two underscores between the levels |
| an item of a list | `COGNITO_GATEWAY_COGNITO__USER_POOLS__0__ID`, `…__0__CLIENT_IDS__0`: no gaps |
| a whole list, section or mapping | YAML text: `COGNITO_GATEWAY_ROUTES='[{path: /status, auth: none}]'` |

A variable replaces what the file says at that key. Its value is taken literally (no `${…}`). An unknown
`COGNITO_GATEWAY_…` variable is a mistake and gets a suggestion, except those that Kubernetes sets for a
Service of that name (`COGNITO_GATEWAY_SERVICE_HOST`, `COGNITO_GATEWAY_PORT` and the like). Relative paths
start at the working directory where there is no file.

## Checked together

- `jwks_url` and `cognito.endpoint_url` are https, or http on a loopback address; so is the address
  that follows from `issuers` when there is neither `jwks_url` nor `jwks_file`.
- Two pools never share an issuer.
- Identity headers are valid names, differ (`_`, `.` and case make no difference), and are none that
  HTTP or the gateway writes itself, such as `Authorization`, `Host`, `Cookie` or `X-Forwarded-For`.
- `listen.address`, `metrics.address` and `upstream.url` are three different places.
- Warnings: a route that can never match, because earlier routes take all its requests or because it
  lies under `sign_in.prefix`; `trusted_proxies` that trusts everybody; a `jwks_url` beside a
  `jwks_file`; secrets that others may read.

## Keys

"""


def reference() -> str:
    """The page's text."""
    return _HEAD + "\n".join(_chapters()) + "\n"


def _chapters() -> Iterator[str]:
    settable = frozenset(single_values())
    for key in SCHEMA.keys:
        yield from (f"### `{key.name}`", "", key.why, "")
        if key.nullable:
            yield from ("Default: `null`.", "")
        yield from ("| key | type | default | meaning |", "|---|---|---|---|")
        yield from _rows(key.shape, key.name)
        yield ""
        variables = [variable(path) for path in settable if path.split(".")[0] == key.name]
        if variables:
            yield from (f"Environment: `{min(variables)}` and so on for every single value.", "")


def _rows(shape: Shape, path: str) -> Iterator[str]:
    if isinstance(shape, ListOf):
        yield from _rows(shape.of, f"{path}[]")
    if not isinstance(shape, Section):
        return
    for key in shape.keys:
        where = f"{path}.{key.name}"
        inner = key.shape.of if isinstance(key.shape, ListOf) else key.shape
        yield f"| `{where}` | {_type(key)} | {_default(key)} | {_cell(key.why)} |"
        if isinstance(inner, Section):
            yield from _rows(key.shape, where)


def _type(key: Key) -> str:
    words = _words(key.shape)
    return _cell(f"{words}, or `null`" if key.nullable else words)


def _words(shape: Shape) -> str:
    if isinstance(shape, Kind):
        return shape.words
    if isinstance(shape, ListOf):
        return f"{'one or a list' if shape.single else 'list'} of: {_words(shape.of)}"
    if isinstance(shape, MapOf):
        return f"mapping of {shape.key.words} to {_words(shape.value)}"
    return "section"


def _default(key: Key) -> str:
    if key.required:
        return "required" if key.unless is None else f"required, unless `{key.unless[0]}: {key.unless[1]}`"
    if isinstance(key.shape, Section) and not key.nullable:
        return ""
    return f"`{value_of(key)}`"


def _cell(text: str) -> str:
    """RFC 7763 leaves tables to dialects; in all of them a bar ends the cell, and `*` may start emphasis."""
    return text.replace("|", "\\|").replace("*", "\\*")
