"""The trusted header names (gateway/config/trusted_names.py), in the syntax with which each proxy removes
them.

`python -m tests.support.recipes` (`make config`) writes them into the recipes of docs/forward-auth.md.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable
from pathlib import Path

from gateway.config.trusted_names import GROUPS

DOCUMENT = Path(__file__).parents[2] / "docs" / "forward-auth.md"

# The recipes set these themselves and overwrite the client's.
WRITTEN = frozenset({"x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"})
# Set by Envoy itself; its filters must not remove them.
ENVOYS = frozenset(
    {
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-client-cert",
        "x-envoy-external-address",
        "x-envoy-internal",
    }
)
# Traefik replaces a client's with its own (pkg/middlewares/forwardedheaders) before it asks.
TRAEFIKS = frozenset(
    {
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-server",
        "x-forwarded-prefix",
        "x-forwarded-uri",
        "x-forwarded-method",
        "x-forwarded-tls-client-cert",
        "x-forwarded-tls-client-cert-info",
        "x-real-ip",
    }
)
IDENTITY = ("x-auth-request-*", "x-gateway-jwt-assertion")
# A list's lines in a recipe, between the line that ends with this and the line of the other.
BEGINS, ENDS = "The list begins:", "# The list ends."


def members() -> list[str]:
    """Return names and prefixes, except those that begin with a special character: odd names are removed by a
    separate rule."""
    every = [*IDENTITY, *(member for group in GROUPS for member in group.members)]
    return [member for member in every if member[0].isalnum()]


def names() -> list[str]:
    """Return the names without wildcards."""
    return sorted({name for group in GROUPS for name in (*group.names, *group.known) if name[0].isalnum()})


def canonical(name: str) -> str:
    return "-".join(part[:1].upper() + part[1:] for part in name.split("-"))


def nginx() -> str:
    lines = [f'proxy_set_header {canonical(name)} "";' for name in names() if name not in WRITTEN]
    # Directives must not be broken at their spaces.
    joined = " ".join(line.replace(" ", "\0") for line in lines)
    indent = " " * 8
    wrapped = textwrap.wrap(
        joined,
        width=120,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(wrapped).replace("\0", " ") + "\n"


def caddy() -> str:
    odd = [f"\t\trequest_header -*{sign}*" for sign in "!#$%&'*+.^_`|~"]
    plain = [f"\t\trequest_header -{canonical(member)}" for member in members()]
    return "\n".join(odd + plain) + "\n"


def haproxy() -> str:
    lines = ["    http-request del-header [^a-z0-9-] -m reg"]
    groups = [IDENTITY, *(group.members for group in GROUPS)]
    lines += [f"    http-request del-header ^({_alternatives(group)})$ -m reg" for group in groups]
    return "\n".join(lines) + "\n"


def traefik() -> str:
    """Return one regular expression."""
    every = [member for member in members() if member not in TRAEFIKS and member != "x-forwarded-*"]
    every += [name for name in names() if name.startswith("x-forwarded-") and name not in {*TRAEFIKS, *every}]
    return f"(?i)[^a-z0-9-]|^({_alternatives(every)})$"


def envoy() -> str:
    every = [member for member in members() if member not in ENVOYS and member != "x-forwarded-*"]
    every += [name for name in names() if name.startswith("x-forwarded-") and name not in {*ENVOYS, *every}]
    indent = " " * 10
    lines = [f'{indent}- remove_on_match: {{key_matcher: {{safe_regex: {{regex: ".*[^a-z0-9:-].*"}}}}}}']
    for member in every:
        if member.endswith("*"):
            lines.append(f"{indent}- remove_on_match: {{key_matcher: {{prefix: {member[:-1]}}}}}")
        else:
            lines.append(f"{indent}- remove: {member}")
    return "\n".join(lines) + "\n"


def _alternatives(group: tuple[str, ...] | list[str]) -> str:
    plain = [member for member in group if member[0].isalnum()]
    return "|".join(re.sub(r"\*$", ".*", member) for member in plain)


# By the language of the recipe's block; Traefik's is one value, of a file and of labels.
RENDERED: dict[str, Callable[[], str]] = {
    "nginx": nginx,
    "caddyfile": caddy,
    "haproxy": haproxy,
    "yaml": envoy,
}
_TRAEFIKS = re.compile(r'(authResponseHeadersRegex: ")[^"]*(?=")')


def rewritten(document: str) -> str:
    """Return docs/forward-auth.md with the lists of names as they are now.

    Raises ValueError if a recipe has no place for its list.
    """
    for language, render in RENDERED.items():
        place = re.compile(rf"(?ms)(^```{language}\n(?:(?!^```$).)*?{BEGINS}\n).*?(?=^\s*{ENDS}$)")
        found = list(place.finditer(document))
        if len(found) != 1:
            raise ValueError(f"{len(found)} recipes in place of one have the list in {language}")
        document = document[: found[0].end(1)] + render() + document[found[0].end() :]
    # Compose reads `$` as a variable, and `$$` as a sign.
    values = iter((traefik(), traefik().replace("$", "$$")))
    document, count = _TRAEFIKS.subn(lambda found: found[1] + next(values), document)
    if count != 2:
        raise ValueError(f"{count} places in place of two have Traefik's expression")
    return document


if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
