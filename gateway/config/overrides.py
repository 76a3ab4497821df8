"""COGNITO_GATEWAY_SECTION__KEY and flags take the place of what the file says.

Invariant: an override is one scalar, taken literally; its place is the variable's or the flag's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gateway.config import source
from gateway.config.report import Place, Report
from gateway.config.shapes import Kind, Section
from gateway.config.suggest import closest
from gateway.config.table import SCHEMA

PREFIX = "COGNITO_GATEWAY_"


def variable(path: str) -> str:
    return PREFIX + path.upper().replace(".", "__")


def scalar_paths() -> tuple[str, ...]:
    """Every key that an override can set."""
    return tuple(path for path, scalar in _keys(SCHEMA, "") if scalar)


def override(
    tree: source.Source, environ: Mapping[str, str], flags: Mapping[str, str], report: Report
) -> source.Source:
    """The tree with the environment's and then the flags' values in it."""
    given = dict(_from_environment(environ, report))
    given.update((path, (Place(0, _flag(path)), text)) for path, text in flags.items())
    root = tree.root
    if given and _is_empty(root):
        root = source.Mapping(next(iter(given.values()))[0])
    for path, (place, text) in given.items():
        if isinstance(root, source.Mapping):
            _set(root, path.split("."), source.Scalar(text, True, place, literal=True))
    return source.Source(root, tree.cut)


def _from_environment(environ: Mapping[str, str], report: Report) -> Iterator[tuple[str, tuple[Place, str]]]:
    keys = {variable(path): (path, scalar) for path, scalar in _keys(SCHEMA, "")}
    for name in sorted(environ):
        # Without a double underscore it is not ours to judge: Kubernetes itself sets COGNITO_GATEWAY_PORT and
        # COGNITO_GATEWAY_SERVICE_HOST for a service of that name.
        if not name.startswith(PREFIX) or "__" not in name:
            continue
        path, scalar = keys.get(name, ("", False))
        if scalar:
            yield path, (Place(0, name), environ[name])
        elif path:
            report.mistake(Place(0, name), path, "only the file can set this: it is not a single value")
        else:
            scalars = [known for known, (_, settable) in keys.items() if settable]
            close = closest(
                name.removeprefix(PREFIX), (known.removeprefix(PREFIX).lower() for known in scalars)
            )
            hint = f"did you mean {PREFIX}{close.upper()}?" if close else "see cognito-gateway config-schema"
            report.mistake(Place(0, name), "", f"sets no key: {hint}")


def _flag(path: str) -> str:
    return "--" + path.rpartition(".")[2].replace("_", "-")


def _is_empty(root: source.Node | None) -> bool:
    return root is None or (isinstance(root, source.Scalar) and root.plain and root.text in {"", "~", "null"})


def _set(mapping: source.Mapping, names: list[str], scalar: source.Scalar) -> None:
    """Puts the scalar in its place and drops what the file had there; sections on the way are made."""
    name, *rest = names
    entries = [entry for entry in mapping.entries if entry.key == name]
    if not rest:
        mapping.entries = [entry for entry in mapping.entries if entry.key != name]
        mapping.entries.append(source.Entry(name, scalar.place, scalar))
        return
    if not entries:
        entries = [source.Entry(name, scalar.place, source.Mapping(scalar.place))]
        mapping.entries.append(entries[0])
    if _is_empty(entries[0].node):
        entries[0].node = source.Mapping(entries[0].place)
    node = entries[0].node
    # A section that is not one is the validator's to report.
    if isinstance(node, source.Mapping):
        _set(node, rest, scalar)


def _keys(section: Section, path: str) -> Iterator[tuple[str, bool]]:
    """Every path that has no list in it, and whether it is a scalar."""
    for key in section.keys:
        where = f"{path}{key.name}"
        yield where, isinstance(key.shape, Kind)
        if isinstance(key.shape, Section):
            yield from _keys(key.shape, f"{where}.")
