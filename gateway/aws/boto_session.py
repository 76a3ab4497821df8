"""boto3 sessions that read botocore's service models once in a process.

A model is a few megabytes of JSON once it is parsed, and every session would parse and hold its own.
Credentials, profile and Region stay with each session.
"""

from __future__ import annotations

import boto3
from botocore.loaders import Loader
from botocore.session import Session


class _Shared(Loader):
    """botocore's loader; it keeps what it has read."""

    @property
    def search_paths(self) -> list[str]:
        """Return a copy: each boto3 session adds the folder of its resources, which nobody here uses."""
        return [*super().search_paths]


_LOADER = _Shared()


def boto_session(profile: str | None, region: str | None) -> boto3.Session:
    """Return a new session. Raises BotoCoreError if there is no such profile."""
    session = Session()
    # Who names further folders of models (AWS_DATA_PATH) gets them.
    if session.get_config_variable("data_path") is None:
        session.register_component("data_loader", _LOADER)
    return boto3.Session(profile_name=profile, region_name=region, botocore_session=session)
