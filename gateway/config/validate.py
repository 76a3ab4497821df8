"""Validation: nodes become typed values by the schema, each judged alone, and every mistake is reported.

Invariant: afterwards `Typed.values` has every key of the schema, each with a value its kind returned; a key
that was wrong or is missing holds None, and the report says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.config import source
from gateway.config.interpolate import interpolate
from gateway.config.report import Place, Report
from gateway.config.scalars import shown
from gateway.config.shapes import Key, Kind, ListOf, MapOf, Section, Shape
from gateway.config.suggest import nearest
from gateway.config.table import SCHEMA

_WHOLE_REFERENCE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", re.ASCII)
# YAML 1.2 section 10.2.1.1: the spellings of null.
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
# Longer ones, and those with line breaks, are quoted and truncated in reports.
_LONGEST_NAME = 80


@dataclass(frozen=True, slots=True)
class Typed:
    """Values by key, nested as in the file, and where each was written."""

    values: dict[str, Any]
    places: dict[str, Place]

    def place(self, path: str) -> Place:
        """Return where this key is written or, for a default, the nearest section around it."""
        while path not in self.places and path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.places[path]


def default_of(key: Key) -> Any:
    """Return the typed value of a key that is not set."""
    if isinstance(key.shape, Section) and not key.nullable:
        return {each.name: default_of(each) for each in key.shape.keys}
    if isinstance(key.shape, MapOf):
        return {}
    if key.default is None:
        return None
    if isinstance(key.shape, ListOf):
        assert isinstance(key.shape.of, Kind) or key.default == ()
        return [key.shape.of.parse(text) for text in key.default] if isinstance(key.shape.of, Kind) else []
    assert isinstance(key.shape, Kind)
    assert isinstance(key.default, str)
    return key.shape.parse(key.default)


def validate(tree: source.SourceTree, name: str, environ: Mapping[str, str], report: Report) -> Typed:
    """Return the typed values of the whole file; mistakes go into `report`."""
    found = Report()
    validator = _Validator(environ, found, complete=tree.complete)
    validator.places[""] = Place(1, name)
    if tree.root is None or validator.is_null(tree.root, ""):
        return Typed(default_of(Key("", SCHEMA, (), "")), validator.places)
    typed = Typed(validator.section(tree.root, SCHEMA, "", tree.root.place), validator.places)
    # After the point where parsing ended nothing is certain.
    report.findings.extend(each for each in found.findings if tree.cut is None or each.place.line < tree.cut)
    return typed


class _Validator:
    def __init__(self, environ: Mapping[str, str], report: Report, *, complete: bool) -> None:
        self.environ = environ
        self.report = report
        self.complete = complete
        self.places: dict[str, Place] = {}

    def section(self, node: source.Node, shape: Section[Any], path: str, place: Place) -> dict[str, Any]:
        """Validate a section; `place` is its first line, where missing keys are reported."""
        keys = {key.name: key for key in shape.keys}
        values: dict[str, Any] = {}
        for entry, where in self._entries(node, path):
            key = keys.get(entry.key)
            if key is None:
                self._unknown(entry, where, tuple(keys), path)
                continue
            value = self._value(entry.node, key, where, entry.place)
            values.setdefault(key.name, value)
        for key in shape.keys:
            needed = key.required and (key.unless is None or values.get(key.unless[0]) != key.unless[1])
            where = _join(path, key.name)
            if key.name not in values:
                values[key.name] = default_of(key)
                if needed and self.complete and isinstance(node, source.Mapping):
                    self.report.mistake(place, where, "missing: this key is required")
            elif needed and key.unless is not None and values[key.name] == []:
                self.report.mistake(self.places[where], where, "must not be empty")
        return values

    def is_null(self, node: source.Node, path: str) -> bool:
        """Return whether nothing is written here: empty, `null`, or a reference that resolves to it."""
        return (
            isinstance(node, source.Scalar) and node.plain and self._resolved(node, path, quiet=True) in _NULL
        )

    def _entries(self, node: source.Node, path: str) -> Iterator[tuple[source.Entry, str]]:
        """Yield the entries with their paths; report a node that is no section, and duplicate keys."""
        if not isinstance(node, source.Mapping):
            message = f"expected a section of `key: value` lines, not {_what(node)}"
            self.report.mistake(node.place, path, message)
            return
        first: dict[str, Place] = {}
        for entry in node.entries:
            where = _join(path, entry.key)
            if entry.key in first:
                message = f"duplicate key, first on line {first[entry.key].line}"
                self.report.mistake(entry.place, where, message)
            else:
                first[entry.key] = entry.place
                self.places[where] = entry.place
            yield entry, where

    def _unknown(self, entry: source.Entry, where: str, known: tuple[str, ...], path: str) -> None:
        if entry.key == "<<":
            self.report.mistake(entry.place, where, "merge keys are not supported: write the keys out")
        elif entry.key:
            message = f"unknown key: {nearest(entry.key, known, path)}"
            self.report.mistake(entry.place, where, message)

    def _value(self, node: source.Node, key: Key, path: str, place: Place) -> Any:
        """Return the value of a key. For sections and lists null means empty, as users of YAML expect."""
        if self.is_null(node, path):
            if key.nullable:
                return None
            if isinstance(key.shape, Kind) or (key.required and key.unless is None):
                without = "" if key.required else ": remove the line for the default"
                self.report.mistake(node.place, path, f"must not be empty{without}")
            return default_of(key)
        return self._shaped(node, key.shape, path, place)

    def _shaped(self, node: source.Node, shape: Shape, path: str, place: Place) -> Any:
        if isinstance(shape, Kind):
            return self._scalar(node, shape, path)
        if isinstance(shape, ListOf):
            return self._list(node, shape, path)
        if isinstance(shape, MapOf):
            return self._map(node, shape, path)
        return self.section(node, shape, path, place)

    def _scalar(self, node: source.Node, kind: Kind[Any], path: str) -> Any:
        if not isinstance(node, source.Scalar):
            self.report.mistake(node.place, path, f"expected a single value, not {_what(node)}")
            return None
        if kind.from_environment and not node.literal and _WHOLE_REFERENCE.fullmatch(node.text) is None:
            message = "write ${NAME}: a secret comes from the environment or a file, never from literal text"
            self.report.mistake(node.place, path, message)
            return None
        if kind.from_environment and node.literal and _WHOLE_REFERENCE.fullmatch(node.text) is not None:
            message = "this variable's value is the secret itself: a reference in it is not resolved"
            self.report.mistake(node.place, path, message)
            return None
        text = self._resolved(node, path)
        if text is None:
            return None
        try:
            return kind.parse(text)
        except ValueError as error:
            self.report.mistake(node.place, path, str(error))
            return None

    def _list(self, node: source.Node, shape: ListOf[Any], path: str) -> list[Any] | None:
        if shape.single and isinstance(node, source.Scalar):
            return [self._shaped(node, shape.of, path, node.place)]
        if not isinstance(node, source.Sequence):
            hint = ""
            if isinstance(node, source.Scalar) and isinstance(shape.of, Kind):
                hint = f": write [{node.text}]" if "$" not in node.text else f': write ["{node.text}"]'
            self.report.mistake(node.place, path, f"expected a list, not {_what(node)}{hint}")
            return None
        if len(node.items) < shape.least and self.complete:
            self.report.mistake(node.place, path, "the list must not be empty")
        values: list[Any] = []
        for index, item in enumerate(node.items):
            where = f"{path}[{index}]"
            self.places[where] = item.place
            if self.is_null(item, where):
                self.report.mistake(item.place, where, "this list item is empty")
                values.append(None)
            else:
                values.append(self._shaped(item, shape.of, where, item.place))
        self._repeated(node, values, shape, path)
        return values

    def _repeated(self, node: source.Sequence, values: list[Any], shape: ListOf[Any], path: str) -> None:
        """Report a value that occurs twice in a list, where the intention cannot be guessed."""
        if not isinstance(shape.of, Kind):
            return
        for index, value in enumerate(values):
            if value is not None and value in values[:index]:
                self.report.mistake(node.items[index].place, f"{path}[{index}]", "duplicate in this list")

    def _map(self, node: source.Node, shape: MapOf[Any, Any], path: str) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for entry, where in self._entries(node, path):
            try:
                name = shape.key.parse(entry.key)
            except ValueError as error:
                self.report.mistake(entry.place, where, str(error))
                continue
            if self.is_null(entry.node, where):
                self.report.mistake(entry.node.place, where, "must not be empty")
                continue
            values.setdefault(name, self._shaped(entry.node, shape.value, where, entry.node.place))
        return values

    def _resolved(self, node: source.Scalar, path: str, *, quiet: bool = False) -> str | None:
        """Return the scalar's text with references resolved; None after a mistake, unreported if `quiet`."""
        if node.literal or "$" not in node.text:
            return node.text
        try:
            return interpolate(node.text, self.environ)
        except ValueError as error:
            if not quiet:
                self.report.mistake(node.place, path, str(error))
            return None


def _join(path: str, name: str) -> str:
    if not name.isprintable() or len(name) > _LONGEST_NAME:
        name = shown(name)
    return f"{path}.{name}" if path else name


def _what(node: source.Node) -> str:
    if isinstance(node, source.Scalar):
        return "a single value"
    return "a list" if isinstance(node, source.Sequence) else "a section"
