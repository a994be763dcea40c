"""Which authorities our own HTTP client trusts, and how strictly."""

import ssl
from pathlib import Path

import pytest

from tests.faults import certificates
from tidegate.transport.tls import create_ssl_context


def test_a_server_must_prove_its_name_and_private_authorities_need_no_extensions() -> None:
    context = create_ssl_context(None)
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert not context.verify_flags & ssl.VERIFY_X509_STRICT


def test_authorities_are_the_systems_or_certifis_and_the_given_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    authority = certificates.authority()
    (tmp_path / "one.pem").write_bytes(authority.pem)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "one.pem"))
    assert create_ssl_context(None).cert_store_stats()["x509_ca"] == 1
    assert create_ssl_context(certificates.authority().pem).cert_store_stats()["x509_ca"] == 2
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    assert create_ssl_context(None).cert_store_stats()["x509_ca"] > 50
