"""The TLS listener, scanned by sslyze and held against Mozilla's "intermediate" configuration."""

from __future__ import annotations

import asyncio
import datetime
import re
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tests.support.running import running

ROOT = Path(__file__).parents[2]
# Of an environment of its own: `make sslyze`.
PYTHON = ROOT / ".venv-sslyze" / "bin" / "python"

# The two curves are stronger than what Mozilla lists. Python's ssl has no way to leave them out before 3.15.
STRONGER = {"X448", "secp521r1"}
ISSUE = re.compile(r"^ {8}\* (\w+): (.*)$", re.MULTILINE)


def certificates(folder: Path) -> None:
    """An authority and what it signed for 127.0.0.1, as public ones are made."""
    today = datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    authority_key, key = keys
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    for file, subject, of, ca in (
        ("ca.pem", name, authority_key, True),
        ("live.crt", x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway")]), key, False),
    ):
        usage = x509.KeyUsage(
            digital_signature=not ca,
            key_cert_sign=ca,
            crl_sign=ca,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            x509.CertificateBuilder(name, subject, of.public_key(), x509.random_serial_number())
            .not_valid_before(today - datetime.timedelta(days=1))
            .not_valid_after(today + datetime.timedelta(days=80))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(of.public_key()), critical=False)
            .add_extension(identifier, critical=False)
            .add_extension(usage, critical=True)
        )
        if not ca:
            names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
            builder = builder.add_extension(names, critical=False)
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
            )
        signed = builder.sign(authority_key, hashes.SHA256())
        (folder / file).write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "live.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


@pytest.mark.engine
@pytest.mark.skipif(not PYTHON.exists(), reason="sslyze is not installed: make sslyze")
async def test_mozillas_intermediate_configuration(tmp_path: Path) -> None:
    certificates(tmp_path)
    tls = f"tls: {{certificate_file: {tmp_path}/live.crt, key_file: {tmp_path}/live.key}}"
    async with running(tmp_path, listen_lines=tls) as gateway:
        process = await asyncio.create_subprocess_exec(
            *(PYTHON, "-W", "ignore", "-m", "sslyze", "--mozilla_config", "intermediate"),
            *("--certinfo_ca_file", str(tmp_path / "ca.pem"), f"127.0.0.1:{gateway.port}"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said = (await process.communicate())[0].decode()
    assert "COMPLIANCE AGAINST TLS CONFIGURATION" in said, said
    issues = dict(ISSUE.findall(said))
    assert set(re.findall(r"'(\w+)'", issues.pop("tls_curves", ""))) <= STRONGER, said
    assert issues == {}, said
    assert "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256" in said
    suites = set(re.findall(r"^ {8}(TLS_\w+) ", said, re.MULTILINE))
    assert all(re.match(r"TLS_(ECDHE_|AES_|CHACHA20_)", suite) for suite in suites)
    assert not any("CBC" in suite for suite in suites)
