"""Checks of `sign_in.pages` and `sign_in.providers` against the user pools: what needs a domain.

Invariant: as in cross_checks.py, a value that is None was reported already, or is a decision.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.config.report import Report
from gateway.config.validate import Typed


def own_pages(typed: Typed, pool: Mapping[str, Any]) -> bool:
    """Return whether the gateway's own pages sign this pool's users in."""
    return pool["domain"] is None or typed.values["sign_in"]["pages"] != "managed"


def check_sign_in(typed: Typed, report: Report) -> None:
    """Check that what needs a domain has one, and that a domain is used."""
    sign_in, pools = typed.values["sign_in"], typed.values["cognito"]["user_pools"] or ()
    providers = [each for each in sign_in["providers"] or () if each is not None]
    _names(typed, report)
    places = [
        (f"cognito.user_pools[{index}]", pool)
        for index, pool in enumerate(pools)
        if pool is not None and pool["client_ids"]
    ]
    # Without pools, the set-up page connects one.
    if not sign_in["enabled"] or not places:
        return
    lacking = [(path, pool["id"]) for path, pool in places if pool["domain"] is None]
    managed = sign_in["pages"] == "managed"
    # In a file of its own, which only the set-up page writes: it cannot be corrected in this one.
    stored = typed.place(places[0][0]).label != typed.place("").label
    if len(lacking) == len(places):
        url = "https://PREFIX.auth.REGION.amazoncognito.com"
        for key, set_, what in (
            ("sign_in.providers", bool(providers), "providers sign people in through managed login"),
            ("sign_in.pages", managed, "it is the address of managed login"),
        ):
            if set_ and stored:
                message = "ignored: the user pool that the set-up page stored has no domain"
                report.warning(typed.place(key), key, message)
            elif set_:
                message = f"needs the user pool's domain, because {what}: set {places[0][0]}.domain ({url})"
                report.mistake(typed.place(key), key, message)
        return
    if managed and providers:
        message = "ignored: with sign_in.pages: managed, Cognito's own page shows the pool's providers"
        report.warning(typed.place("sign_in.providers"), "sign_in.providers", message)
    elif providers:
        for path, pool_id in lacking:
            message = f"no domain: the sign-in form of {pool_id} shows no sign_in.providers"
            report.warning(typed.place(path), path, message)
    elif not managed:
        for path, pool in places:
            if pool["domain"] is not None:
                message = (
                    "unused: the gateway's own pages sign people in. Set sign_in.pages: managed for "
                    "Cognito's pages, or sign_in.providers for buttons beside our form"
                )
                report.warning(typed.place(f"{path}.domain"), f"{path}.domain", message)


def _names(typed: Typed, report: Report) -> None:
    seen: set[str] = set()
    for index, provider in enumerate(typed.values["sign_in"]["providers"] or ()):
        if provider is None or provider["name"] is None:
            continue
        if provider["name"] in seen:
            path = f"sign_in.providers[{index}].name"
            report.mistake(typed.place(path), path, f"{provider['name']} is listed twice: remove one of them")
        seen.add(provider["name"])
