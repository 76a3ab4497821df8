"""`/setup`: connects an unconfigured gateway to a user pool, authorised by the set-up code from the log.

Once somebody has signed in with the connection (first_sign_in.py), the form is closed. What it stored may be
changed by a signed-in member of `sign_in.admin_groups` (setup_admin.py). Invariant: nothing is stored that
was not checked at Cognito, a code stores once, and Cognito is not called for anyone without the right to use
the form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from gateway.config.stored import connection_text, store
from gateway.errors import GatewayError, NotFound
from gateway.http.answers import Answer
from gateway.pages import refusal_texts
from gateway.pages.attempts import SETUP_BY_ADDRESS, Key, by_address
from gateway.pages.badge import NOT_CONNECTED
from gateway.pages.first_sign_in import remember, stored_here
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.respond import see_other
from gateway.pages.setup_admin import may_change, objection
from gateway.pages.setup_code import matches
from gateway.pages.setup_form import FIELDS, PoolConnection, check, read
from gateway.sessions.page_request import PageRequest
from gateway.texts import Text

if TYPE_CHECKING:
    from gateway.pages.portal import Portal

# What authorises the use of the form.
Right = Literal["code", "admin", "browser"]
WRONG_CODE = Text("That isn't the current setup code")
# Times that the page checks, once a second, whether the new configuration is served, before it reports a
# failure.
_LOOKS = 15


async def show(portal: Portal, page: PageRequest) -> Answer:
    """Handle GET: show the form, or wait for the new configuration."""
    looks = page.query.get("saved")
    if looks is not None:
        return await _saved(portal, page, looks)
    right = await _right(portal, page)
    if page.outcome is None:
        return await _form(portal, page, right, {} if right == "code" else _stored_values(portal))
    if page.outcome.refused:
        return await _form(portal, page, right, page.form)
    return await _checked(portal, page)


async def submit(portal: Portal, page: PageRequest) -> Answer:
    """Handle POST: check and store the connection."""
    right, form = await _right(portal, page), page.form
    number = portal.pages.setup_code.number
    if right == "code" and not matches(form.get("setup_code", ""), portal.pages.setup_code.text(number)):
        return await _wrong_code(portal, page)
    connection, errors = read(form)
    if right == "admin" and not errors and (denied := await _denied(portal, page)):
        return denied
    errors = errors or await check(
        connection,
        cognito=portal.config.cognito,
        auth_flow=portal.config.sign_in.auth_flow,
        threads=portal.pages.threads,
        by=by_address(SETUP_BY_ADDRESS, page.client)[1],
    )
    if errors:
        return await _form(portal, page, right, form, errors=errors)
    # Used last, so that a mistyped value does not cost the code; of two concurrent requests one succeeds.
    if right == "code" and not portal.pages.setup_code.use(number):
        return await _wrong_code(portal, page)
    try:
        return await _keep(portal, page, right, connection)
    finally:
        # Whatever comes of it: the form may still be open.
        portal.pages.setup_code.announce(portal.config, portal.pages.log)


async def _wrong_code(portal: Portal, page: PageRequest) -> Answer:
    """Refuse a wrong code. Attempts are counted so that a flood does not fill the log; the code has 80
    bits."""
    keys: list[Key] = [by_address(SETUP_BY_ADDRESS, page.client)]
    attempts = portal.pages.attempts
    if refusal_text := refusal_texts.wait(attempts.wait(keys, page.moment)):
        return await _form(portal, page, "code", page.form, refusal_text=refusal_text)
    attempts.count(keys, page.moment)
    _log(portal, page, "refused", level="warning")
    return await _form(portal, page, "code", page.form, errors={"setup_code": WRONG_CODE})


async def _denied(portal: Portal, page: PageRequest) -> Answer | None:
    """Return the answer to an administrator who may not change it now; None if they may. Raises NotFound."""
    subject = None if page.session is None else page.session.subject
    refusal_text, allowed = None, False
    try:
        refusal_text = await objection(portal, page)
        allowed = refusal_text is None
    finally:
        if not allowed:
            _log(portal, page, "refused", level="warning", subject=subject)
    if refusal_text is None:
        return None
    if refusal_text.next == "again":
        return see_other(f"{page.prefix}/sign_in?notice=ended")
    return await _form(portal, page, "admin", page.form, refusal_text=refusal_text)


async def _keep(portal: Portal, page: PageRequest, right: Right, connection: PoolConnection) -> Answer:
    text, folder = connection_text(connection.as_pool), portal.config.sign_in.state_dir
    if folder is None:
        _log(portal, page, "shown", pool=connection.user_pool_id)
        return portal.pages.after_post(page)
    try:
        await asyncio.to_thread(store, folder, text)
    except GatewayError as error:
        _log(portal, page, "failed", level="error", exact=str(error))
        refusal_text = RefusalText(
            Text("The IDs work, but we couldn't save them. The gateway's log says why."), status=500
        )
        return await _form(portal, page, right, page.form, refusal_text=refusal_text)
    _log(portal, page, "connected", pool=connection.user_pool_id)
    remember(page, portal.sealers.setup, connection)
    # Every worker checks its files once a second.
    return see_other(f"{page.prefix}/setup?saved={_LOOKS}")


async def _checked(portal: Portal, page: PageRequest) -> Answer:
    """Show what to write into the configuration file, where the gateway has no place to store it."""
    connection, _ = read(page.form)
    return await portal.pages.show(
        page,
        "setup_done",
        Text("The IDs work"),
        lead=Text(
            "Put this into the configuration file, in place of its cognito.user_pools, and save it. The "
            "gateway reloads the file by itself, or on SIGHUP. Where sign_in.state_dir is set, this page "
            "saves it for you."
        ),
        yaml=connection_text(connection.as_pool),
        badge=NOT_CONNECTED,
    )


async def _saved(portal: Portal, page: PageRequest, looks: str) -> Answer:
    """Reload, without a script, until the new configuration is served; then redirect to sign-in."""
    if portal.config.cognito.user_pools and stored_here(page, portal.sealers.setup) in {
        None,
        _served(portal),
    }:
        return see_other(page.prefix + "/sign_in?notice=connected")
    left = int(looks) if looks.isascii() and looks.isdigit() and len(looks) < 3 else 0
    if left <= 0:
        lead = Text("The gateway doesn't use its new connection yet. Its log says why.")
        link = {"href": page.prefix + "/", "text": Text("Check again")}
        return await portal.pages.show(
            page, "setup_done", Text("Not connected yet"), lead=lead, yaml="", link=link, badge=NOT_CONNECTED
        )
    return await portal.pages.show(
        page,
        "setup_done",
        Text("Connecting …"),
        lead=Text("The connection is saved. The gateway starts using it in a few seconds."),
        yaml="",
        refresh=f"{page.prefix}/setup?saved={left - 1}",
        link={"href": page.prefix + "/sign_in", "text": Text("Continue to sign in")},
        badge=NOT_CONNECTED,
    )


async def _right(portal: Portal, page: PageRequest) -> Right:
    """Return what authorises the caller. Raises NotFound if nothing does: the page does not exist for
    them."""
    if not portal.config.cognito.user_pools:
        return "code"
    if may_change(portal, page):
        return "admin"
    if not await portal.pages.first_sign_in.happened():
        return "browser" if stored_here(page, portal.sealers.setup) == _served(portal) else "code"
    raise NotFound("the gateway is already connected, and the caller may not change the connection")


def _stored_values(portal: Portal) -> dict[str, str]:
    pool = portal.config.cognito.user_pools[0]
    values = (pool.region, pool.id, pool.client_ids[0], pool.identity_pool_id or "")
    return dict(zip(FIELDS, values, strict=True))


def _served(portal: Portal) -> str:
    """Return the connection in force, as it is stored."""
    return connection_text(PoolConnection(**_stored_values(portal)).as_pool)


def _log(
    portal: Portal,
    page: PageRequest,
    result: str,
    *,
    level: str = "info",
    subject: str | None = None,
    pool: str | None = None,
    exact: str | None = None,
) -> None:
    portal.pages.log.event(
        "setup",
        level=level,
        request_id=page.request_id,
        client=page.client,
        subject=subject or (None if page.session is None else page.session.subject),
        result=result,
        pool=pool,
        exact=exact,
    )


async def _form(
    portal: Portal,
    page: PageRequest,
    right: Right,
    values: Mapping[str, str],
    *,
    refusal_text: RefusalText | None = None,
    errors: Mapping[str, str] | None = None,
) -> Answer:
    connected = bool(portal.config.cognito.user_pools)
    return await portal.pages.show(
        page,
        "setup",
        Text("Change the connection") if connected else Text("Connect to Cognito"),
        status=refusal_text.status if refusal_text else 400 if errors else 200,
        retry_after=refusal_text.retry_after if refusal_text else None,
        lead=Text("Find these in the AWS console under Amazon Cognito. We check them before saving."),
        errors={refusal_text.field: refusal_text.sentence} if refusal_text and refusal_text.field else errors,
        problem=refusal_text.sentence if refusal_text and not refusal_text.field else None,
        values={name: values.get(name, "")[:128] for name in (*FIELDS, "setup_code")},
        asks_code=right == "code",
        asks_password=right == "admin",
        cancel=f"{page.prefix}/{'' if right == 'admin' else 'sign_in'}" if connected else None,
        badge=None if connected else NOT_CONNECTED,
    )
