"""Checks of `sign_in.appearance`: whether people can read text in the accent colors. Pure."""

from __future__ import annotations

from gateway.config.colors import LEAST, Palette
from gateway.config.report import Report
from gateway.config.validate import Typed

_SECTION = "sign_in.appearance"


def check_appearance(typed: Typed, report: Report) -> None:
    """Report accents whose contrast is too low, with one that suffices, and settings without effect."""
    given = typed.values["sign_in"]["appearance"]
    light, dark = given["accent"], given["accent_dark"]
    if light is not None:
        _check(typed, report, f"{_SECTION}.accent", Palette("light", light))
    if dark is not None:
        _check(typed, report, f"{_SECTION}.accent_dark", Palette("dark", dark))
    for key, needed in (("accent_dark", "accent"), ("logo_dark_file", "logo_file")):
        if given[key] is not None and given[needed] is None and f"{_SECTION}.{needed}" not in typed.places:
            path = f"{_SECTION}.{key}"
            report.mistake(typed.place(path), path, f"needs {needed}, for light pages")


def _check(typed: Typed, report: Report, path: str, palette: Palette) -> None:
    if not palette.lacks:
        return
    way = "darker" if palette.scheme == "light" else "lighter"
    # Rounded down, so that no ratio below the limit reads like it.
    ratio = int(palette.contrast * 10) / 10
    message = (
        f"{palette.accent} has a contrast of {ratio}:1 with the background or button text of "
        f"{palette.scheme} pages, and text needs {LEAST}:1: "
        f"choose a {way} color, such as {palette.legible().accent}"
    )
    report.mistake(typed.place(path), path, message)
