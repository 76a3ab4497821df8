"""First step: YAML text becomes nodes that know their line; nothing is given a type yet.

Built on PyYAML's event stream rather than its constructors: `no`, `on`, `0755` and `12:30` stay the text that
was written (the schema decides what they mean), nesting cannot exhaust the stack, and what stands before a
syntax error is still checked.

Invariant: every scalar holds exactly the characters of the file, unquoted and unfolded by YAML's rules only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from gateway.config.report import Place, Report

# A configuration of 1,000 routes has some 60 KiB; PyYAML reads about 100 KiB/s, so more would delay a start.
LARGEST_FILE = 1024 * 1024
# Counted after aliases are expanded: nine nested aliases of nine each ("billion laughs") stop here.
MOST_NODES = 100_000
# The schema is five levels deep; anything deeper is a mistake or an attack.
DEEPEST = 32


@dataclass(frozen=True, slots=True)
class Scalar:
    """`plain`: written without quotes, so that an empty one or `null` means null."""

    text: str
    plain: bool
    place: Place
    # From the environment or a flag: ${…} in it is no reference.
    literal: bool = False


@dataclass(slots=True)
class Entry:
    key: str
    place: Place
    node: Node


@dataclass(slots=True)
class Mapping:
    place: Place
    # A list, not a dict: duplicate keys are reported by whoever knows the path.
    entries: list[Entry] = field(default_factory=list)


@dataclass(slots=True)
class Sequence:
    place: Place
    items: list[Node] = field(default_factory=list)


Node = Scalar | Mapping | Sequence


@dataclass(slots=True)
class Source:
    root: Node | None  # None: the file is empty
    complete: bool  # False: a syntax error cut the tree short


def read(data: bytes, name: str, report: Report) -> Source:
    """The file's nodes; every mistake of spelling goes into `report` with its line."""
    if len(data) > LARGEST_FILE:
        report.mistake(Place(1, name), "", f"the file is larger than {LARGEST_FILE // 1024} KiB")
        return Source(None, complete=False)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        report.mistake(Place(line, name), "", "not UTF-8: save the file as UTF-8")
        return Source(None, complete=False)
    # Each round takes the tabs out of one line, so that the rest of the file is checked as well.
    for _ in range(text.count("\t") + 1):
        tree = _Tree(name)
        try:
            tree.build(text)
        except yaml.YAMLError as error:
            line = _line_of(error, text)
            repaired = _without_tabs(error, text, line)
            if repaired is None:
                report.mistake(Place(line, name), "", _say(error, text, line))
                break
            report.mistake(Place(line, name), "", "a tab stands here: YAML is indented with spaces only")
            text = repaired
        else:
            break
    report.findings.extend(tree.report.findings)
    return Source(tree.root, tree.complete)


class _Tree:
    """Builds nodes from events, with its own stack: `open` holds the containers not closed yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.report = Report()
        self.root: Node | None = None
        self.complete = False
        self.open: list[Mapping | Sequence] = []
        self.keys: list[Entry | None] = []  # per open mapping: the key that waits for its value
        self.anchors: dict[str, Node] = {}
        self.nodes = 0

    def build(self, text: str) -> None:
        documents = 0
        for event in _events(text):
            line = event.start_mark.line + 1 if event.start_mark else 1
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._mistake(line, "a second document begins here: a configuration is one document")
                    break
            elif isinstance(event, yaml.NodeEvent) and not self._node(event, line):
                return
            elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
                self._close()
        self.complete = True

    def _mistake(self, line: int, text: str) -> None:
        self.report.mistake(Place(line, self.name), "", text)

    def _node(self, event: yaml.NodeEvent, line: int) -> bool:
        """Adds one node; False when the file is beyond what a configuration can be."""
        place = Place(line, self.name)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._mistake(line, f"the tag {tag} has no meaning here: remove it")
        node: Node
        if isinstance(event, yaml.AliasEvent):
            known = self.anchors.get(event.anchor or "")
            if known is None or any(known is container for container in self.open):
                self._mistake(line, f"the alias *{event.anchor} names nothing that is complete above it")
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
            self._mistake(line, "this goes deeper, or repeats more, than any configuration does")
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
            # The key of "" after a complex key was reported already.
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
    # yaml.parse is lazy: what stands before a syntax error is handed over first.
    yield from yaml.parse(text, Loader=yaml.SafeLoader)


def _count(node: Node, limit: int) -> int:
    """How many nodes an alias stands for, given up at `limit`."""
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
    # A ReaderError (a character YAML forbids) knows the position only.
    return text.count("\n", 0, getattr(error, "position", 0)) + 1


def _without_tabs(error: yaml.YAMLError, text: str, line: int) -> str | None:
    """The text with the tabs of this line made spaces; None if tabs are not what is wrong with it."""
    lines = text.split("\n")
    if line > len(lines):
        return None
    written = lines[line - 1]
    indentation = written[: len(written) - len(written.lstrip())]
    column = getattr(getattr(error, "problem_mark", None), "column", len(written))
    if "\t" not in indentation and written[column : column + 1] != "\t":
        return None
    lines[line - 1] = written.replace("\t", "  ")
    return "\n".join(lines)


def _say(error: yaml.YAMLError, text: str, line: int) -> str:
    lines = text.split("\n")
    written = lines[line - 1] if line <= len(lines) else ""
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    if isinstance(error, yaml.reader.ReaderError):
        return f"not valid YAML: the character U+{ord(text[error.position]):04X} is not allowed"
    if "${" in written and ("[" in written or "{" in written.replace("${", "")):
        return f'not valid YAML: {problem}: inside [ ] and {{ }} a reference is quoted: "${{NAME}}"'
    return f"not valid YAML: {problem}"
