"""The reader's language: negotiated, switched and remembered; no word of a page is outside the catalogues."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from gateway.pages.catalogue import LANGUAGES, texts
from gateway.pages.negotiation import negotiated
from tests.support.chromium import chromium, looking
from tests.support.journeys import JOURNEYS, Journey
from tests.support.site import ALICE, HTML, PASSWORD, POOL, Browser, site
from tests.support.wire import get, once

ALL = "languages: [en, de, es, fr, ja, pt-BR, zh-Hans]"
GERMAN = "Accept-Language: de-CH, en;q=0.5"


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        (None, "en"),
        ("de", "de"),
        ("de-CH, fr;q=0.9", "de"),
        ("DE-ch-1996", "de"),
        ("fr;q=0.5, es;q=0.8", "es"),
        ("es;q=0, de;q=0.1", "de"),
        ("pt", "pt-BR"),
        ("pt-PT", "pt-BR"),
        ("zh-CN", "zh-Hans"),
        ("zh-Hans-SG", "zh-Hans"),
        ("zh-TW", "en"),
        ("zh-TW, zh-Hant;q=0.9, ja;q=0.5", "ja"),
        ("nl, *;q=0.5, de;q=0.1", "en"),
        ("de;q=2, ja", "ja"),
        ("de;q=, ja;;", "en"),
        ("\x00\xff,de", "de"),
        (",".join(["xx"] * 40) + ",de", "en"),
        ("x" * 5000 + ",de", "en"),
    ],
)
def test_the_language_that_a_browser_prefers(accepted: str | None, chosen: str) -> None:
    sent = None if accepted is None else accepted.encode("latin-1")
    assert negotiated(sent, ("en", "de", "es", "fr", "ja", "pt-BR", "zh-Hans")) == chosen


async def test_a_page_is_in_the_language_of_its_reader(tmp_path: Path) -> None:
    async with site(tmp_path, sign_in=ALL) as at:
        browser = at.browser()
        page = await browser.open("/oauth2/sign_in", GERMAN)
        assert '<html lang="de">' in browser.text
        assert ">Anmelden</button>" in browser.text
        assert page.get("Content-Language") == "de"
        assert page.get("Vary") == "Accept-Language, Cookie"
        # So are messages of the server, which a cookie carried here.
        await browser.submit(GERMAN, username=ALICE, password="wrong")
        page = await browser.open("/oauth2/sign_in", GERMAN)
        english = at.browser()
        await english.open("/oauth2/sign_in")
        assert '<html lang="en">' in english.text
        missing = await once(at.worker.port, get("/oauth2/nothing", HTML, GERMAN))
        assert (missing.status, missing.get("Content-Language")) == (404, "de")
        assert "Seite nicht gefunden" in missing.body.decode()
        # Programs are answered in English.
        problem = await once(at.worker.port, get("/nothing", GERMAN))
        assert json.loads(problem.body)["title"] == "Authentication required"


async def test_the_switch_is_remembered_and_leads_back(tmp_path: Path) -> None:
    async with site(tmp_path, sign_in=ALL) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in?return_to=/app")
        target, hidden = browser.form(1)
        assert (target, hidden["return_to"]) == ("/oauth2/language", "/oauth2/sign_in?return_to=/app")
        await browser.post(target, {**hidden, "language": "fr"})
        assert browser.location == "/oauth2/sign_in?return_to=/app"
        assert '<html lang="fr">' in browser.text
        await browser.open("/oauth2/sign_in", GERMAN)
        assert '<html lang="fr">' in browser.text


@pytest.mark.parametrize(
    "wanted",
    ["https://evil.example/", "//evil.example", "/app", "/oauth2/../app", "/oauth2", ""],
)
async def test_the_switch_leads_to_our_pages_alone(tmp_path: Path, wanted: str) -> None:
    async with site(tmp_path, sign_in=ALL) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        target, hidden = browser.form(1)
        await browser.post(target, {**hidden, "language": "xx", "return_to": wanted})
        assert browser.location.startswith("/oauth2/")
        assert "evil" not in browser.location
        assert '<html lang="en">' in browser.text


async def test_a_foreign_form_switches_nothing(tmp_path: Path) -> None:
    async with site(tmp_path, sign_in=ALL) as at:
        browser = at.browser()
        await browser.open("/oauth2/sign_in")
        await browser.post("/oauth2/language", {"language": "fr", "return_to": "/oauth2/sign_in"})
        await browser.open("/oauth2/sign_in")
        assert '<html lang="en">' in browser.text


async def test_with_one_language_there_is_nothing_to_choose(tmp_path: Path) -> None:
    async with site(tmp_path, sign_in="languages: [de]") as at:
        browser = at.browser()
        page = await browser.open("/oauth2/sign_in")
        assert '<html lang="de">' in browser.text
        assert page.get("Vary") is None
        assert "/oauth2/language" not in browser.text


# --- no word outside the catalogues ---

# In every marked text, and in no other.
_BEGIN, _END = "⟦", "⟧"
_LABELS = {"aria-label", "title", "placeholder", "alt", "content"}
# Names and values, which are the same in every language.
_DATA = re.compile(
    rf"{_BEGIN}|{_END}|api\.test|{re.escape(ALICE)}|{POOL}|Alice Example|admins|editors|eu-central-1\w*"
    # A passkey's name is Cognito's, and a client's its own.
    r"|https?://[\w.:/-]+|localhost|us-east-1_\w+|\bPasskey\b|\bProbe\b"
    r"|\d\d:\d\d UTC|\d+ \w+ \d+, \d\d:\d\d UTC|width=device-width, initial-scale=1|light dark|noindex|utf-8"
)


class _Seen(HTMLParser):
    """What a person sees or hears of a page, and what its script says."""

    def __init__(self) -> None:
        super().__init__()
        # The first: all visible text, since a text may hold an element, such as a time.
        self.parts: list[str] = [""]
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # A text area holds what is copied or typed, such as a key.
        self._hidden = tag in {"script", "style", "textarea"}
        given = {name: value or "" for name, value in attrs}
        names = _LABELS | {
            "data-shown",
            "data-open",
            "data-all-met",
            "data-done",
            "data-copied",
            "data-press",
        }
        names |= {"data-press", "data-selected", "data-running", "data-over"}
        self.parts += [given[name] for name in names & given.keys()]

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts[0] += data


def unmarked(page: str) -> list[str]:
    """Return the words of a page that are in no marked text."""
    seen = _Seen()
    seen.feed(page)
    found = []
    for part in seen.parts:
        text = part
        while (left := re.sub(rf"{_BEGIN}[^{_BEGIN}{_END}]*{_END}", " ", text)) != text:
            text = left
        found += re.findall(r"[^\W\d_]{2,}", _DATA.sub(" ", text))
    return found


def marked(folder: Path) -> str:
    """Write the operator's texts with every text marked; return the lines of sign_in that use them."""
    forms = LANGUAGES["de"].plurals
    every = {
        text: f"{_BEGIN}{text}{_END}" if other is None else [f"{_BEGIN}{other}{_END}"] * forms
        for text, other in texts().items()
    }
    file = folder / "marked.json"
    file.write_text(json.dumps({"de": every}))
    return f"languages: [de], appearance: {{messages_file: '{file}'}}"


async def _look(browser: Browser, found: dict[str, list[str]], target: str) -> None:
    await browser.open(target)
    if words := unmarked(browser.text):
        found[target] = words


async def test_every_word_of_the_pages_is_in_the_catalogues(tmp_path: Path) -> None:
    found: dict[str, list[str]] = {}
    async with site(tmp_path, sign_in=marked(tmp_path)) as at:
        await at.settled()
        browser = at.browser()
        for target in ("/oauth2/sign_in", "/oauth2/sign_up", "/oauth2/forgot_password", "/oauth2/confirm"):
            await _look(browser, found, target)
            await browser.submit()
            found |= {f"{target} refused": words} if (words := unmarked(browser.text)) else {}
        await browser.open("/oauth2/sign_in")
        await browser.submit(username=ALICE, password="wrong")
        assert _BEGIN in browser.text
        found |= {"wrong password": words} if (words := unmarked(browser.text)) else {}
        await browser.submit(username=ALICE, password=PASSWORD)
        for target in ("/oauth2/", "/oauth2/change_password", "/oauth2/sign_out", "/oauth2/nothing"):
            await _look(browser, found, target)
        for notice in ("confirmed", "everywhere", "ended", "connected"):
            await _look(at.browser(), found, f"/oauth2/sign_in?notice={notice}")
    assert not found


async def test_every_word_of_the_set_up_page_is_in_the_catalogues(tmp_path: Path) -> None:
    found: dict[str, list[str]] = {}
    async with site(tmp_path, sign_in=marked(tmp_path), pools=False) as at:
        browser = at.browser()
        await _look(browser, found, "/oauth2/")
        await _look(browser, found, "/oauth2/setup")
        await browser.submit(setup_code="wrong", user_pool_id="x")
        found |= {"refused": words} if (words := unmarked(browser.text)) else {}
    assert not found


@pytest.mark.engine
@pytest.mark.parametrize("journey", JOURNEYS)
async def test_every_word_that_a_person_meets_is_in_the_catalogues(tmp_path: Path, journey: Journey) -> None:
    found: dict[str, list[str]] = {}
    seen = 0
    async with chromium() as browser, looking(browser, locale="de") as page:

        async def eye(name: str, *, lasting: bool = True) -> None:
            nonlocal seen
            del lasting
            text = await page.content()
            seen += text.count(_BEGIN)
            found.update({name: words} if (words := unmarked(text)) else {})

        await journey(page, eye, marked(tmp_path))
    assert seen
    assert not found, found


def test_a_word_outside_the_catalogues_is_found() -> None:
    page = f'<p aria-label="Left">{_BEGIN}in {_BEGIN}inner{_END} it{_END} out</p><script>var x</script>'
    assert unmarked(page) == ["out", "Left"]
