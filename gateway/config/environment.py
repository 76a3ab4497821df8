"""COGNITO_GATEWAY_… variables, parsed to the same nodes as a file. Pure.

`COGNITO_GATEWAY_LISTEN__ADDRESS` sets `listen.address`, `COGNITO_GATEWAY_ROUTES__0__PATH` `routes[0].path`.
Lists and mappings may also be YAML text: `COGNITO_GATEWAY_ROUTES='[{path: /status, auth: none}]'`.

Invariant: a variable sets exactly the key that it names, or is reported as a mistake; ${…} in a value is
literal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from gateway.config import FILE_VARIABLE, PREFIX, source
from gateway.config.report import Place, Report
from gateway.config.shapes import Kind, ListOf, Section, Shape
from gateway.config.suggest import closest
from gateway.config.table import SCHEMA

# What Kubernetes sets in every container for a Service whose name begins with cognito-gateway
# (https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
_OF_A_SERVICE = re.compile(
    r"COGNITO_GATEWAY(_[A-Z0-9_]+)??_"
    r"(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(ADDR|PORT|PROTO))?)?)"
)
_OF_A_SERVICE_PORT = re.compile(r"(tcp|udp|sctp)://.*")

Step = str | int


class Setting(NamedTuple):
    """The value of one variable: `steps` lead from the root to its key; an integer is a list index."""

    steps: tuple[Step, ...]
    place: Place
    node: source.Node


def variable(path: str) -> str:
    """Return the variable of a key: "listen.address" → COGNITO_GATEWAY_LISTEN__ADDRESS."""
    return PREFIX + re.sub(r"[.\[]", "__", path.upper().replace("]", ""))


def has_settings(environ: Mapping[str, str]) -> bool:
    """Return whether any variable is meant to set a key, known or not."""
    return any(_ours(name, environ[name]) for name in environ)


def settings(environ: Mapping[str, str], report: Report) -> list[Setting]:
    """Return the settings, sections and lists before their contents, items in order."""
    found = []
    for name in sorted(environ):
        if not _ours(name, environ[name]):
            continue
        place = Place(0, name)
        steps, shape = _resolve(name.removeprefix(PREFIX).split("__"), SCHEMA)
        if shape is None:
            report.mistake(place, "", f"sets no key: {_hint(name)}")
        elif isinstance(shape, Kind):
            found.append(Setting(steps, place, source.Scalar(environ[name], True, place, literal=True)))
        elif (node := _parsed(environ[name], place, report)) is not None:
            found.append(Setting(steps, place, node))
    # Names with a common prefix of steps agree in their types there, because the schema determined them.
    return sorted(found, key=lambda setting: setting.steps)


def _ours(name: str, value: str) -> bool:
    if not name.startswith(PREFIX) or name == FILE_VARIABLE:
        return False
    if _OF_A_SERVICE.fullmatch(name) is None:
        return True
    return name.endswith("_PORT") and _OF_A_SERVICE_PORT.fullmatch(value) is None


def _resolve(parts: list[str], shape: Shape) -> tuple[tuple[Step, ...], Shape | None]:
    """Return the steps and the shape at their end; None if there is no such key."""
    if not parts:
        return (), shape
    part, *rest = parts
    step: Step
    inner: Shape | None = None
    if isinstance(shape, Section):
        step = part.lower()
        inner = next((key.shape for key in shape.keys if key.name.upper() == part), None)
    elif isinstance(shape, ListOf) and re.fullmatch(r"0|[1-9][0-9]{0,3}", part):
        step, inner = int(part), shape.of
    if inner is None:
        return (), None
    steps, end = _resolve(rest, inner)
    return (step, *steps), end


def _parsed(text: str, place: Place, report: Report) -> source.Node | None:
    """Parse YAML text in a variable; None if it is invalid, which is reported."""
    found = Report()
    tree = source.read(text.encode("utf-8", "surrogateescape"), place.label, found)
    if found.findings or not tree.complete:
        for finding in found.findings:
            report.mistake(place, finding.path, finding.text)
        return None
    if tree.root is None:
        return source.Scalar("", True, place, literal=True)
    return _placed(tree.root, place)


def _placed(node: source.Node, place: Place) -> source.Node:
    if isinstance(node, source.Scalar):
        return source.Scalar(node.text, node.plain, place, literal=True)
    if isinstance(node, source.Sequence):
        return source.Sequence(place, [_placed(item, place) for item in node.items])
    entries = [source.Entry(entry.key, place, _placed(entry.node, place)) for entry in node.entries]
    return source.Mapping(place, entries)


def _hint(name: str) -> str:
    """Return a suggestion, with the indexes as written."""
    parts = name.removeprefix(PREFIX).split("__")
    indexes = [part for part in parts if part.isdigit()]
    written = "__".join("0" if part.isdigit() else part for part in parts)
    known = (variable(path).removeprefix(PREFIX).lower() for path in _paths(SCHEMA, ""))
    close = closest(written, known)
    if close is None:
        return "see cognito-gateway config-schema"
    again = iter(indexes)
    named = [next(again, "0") if part == "0" else part for part in close.upper().split("__")]
    return f"did you mean {PREFIX}{'__'.join(named)}?"


def _paths(shape: Shape, path: str) -> Iterator[str]:
    """Yield every path that a variable can set; list items as [0]."""
    if path:
        yield path
    if isinstance(shape, Section):
        for key in shape.keys:
            yield from _paths(key.shape, f"{path}.{key.name}" if path else key.name)
    elif isinstance(shape, ListOf):
        yield from _paths(shape.of, f"{path}[0]")


def single_values() -> tuple[str, ...]:
    """Return the path of every key outside lists that holds a single value."""

    def within(section: Section[Any], path: str) -> Iterator[str]:
        for key in section.keys:
            if isinstance(key.shape, Kind):
                yield f"{path}{key.name}"
            elif isinstance(key.shape, Section):
                yield from within(key.shape, f"{path}{key.name}.")

    return tuple(within(SCHEMA, ""))
