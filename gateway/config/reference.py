"""Generator of docs/configuration.md: the rules that apply to every key, then all keys."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.config.environment import single_values, variable
from gateway.config.example import value_of
from gateway.config.shapes import Key, Kind, ListOf, MapOf, Section, Shape
from gateway.config.table import SCHEMA

_HEAD = """\
<!-- Generated from gateway/config/table_*.py and reference.py by `make config`. -->

# Configuration

The configuration is one YAML file. `serve` reads the file named by `--config`, otherwise by
`$COGNITO_GATEWAY_CONFIG`, otherwise `config/gateway.yaml`. You can also configure the gateway by
[environment variables](#flags-and-environment-variables) alone.

Every key has a default, so an empty file is valid; without a user pool, requests that need a token get 503.
Start from [`config/gateway.minimal.yaml`](../config/gateway.minimal.yaml). All keys with their defaults are
in [`config/gateway.example.yaml`](../config/gateway.example.yaml).

Check a file before you use it:

    cognito-gateway check-config config/gateway.yaml

`check-config` reports every mistake in one run, as `FILE:LINE: key.path: what is wrong`. It also warns about
values that are valid but probably not intended. Mistakes and warnings go to stderr; the exit code is 1 if
there are mistakes. A missing key is reported on the first line of its section or list item.

## Syntax of values

- **Types**: the key determines the type of a value, not YAML: `off`, `0755` and `12:30` mean what the key
  expects, with or without quotes. Booleans are only `true` and `false`.
- **Durations**: a whole number and one unit: `500ms`, `2s`, `5m`, `12h`; also `0`. **Sizes**: `65536`,
  `64KiB`, `1MiB`, `1GiB`.
- **Addresses**: `host:port`, `:port` (every interface), `[::1]:8000`, `unix:/path`. With port 0, the system
  chooses a port.
- **null**: an empty value or `null`. Only keys whose type says so accept it. A section, list or mapping
  without content is empty, not null.
- **Files**: paths are relative to the folder of the configuration file. Files must exist and be readable. A
  secret that other users can read (`mode & 077`) causes a warning.
- **Environment**: use `${NAME}` and `${NAME:-default}` inside any value. The default also replaces an empty
  variable; it ends at the first `}`. Write `$$` for one dollar sign; a `$` before any other character is
  literal. References are resolved after the YAML is parsed, so a value never changes the structure. Inside
  `[ ]` and `{ }`, quote them: `["${CLIENT_ID}"]`. A variable that is not set is a mistake.
- **Document**: one YAML document in UTF-8, at most 1 MiB, indented with spaces. Duplicate keys, tags and
  merge keys (`<<`) are mistakes; anchors and aliases work.

## Flags and environment variables

Flags override environment variables, and environment variables override the file. If neither `--config` nor
`$COGNITO_GATEWAY_CONFIG` names a file, `config/gateway.yaml` may be missing, so variables alone are enough.

| to set | write |
|---|---|
| a key | `COGNITO_GATEWAY_LISTEN__ADDRESS=:8000`: two underscores between the levels |
| an item of a list | `COGNITO_GATEWAY_COGNITO__USER_POOLS__0__ID`, `…__0__CLIENT_IDS__0`: without gaps |
| a whole list, section or mapping | YAML text: `COGNITO_GATEWAY_ROUTES='[{path: /status, auth: none}]'` |

A variable replaces the file's value of that key. Its own value is literal (`${…}` is not resolved). An
unknown `COGNITO_GATEWAY_…` variable is a mistake, reported with a suggestion, except those that Kubernetes
sets for a Service of that name (`COGNITO_GATEWAY_SERVICE_HOST`, `COGNITO_GATEWAY_PORT` and the like).
Without a file, paths are relative to the working directory.

## Rules across keys

- `jwks_url` and `cognito.endpoint_url` must be https, or http on a loopback address. The same applies to the
  URL derived from `issuers` if neither `jwks_url` nor `jwks_file` is set.
- Two user pools must not share an issuer.
- Names of identity headers must be valid and must differ (`_`, `.` and case make no difference). They must
  not be names that HTTP or the gateway uses itself, such as `Authorization`, `Host`, `Cookie` or
  `X-Forwarded-For`.
- `listen.address`, `metrics.address` and `upstream.url` must be three different addresses.
- The following cause warnings: a route that can never match, because earlier routes match all its requests or
  because it is under `sign_in.prefix`; `trusted_proxies` that include every address; `jwks_url` together with
  `jwks_file`; secrets that other users can read.

## Keys

"""


def reference() -> str:
    """Return the page's text."""
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
            yield from (f"Environment variables: `{min(variables)}`, and so on for every single value.", "")


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
    """Escape a table cell.

    RFC 7763 leaves tables to dialects; in all of them a bar ends the cell, and `*` may start emphasis.
    """
    return text.replace("|", "\\|").replace("*", "\\*")
