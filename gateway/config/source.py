"""YAML parsing to untyped nodes that know their line.

Built on PyYAML's event stream rather than its constructors: `no`, `on`, `0755` and `12:30` stay the text that
was written (the schema decides what they mean), nesting cannot exhaust the stack, and the part before a
syntax error is still checked.

Invariant: every scalar is exactly the text of the file, unquoted and unfolded by YAML's rules only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from gateway.config.report import Place, Report

# A configuration of 1,000 routes has some 60 KiB; PyYAML reads about 100 KiB/s, so more would delay the
# start.
LARGEST_FILE = 1024 * 1024
# Counted after alias expansion: nine nested aliases of nine each ("billion laughs") stop here.
MOST_NODES = 100_000
# Lines repaired to find further mistakes; a file with more of them has to be corrected first.
_MOST_REPAIRS = 20
# An unquoted reference in a list or mapping in brackets, where YAML takes its { for a new mapping.
_BARE_REFERENCE = re.compile(r"""(?<=[\[{,:\s])([^\s\[\]{},"']*\$\{[^}"']*\}[^\s\[\]{},"']*)""")
# The schema is five levels deep; anything deeper is a mistake or an attack.
DEEPEST = 32


@dataclass(frozen=True, slots=True)
class Scalar:
    """A scalar node. `plain`: written without quotes, so that an empty one or `null` means null."""

    text: str
    plain: bool
    place: Place
    # From the environment or a flag: ${…} is literal.
    literal: bool = False


@dataclass(slots=True)
class Entry:
    key: str
    place: Place
    node: Node


@dataclass(slots=True)
class Mapping:
    place: Place
    # A list, not a dict: duplicate keys are reported later, where the path is known.
    entries: list[Entry] = field(default_factory=list)


@dataclass(slots=True)
class Sequence:
    place: Place
    items: list[Node] = field(default_factory=list)


Node = Scalar | Mapping | Sequence


@dataclass(slots=True)
class SourceTree:
    root: Node | None  # None: the file is empty
    cut: int | None = None  # the line where a syntax error ended the parsing

    @property
    def complete(self) -> bool:
        return self.cut is None


def read(data: bytes, name: str, report: Report) -> SourceTree:
    """Parse the file to nodes; every syntax error goes into `report` with its line."""
    if len(data) > LARGEST_FILE:
        report.mistake(Place(1, name), "", f"the file is larger than {LARGEST_FILE // 1024} KiB")
        return SourceTree(None, cut=1)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        report.mistake(Place(line, name), "", "not UTF-8: save the file as UTF-8")
        return SourceTree(None, cut=line)
    cut: int | None = None
    for _ in range(_MOST_REPAIRS):
        tree = _Tree(name)
        try:
            cut = tree.build(text)
        except yaml.YAMLError as error:
            cut = line = _line_of(error, text)
            repaired, message = _repair(error, text, line)
            report.mistake(Place(line, name), "", message)
            if repaired is None:
                break
            text = repaired
        else:
            break
    report.findings.extend(tree.report.findings)
    return SourceTree(tree.root, cut)


class _Tree:
    """Builds nodes from events, with an explicit stack: `open` holds the containers not closed yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.report = Report()
        self.root: Node | None = None
        self.open: list[Mapping | Sequence] = []
        self.keys: list[Entry | None] = []  # per open mapping: the key that waits for its value
        self.anchors: dict[str, Node] = {}
        self.nodes = 0

    def build(self, text: str) -> int | None:
        """Return the line where parsing stopped, None at the end of the file; raises yaml.YAMLError."""
        documents = 0
        for event in _events(text):
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._mistake(line, "a second document begins here: a configuration is one document")
                    break
            elif isinstance(event, yaml.NodeEvent) and not self._node(event, line):
                return line
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self._close()
        return None

    def _mistake(self, line: int, text: str) -> None:
        self.report.mistake(Place(line, self.name), "", text)

    def _node(self, event: yaml.NodeEvent, line: int) -> bool:
        """Add one node; return False if the file exceeds the limits."""
        place = Place(line, self.name)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._mistake(line, f"the tag {tag} has no meaning here: remove it")
        node: Node
        if isinstance(event, yaml.AliasEvent):
            known = self.anchors.get(event.anchor or "")
            if known is None or any(known is container for container in self.open):
                self._mistake(line, f"the alias *{event.anchor} refers to no complete anchor above it")
                return False
            node = known
            self.nodes += _count(known, MOST_NODES)
        elif isinstance(event, yaml.ScalarEvent):
            node = Scalar(event.value, event.style is None, place)
        elif isinstance(event, yaml.MappingStartEvent):
            node = Mapping(place)
        else:
            node = Sequence(place)
        self.nodes += 1
        if self.nodes > MOST_NODES or len(self.open) >= DEEPEST:
            self._mistake(line, "nested too deeply, or too many nodes, for a configuration")
            return False
        if not isinstance(event, yaml.AliasEvent) and event.anchor is not None:
            self.anchors[event.anchor] = node
        self._place(node, place)
        if isinstance(event, yaml.CollectionStartEvent) and isinstance(node, (Mapping, Sequence)):
            self.open.append(node)
            self.keys.append(None)
        return True

    def _place(self, node: Node, place: Place) -> None:
        if not self.open:
            self.root = node
            return
        parent = self.open[-1]
        if isinstance(parent, Sequence):
            parent.items.append(node)
            return
        waiting = self.keys[-1]
        if waiting is not None:
            self.keys[-1] = None
            # The key of "" after a complex key has been reported already.
            parent.entries.append(Entry(waiting.key, waiting.place, node))
        elif isinstance(node, Scalar):
            self.keys[-1] = Entry(node.text, place, node)
        else:
            self._mistake(place.line, "a list or a mapping cannot be a key: a key is one word")
            self.keys[-1] = Entry("", place, node)

    def _close(self) -> None:
        self.open.pop()
        self.keys.pop()


def _events(text: str) -> Iterator[yaml.Event]:
    # yaml.parse is lazy: events before a syntax error are delivered first.
    yield from yaml.parse(text, Loader=yaml.SafeLoader)


def _count(node: Node, limit: int) -> int:
    """Return how many nodes an alias stands for, stopping at `limit`."""
    total, todo = 0, [node]
    while todo and total <= limit:
        each = todo.pop()
        total += 1
        if isinstance(each, Mapping):
            todo.extend(entry.node for entry in each.entries)
        elif isinstance(each, Sequence):
            todo.extend(each.items)
    return total


def _line_of(error: yaml.YAMLError, text: str) -> int:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    if mark is not None:
        return int(mark.line) + 1
    # A ReaderError (a character YAML forbids) has only the position.
    return text.count("\n", 0, getattr(error, "position", 0)) + 1


def _repair(error: yaml.YAMLError, text: str, line: int) -> tuple[str | None, str]:
    """Return the text with that line repaired, if it can be, and what is wrong.

    A repaired file is never used: the mistake is in the report.
    """
    lines = text.split("\n")
    written = lines[line - 1] if line <= len(lines) else ""
    indentation = written[: len(written) - len(written.lstrip())]
    column = getattr(getattr(error, "problem_mark", None), "column", len(written))
    if "\t" in indentation or written[column : column + 1] == "\t":
        fixed, message = written.replace("\t", "  "), "indented with a tab: YAML allows spaces only"
    else:
        fixed = _BARE_REFERENCE.sub(r'"\1"', written)
        message = 'inside [ ] and { } a reference must be quoted: "${NAME}"'
    if fixed == written:
        return None, _say(error, text)
    lines[line - 1] = fixed
    return "\n".join(lines), message


def _say(error: yaml.YAMLError, text: str) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        return f"not valid YAML: the character U+{ord(text[error.position]):04X} is not allowed"
    problem = getattr(error, "problem", None) or getattr(error, "context", None) or "it cannot be read"
    return f"not valid YAML: {problem}"
