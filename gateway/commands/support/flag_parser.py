"""An argument parser that suggests corrections for misspelt flags, and prints the usage of the command.

Invariant: wrong usage exits with 2, usage and one sentence on standard error, and nothing on standard output.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn, TypeVar

N = TypeVar("N")


class Parser(argparse.ArgumentParser):
    """argparse's parser with suggestions; knows which arguments are file names, for completion."""

    def __init__(self, **options: Any) -> None:
        # Before the base class, whose constructor adds --help.
        self.flags: list[str] = []
        self.files: list[argparse.Action] = []
        super().__init__(**{"allow_abbrev": False, **options})

    def add_argument(self, *names: Any, **options: Any) -> argparse.Action:
        action = super().add_argument(*names, **options)
        self.flags += action.option_strings
        if action.metavar == "FILE":
            self.files.append(action)
        return action

    def add_mutually_exclusive_group(self, **options: Any) -> Any:
        """Record the group's flags too: argparse adds them without calling the parser."""
        group = super().add_mutually_exclusive_group(**options)
        add = group.add_argument

        def recorded(*names: Any, **more: Any) -> argparse.Action:
            action: argparse.Action = add(*names, **more)
            self.flags += action.option_strings
            return action

        group.add_argument = recorded  # type: ignore[method-assign]  # argparse has no other place to hook in
        return group

    # argparse overloads this method by the type of the namespace, which is unchanged.
    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Reject unknown arguments here, in the command's parser, instead of in its parent."""
        parsed, extra = super().parse_known_args(args, namespace)
        if extra:
            self.error(f"unrecognized arguments: {' '.join(extra)}{self._meant(extra)}")
        return parsed, extra

    def _meant(self, extra: Sequence[str]) -> str:
        flag = next((word.partition("=")[0] for word in extra if word.startswith("-")), None)
        close = None if flag is None else closest(flag, self.flags)
        return "" if close is None else f" (did you mean {close}?)"

    def error(self, message: str) -> NoReturn:
        super().error(f"{message}\nRun '{self.prog} --help' for more." if self.flags else message)


def closest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word most similar to `word`, or None."""
    import difflib

    return next(iter(difflib.get_close_matches(word, sorted(known), n=1)), None)
