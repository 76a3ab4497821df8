"""`/setup`: connects a gateway that has no user pool yet, with the code from its log.

Once it is connected the form is closed; what the form itself stored may be changed by a signed-in member of
`sign_in.admin_groups` (setup_admin.py). Invariant: nothing is stored that was not
checked at Cognito, a code stores once, and nothing is asked of Cognito for somebody who may not.
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
from gateway.pages.refusal_texts import RefusalText
from gateway.pages.respond import see_other
from gateway.pages.setup_admin import may_change, objection
from gateway.pages.setup_code import matches
from gateway.pages.setup_form import FIELDS, PoolConnection, check, read
from gateway.sessions.page_request import PageRequest

if TYPE_CHECKING:
    from gateway.pages.portal import Portal

# By what right somebody uses the form.
Right = Literal["code", "admin"]
WRONG_CODE = "That isn't the current setup code"
# The page asks so often, once a second, whether the new configuration is served; then something is wrong.
_LOOKS = 15


async def show(portal: Portal, page: PageRequest) -> Answer:
    """GET."""
    looks = page.query.get("saved")
    if looks is not None:
        return await _saved(portal, page, looks)
    right = _right(portal, page)
    values = _stored_values(portal) if right == "admin" else {}
    return await _form(portal, page, right, values)


async def submit(portal: Portal, page: PageRequest) -> Answer:
    """POST."""
    right, form = _right(portal, page), page.form
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
    if right == "admin":
        return await _keep(portal, page, right, connection)
    # Last, so that a mistyped value costs no code; of two that are as far with the same one, one goes on.
    if not portal.pages.setup_code.use(number):
        return await _wrong_code(portal, page)
    try:
        return await _keep(portal, page, right, connection)
    finally:
        # Whatever becomes of what was stored: the form may be open still, or again.
        portal.pages.setup_code.announce(portal.config, portal.pages.log)


async def _wrong_code(portal: Portal, page: PageRequest) -> Answer:
    """Counted, so that a flood does not fill the log. The right one needs no limit: it has 80 bits."""
    keys: list[Key] = [by_address(SETUP_BY_ADDRESS, page.client)]
    attempts = portal.pages.attempts
    if told := refusal_texts.wait(attempts.wait(keys, page.moment)):
        return await _form(portal, page, "code", page.form, told=told)
    attempts.count(keys, page.moment)
    _log(portal, page, "refused", level="warning")
    return await _form(portal, page, "code", page.form, errors={"setup_code": WRONG_CODE})


async def _denied(portal: Portal, page: PageRequest) -> Answer | None:
    """What an administrator gets who may not change it now; None: they may. Raises NotFound."""
    subject = None if page.session is None else page.session.subject
    told, allowed = None, False
    try:
        told = await objection(portal, page)
        allowed = told is None
    finally:
        if not allowed:
            _log(portal, page, "refused", level="warning", subject=subject)
    if told is None:
        return None
    if told.next == "again":
        return see_other(f"{page.prefix}/sign_in?notice=ended")
    return await _form(portal, page, "admin", page.form, told=told)


async def _keep(portal: Portal, page: PageRequest, right: Right, connection: PoolConnection) -> Answer:
    text, folder = connection_text(connection.as_pool), portal.config.sign_in.state_dir
    if folder is None:
        _log(portal, page, "shown", pool=connection.user_pool_id)
        lead = "Add this to the configuration file, then reload the gateway."
        return await portal.pages.show(
            page, "setup_done", "The IDs work", lead=lead, yaml=text, refresh=None, badge=NOT_CONNECTED
        )
    try:
        await asyncio.to_thread(store, folder, text)
    except GatewayError as error:
        _log(portal, page, "failed", level="error", exact=str(error))
        told = RefusalText("The IDs work, but we couldn't save them. The gateway's log says why.", status=500)
        return await _form(portal, page, right, page.form, told=told)
    _log(portal, page, "connected", pool=connection.user_pool_id)
    # Every worker looks at its files once a second.
    return see_other(f"{page.prefix}/setup?saved={_LOOKS}")


async def _saved(portal: Portal, page: PageRequest, looks: str) -> Answer:
    """Wait, without a script, until the new configuration is served; then on to sign in."""
    if portal.config.cognito.user_pools:
        return see_other(page.prefix + "/sign_in?notice=connected")
    left = int(looks) if looks.isascii() and looks.isdigit() and len(looks) < 3 else 0
    if left <= 0:
        lead = "The gateway doesn't use its new connection yet. Its log says why."
        link = {"href": page.prefix + "/", "text": "Check again"}
        return await portal.pages.show(
            page, "setup_done", "Not connected yet", lead=lead, yaml="", link=link, badge=NOT_CONNECTED
        )
    return await portal.pages.show(
        page,
        "setup_done",
        "Connecting …",
        lead="The connection is saved. The gateway starts using it in a few seconds.",
        yaml="",
        refresh=f"{page.prefix}/setup?saved={left - 1}",
        link={"href": page.prefix + "/sign_in", "text": "Continue to sign in"},
        badge=NOT_CONNECTED,
    )


def _right(portal: Portal, page: PageRequest) -> Right:
    """Raises NotFound for whoever may not: to them there is no such page."""
    if not portal.config.cognito.user_pools:
        return "code"
    if may_change(portal, page):
        return "admin"
    raise NotFound("the gateway is connected already, and this is nobody who may change it")


def _stored_values(portal: Portal) -> dict[str, str]:
    pool = portal.config.cognito.user_pools[0]
    values = (pool.region, pool.id, pool.client_ids[0], pool.identity_pool_id or "")
    return dict(zip(FIELDS, values, strict=True))


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
    told: RefusalText | None = None,
    errors: Mapping[str, str] | None = None,
) -> Answer:
    return await portal.pages.show(
        page,
        "setup",
        "Connect to Cognito" if right == "code" else "Change the connection",
        status=told.status if told else 400 if errors else 200,
        retry_after=told.retry_after if told else None,
        lead="Find these in the AWS console under Amazon Cognito. We check them before saving.",
        errors={told.field: told.sentence} if told and told.field else errors,
        problem=told.sentence if told and not told.field else None,
        values={name: values.get(name, "")[:128] for name in (*FIELDS, "setup_code")},
        asks_code=right == "code",
        badge=NOT_CONNECTED if right == "code" else None,
    )
