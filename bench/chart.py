"""The chart of a comparison as SVG: a group of bars per work, a bar per contestant. Pure.

It fits any page: no background, no scripts, no external fonts; the colours follow the reader's light or dark
scheme.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

WIDTH = 760
LABEL_WIDTH = 250
VALUE_WIDTH = 150
TOP = 58
GROUP = 34
ROW = 28
BAR = 18
FOOT = 40

STYLE = """
text { font: 14px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: #1f2328 }
.title { font-size: 17px; font-weight: 600 }
.quiet { fill: #59636e; font-size: 12.5px }
.group { font-weight: 600 }
.ours { font-weight: 600 }
.axis { stroke: #d1d9e0; stroke-width: 1 }
.bar { fill: #8c959f }
.bar.ours { fill: #0969da }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .quiet { fill: #9198a1 }
  .axis { stroke: #3d444d }
  .bar { fill: #656c76 }
  .bar.ours { fill: #4493f8 }
}
"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar. `value`: in the chart's unit; `remark`: a few words after the value."""

    label: str
    value: float
    remark: str = ""
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Group:
    """The bars of one work, in drawing order."""

    title: str
    bars: Sequence[Bar]


def draw(title: str, subtitle: str, unit: str, groups: Sequence[Group]) -> str:
    """Return the SVG document, with all bars on one scale. Raises ValueError without bars."""
    bars = [bar for group in groups for bar in group.bars]
    if not bars:
        raise ValueError("nothing was measured, so there is nothing to draw")
    height = TOP + GROUP * len(groups) + ROW * len(bars) + FOOT
    room = WIDTH - LABEL_WIDTH - VALUE_WIDTH
    scale = room / max(1e-9, *(bar.value for bar in bars))
    described = "; ".join(
        f"{group.title}, {bar.label}: {_number(bar.value)} {unit}" for group in groups for bar in group.bars
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-labelledby="title description">',
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(described)}</desc>',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="8" y="24">{escape(title)}</text>',
        f'<text class="quiet" x="8" y="45">{escape(subtitle)}</text>',
    ]
    top = TOP
    for group in groups:
        parts.append(f'<text class="group" x="{LABEL_WIDTH}" y="{top + 22}">{escape(group.title)}</text>')
        top += GROUP
        start = top
        for bar in group.bars:
            parts.extend(_row(bar, top, bar.value * scale, unit))
            top += ROW
        parts.append(f'<line class="axis" x1="{LABEL_WIDTH}" y1="{start}" x2="{LABEL_WIDTH}" y2="{top}"/>')
    parts.append(
        f'<text class="quiet" x="{LABEL_WIDTH}" y="{top + 24}">{escape(unit)}, less is better</text>'
    )
    return "\n".join([*parts, "</svg>", ""])


def _row(bar: Bar, top: int, length: float, unit: str) -> list[str]:
    ours = " ours" if bar.ours else ""
    middle = top + ROW / 2 + 1
    value = f"{_number(bar.value)} {unit.partition(' ')[0]}"
    remark = f'<tspan class="quiet" dx="8">{escape(bar.remark)}</tspan>' if bar.remark else ""
    return [
        f'<text class="label{ours}" x="{LABEL_WIDTH - 12}" y="{middle + 4:g}" text-anchor="end">'
        f"{escape(bar.label)}</text>",
        f'<rect class="bar{ours}" x="{LABEL_WIDTH}" y="{middle - BAR / 2:g}" width="{max(length, 1):.1f}" '
        f'height="{BAR}" rx="3"/>',
        f'<text class="value{ours}" x="{LABEL_WIDTH + length + 8:.1f}" y="{middle + 4:g}">'
        f"{value}{remark}</text>",
    ]


def _number(value: float) -> str:
    """Format with three significant digits, never with an exponent."""
    decimals = max(0, 2 - math.floor(math.log10(value))) if 0 < value < 100 else 0
    return f"{value:,.{min(decimals, 2)}f}"
