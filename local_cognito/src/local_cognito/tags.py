"""Tags of user pools. Invariant: they are the pool's UserPoolTags, whichever operation sets them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from local_cognito.errors import not_found
from local_cognito.state import Pool, State

Request = Mapping[str, Any]
Answer = dict[str, Any]


def tag_resource(state: State, request: Request, now: float) -> Answer:
    pool = _by_arn(state, request["ResourceArn"])
    pool.settings["UserPoolTags"] = {**pool.settings["UserPoolTags"], **request["Tags"]}
    return {}


def untag_resource(state: State, request: Request, now: float) -> Answer:
    pool = _by_arn(state, request["ResourceArn"])
    kept = {key: one for key, one in pool.settings["UserPoolTags"].items() if key not in request["TagKeys"]}
    pool.settings["UserPoolTags"] = kept
    return {}


def list_tags_for_resource(state: State, request: Request, now: float) -> Answer:
    return {"Tags": _by_arn(state, request["ResourceArn"]).settings["UserPoolTags"]}


def _by_arn(state: State, arn: str) -> Pool:
    for pool in state.pools.values():
        if pool.arn == arn:
            return pool
    raise not_found("User pool does not exist.")
