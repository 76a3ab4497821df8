"""Overrides: flags override environment variables, and these override the file.

Invariant: the file's nodes change only at the keys that a variable or a flag names.
"""

from __future__ import annotations

from collections.abc import Mapping

from gateway.config import source
from gateway.config.environment import Setting, Step, settings
from gateway.config.report import Place, Report


def override(
    tree: source.SourceTree, environ: Mapping[str, str], flags: Mapping[str, str], report: Report
) -> source.SourceTree:
    """Return the tree with the environment's and then the flags' values in place.

    `flags` are single values by path: {"listen.workers": "4"}.
    """
    root = tree.root
    given = [*settings(environ, report), *(_of_flag(path, text) for path, text in flags.items())]
    for setting in given:
        root = _put(root, setting.steps, setting, report)
    return source.SourceTree(root, tree.cut)


def _of_flag(path: str, text: str) -> Setting:
    place = Place(0, "--" + path.rpartition(".")[2].replace("_", "-"))
    return Setting(tuple(path.split(".")), place, source.Scalar(text, True, place, literal=True))


def _is_empty(node: source.Node | None) -> bool:
    return node is None or (isinstance(node, source.Scalar) and node.plain and node.text in {"", "~", "null"})


def _put(
    node: source.Node | None, steps: tuple[Step, ...], setting: Setting, report: Report
) -> source.Node | None:
    """Return the node with the setting in place, creating sections, lists and items on the way.

    A scalar where a section or list is needed stays: the validator reports it.
    """
    if not steps:
        return setting.node
    step, *rest = steps
    if isinstance(step, int):
        items = source.Sequence(setting.place) if _is_empty(node) else node
        if isinstance(items, source.Sequence):
            _put_item(items, step, tuple(rest), setting, report)
        return items
    section = source.Mapping(setting.place) if _is_empty(node) else node
    if isinstance(section, source.Mapping):
        _put_entry(section, step, tuple(rest), setting, report)
    return section


def _put_item(
    items: source.Sequence, index: int, rest: tuple[Step, ...], setting: Setting, report: Report
) -> None:
    if index > len(items.items):
        message = f"item {index} without item {len(items.items)}: number items from 0 without a gap"
        report.mistake(setting.place, "", message)
        return
    old = items.items[index] if index < len(items.items) else None
    new = _put(old, rest, setting, report)
    if new is not None:
        items.items[index : index + 1] = [new]


def _put_entry(
    section: source.Mapping, name: str, rest: tuple[Step, ...], setting: Setting, report: Report
) -> None:
    entries = [entry for entry in section.entries if entry.key == name]
    new = _put(entries[0].node if entries else None, rest, setting, report)
    if new is None:
        return
    if rest and entries:
        # A duplicate key in the file is left for the validator to report.
        entries[0].node = new
        return
    section.entries = [entry for entry in section.entries if entry.key != name]
    section.entries.append(source.Entry(name, setting.place, new))
