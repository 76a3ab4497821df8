"""Places in the configuration, and the report of mistakes and warnings.

Invariant: a report is sorted, file lines first, so that it reads in the order of the file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Place:
    """A line of the file (1-based), or, with line 0, the environment variable or flag in `label`."""

    line: int
    label: str

    def __str__(self) -> str:
        return f"{self.label}:{self.line}" if self.line else self.label

    @property
    def order(self) -> tuple[bool, int, str]:
        return (self.line == 0, self.line, self.label)


@dataclass(frozen=True, slots=True)
class ReportLine:
    place: Place
    path: str  # "routes[0].path"; empty where no key is concerned
    text: str
    warning: bool = False

    def __str__(self) -> str:
        parts = [str(self.place), "warning" if self.warning else "", self.path, self.text]
        return _visible(": ".join(part for part in parts if part))


def _visible(text: str) -> str:
    """Escape what would end the line or control a terminal: file names may contain anything."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in text
    )


@dataclass(slots=True)
class Report:
    """Collects findings, mistakes and warnings alike."""

    findings: list[ReportLine] = field(default_factory=list)

    def mistake(self, place: Place, path: str, text: str) -> None:
        self.findings.append(ReportLine(place, path, text))

    def warning(self, place: Place, path: str, text: str) -> None:
        self.findings.append(ReportLine(place, path, text, warning=True))

    @property
    def mistakes(self) -> tuple[str, ...]:
        return _lines(finding for finding in self.findings if not finding.warning)

    @property
    def warnings(self) -> tuple[str, ...]:
        return _lines(finding for finding in self.findings if finding.warning)

    @property
    def lines(self) -> tuple[str, ...]:
        """Mistakes and warnings together, in the order of the file."""
        return _lines(self.findings)


def _lines(findings: Iterable[ReportLine]) -> tuple[str, ...]:
    # A dict drops what two checks report in the same words; sorted() keeps their order within a line.
    return tuple(dict.fromkeys(str(finding) for finding in sorted(findings, key=lambda f: f.place.order)))
