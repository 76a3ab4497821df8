"""The operator's looks: name, logo, accent, style sheet and links, and what is refused of them."""

from __future__ import annotations

import gzip
import re
import struct
from pathlib import Path

import pytest

from gateway.config.colors import GROUNDS, ON
from gateway.config.load import load
from gateway.config.model import Appearance
from gateway.errors import GatewayError
from gateway.pages import assets
from gateway.pages.appearance import look_of
from gateway.pages.logo import picture
from gateway.serve.file_checks import check_contents
from tests.support.site import ALICE, HTML, PASSWORD, Site, site
from tests.support.wire import Reply, get, once

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 88 40">'
    '<path fill="#0b6e4f" d="M0 0h88v40H0z"/></svg>'
)


def look(folder: Path) -> str:
    (folder / "logo.svg").write_text(SVG)
    (folder / "dark.svg").write_text(SVG.replace("#0b6e4f", "#5ad1a8"))
    (folder / "more.css").write_text(".card { border-radius: 0 }")
    return (
        "appearance: {name: 'Bücher & Co', logo_file: logo.svg, logo_dark_file: dark.svg, accent: '#0b6e4f', "
        "css_file: more.css, terms_url: 'https://example.com/terms?a=b', support_url: 'https://example.com/#help'}"
    )


async def asset(at: Site, path: str, *lines: str) -> Reply:
    return await once(at.worker.port, get(path, *lines))


async def test_every_page_has_the_looks(tmp_path: Path) -> None:
    async with site(tmp_path, sign_in=look(tmp_path)) as at:
        browser = at.browser()
        pages = {}
        for path in ("/oauth2/sign_in", "/oauth2/nothing"):
            await browser.open(path)
            pages[path] = browser.text
        at.upstream.answer = b"no HTTP\r\n\r\n"
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password=PASSWORD)
        await browser.open("/app")
        assert browser.last is not None
        assert browser.last.status == 502
        pages["/app"] = browser.text
        for text in pages.values():
            assert "· Bücher &amp; Co</title>" in text
            assert '<span dir="auto">Bücher &amp; Co</span>' in text
            terms, support = "https://example.com/terms?a=b", "https://example.com/#help"
            assert f'<a href="{terms}">Terms</a> · <a href="{support}">Support</a>' in text
            assert "Privacy" not in text
            assert text.count('rel="icon"') == 2
            assert 'width="62" height="28"' in text
        (style,) = set(re.findall(r'href="(/oauth2/static/[^"]*css)"', "".join(pages.values())))
        served = (await asset(at, style)).body.decode()
        assert "--accent: #0b6e4f;" in served
        assert served.endswith(".card { border-radius: 0 }")


async def test_a_reload_takes_changed_files_and_keeps_the_old_ones_if_they_are_wrong(tmp_path: Path) -> None:
    async with site(tmp_path, sign_in=look(tmp_path)) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        (before,) = re.findall(r'href="(/oauth2/static/[^"]*css)"', browser.text)
        (tmp_path / "more.css").write_text(".card { border-radius: 1rem }")
        await at.worker.reload(at.source.load().config)
        await browser.open("/oauth2/sign_in")
        (after,) = re.findall(r'href="(/oauth2/static/[^"]*css)"', browser.text)
        assert after != before
        current, late = await asset(at, after), await asset(at, before)
        assert current.body == late.body, "a page from before the reload gets the new style sheet"
        assert (current.get("cache-control") or "").endswith("immutable")
        assert late.get("cache-control") == "no-store"
        (tmp_path / "more.css").write_bytes(b"\xff")
        with pytest.raises(GatewayError, match="css_file"):
            await at.worker.reload(at.source.load().config)
        assert (await asset(at, after)).body == current.body


async def test_static_files_are_compressed_for_browsers_that_accept_it(tmp_path: Path) -> None:
    async with site(tmp_path) as at:
        path = f"/oauth2{assets.built_in()['pages.css'].path}"
        plain = await asset(at, path)
        for accepted, compressed in {
            "gzip, deflate, br, zstd": True,
            "br;q=1.0, gzip;q=0.8, *;q=0.1": True,
            "gzip;q=0": False,
            "gzip;q=0.000, br": False,
            "br, x-gzip-not": False,
            "identity": False,
            "a, " * 200 + "gzip": False,
        }.items():
            reply = await asset(at, path, f"Accept-Encoding: {accepted}")
            assert reply.get("vary") == "Accept-Encoding"
            assert (reply.get("content-encoding") == "gzip") == compressed, accepted
            assert (gzip.decompress(reply.body) if compressed else reply.body) == plain.body
        page = await asset(at, "/oauth2/sign_in", HTML, "Accept-Encoding: gzip")
        # It holds a token beside what the address says: a compressed length would tell strangers about it.
        assert page.get("content-encoding") is None


async def test_a_logo_opened_by_itself_runs_nothing(tmp_path: Path) -> None:
    async with site(tmp_path, sign_in=look(tmp_path)) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        (path, _) = re.findall(r'rel="icon" href="([^"]+)"', browser.text)
        policy = (await asset(at, path)).get("content-security-policy") or ""
        assert policy == "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


def read(folder: Path, text: str) -> list[str]:
    (folder / "gateway.yaml").write_text(f"sign_in:\n  appearance: {text}\n")
    config = load(folder / "gateway.yaml", {}).config
    return [f"{key}: {problem}" for key, problem, _ in check_contents(config)]


@pytest.mark.parametrize(
    ("key", "content", "problem"),
    [
        ("logo_file", b"<svg width='3'/>", "is an SVG without a viewBox"),
        ("logo_file", b"<html>", "is neither an SVG nor a PNG"),
        ("logo_file", b"\x89PNG\r\n\x1a\n", "is a PNG that breaks off"),
        ("logo_file", b"<svg viewBox='0 0 0 4'>", "has a width or height of 0"),
        ("logo_file", SVG.encode() + b" " * 65_536, "is larger than 64 KiB: use a smaller file"),
        ("css_file", b"a { \xff }", "is not UTF-8 text"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, key: str, content: bytes, problem: str) -> None:
    (tmp_path / "given").write_bytes(content)
    (said,) = read(tmp_path, f"{{{key}: given}}")
    assert said.startswith(f"sign_in.appearance.{key}: {tmp_path}/given: {problem}")


def test_logos_keep_their_proportions() -> None:
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 1760, 40)
    assert (picture(png).width, picture(png).height) == (176, 4)
    square = picture(b"<?xml version='1.0'?><!-- a > b --><svg\n fill='#fff'\n viewBox='-1 -1,24.5 24.5'>")
    assert (square.width, square.height) == (28, 28)


def test_colors_are_checked_against_the_backgrounds_that_the_style_sheet_has() -> None:
    style = assets.built_in()["pages.css"].body.decode()
    light, dark = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[:2]
    colors = [dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", rules)) for rules in (light, dark)]
    assert [(each["card"], each["ground"]) for each in colors] == [GROUNDS["light"], GROUNDS["dark"]]
    assert {"light": "#ffffff", "dark": GROUNDS["dark"][1]} == ON


@pytest.mark.parametrize("accent", ["#000000", "#7a0000", "#0b6e4f", "#00008b", "#5b2a86"])
def test_an_accent_is_made_light_enough_for_dark_pages(accent: str) -> None:
    style = look_of(Appearance(accent=accent)).files["pages.css"].body.decode()
    assert f":root {{ --accent: {accent};" in style
    assert style.index(f"--accent: {accent};") < style.rindex("@media (prefers-color-scheme: dark)")
