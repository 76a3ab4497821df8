"""Files that a configuration names."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.config.files import check_files
from gateway.config.report import Report
from tests.support.config_files import POOL, said, typed

# "s" and "d" have neither a slash nor a dot.
UNNAMED = "the file (its name is not shown: without a / or a dot it may be the secret itself)"


def _told(folder: Path, text: str) -> list[str]:
    report = Report()
    check_files(typed(text), folder, report)
    return [line.replace(str(folder), "D") for line in report.lines]


def test_every_file_must_be_there(tmp_path: Path) -> None:
    text = (
        "listen:\n  tls:\n    certificate_file: c.pem\n    key_file: k.pem\n    client_ca_file: a.pem\n"
        "upstream:\n  tls:\n    ca_file: u.pem\n" + POOL + "      jwks_file: j.json\n"
        "      client_secret_file: s\nsign_in:\n  session:\n    secret_file: d\n  state_dir: none\n"
    )
    (tmp_path / "d").mkdir()
    assert _told(tmp_path, text) == [
        "F:3: listen.tls.certificate_file: D/c.pem: no such file or directory",
        "F:4: listen.tls.key_file: D/k.pem: no such file or directory",
        "F:5: listen.tls.client_ca_file: D/a.pem: no such file or directory",
        "F:8: upstream.tls.ca_file: D/u.pem: no such file or directory",
        "F:13: cognito.user_pools[0].jwks_file: D/j.json: no such file or directory",
        f"F:14: cognito.user_pools[0].client_secret_file: {UNNAMED}: no such file or directory",
        f"F:17: sign_in.session.secret_file: {UNNAMED}: is a directory",
        "F:18: sign_in.state_dir: D/none: not a folder: create it first",
    ]


def test_absolute_paths_are_unchanged(tmp_path: Path) -> None:
    (tmp_path / "j.json").write_text("{}")
    assert _told(Path("/nowhere"), POOL + f"      jwks_file: {tmp_path}/j.json\n") == []


@pytest.mark.parametrize(("mode", "warned"), [(0o600, False), (0o400, False), (0o640, True), (0o604, True)])
def test_secrets_readable_by_others_are_warned_about(tmp_path: Path, mode: int, warned: bool) -> None:
    (tmp_path / "s").write_text("x")
    (tmp_path / "s").chmod(mode)
    told = _told(tmp_path, "sign_in:\n  session:\n    secret_file: s\n")
    assert told == (
        [
            "F:3: warning: sign_in.session.secret_file: D/s contains a secret and is readable by others "
            f"(mode {mode:04o}): chmod 600 D/s"
        ]
        if warned
        else []
    )


def test_a_file_that_is_no_secret_may_be_read_by_all(tmp_path: Path) -> None:
    (tmp_path / "j").write_text("{}")
    (tmp_path / "j").chmod(0o644)
    assert _told(tmp_path, POOL + "      jwks_file: j\n") == []


def test_pinned_keys_beside_a_key_url(tmp_path: Path) -> None:
    (tmp_path / "j").write_text("{}")
    text = POOL + "      jwks_file: j\n      jwks_url: https://keys/jwks\n"
    assert said(tmp_path, text) == [
        "F:6: warning: cognito.user_pools[0].jwks_url: ignored: the keys come from jwks_file"
    ]
    # Nothing is fetched, so the issuer's address does not matter.
    assert said(tmp_path, POOL + "      jwks_file: j\n      issuers: [http://far/pool]\n") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
@pytest.mark.parametrize(("mode", "warned"), [(0o440, False), (0o400, False), (0o460, True), (0o444, True)])
def test_a_secret_of_another_owner_may_be_group_readable(tmp_path: Path, mode: int, warned: bool) -> None:
    """As Kubernetes mounts it: root's, and ours by the pod's fsGroup."""
    secret = tmp_path / "s"
    secret.touch()
    os.chown(secret, 65532, 65532)
    secret.chmod(mode)
    assert bool(_told(tmp_path, "sign_in:\n  session:\n    secret_file: s\n")) == warned
