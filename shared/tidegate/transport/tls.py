"""TLS towards servers: the authorities that are trusted, and the protocol that is offered."""

import ssl

import certifi


def create_ssl_context(root_certificate_pem: bytes | None) -> ssl.SSLContext:
    """Trust the system's authorities (or SSL_CERT_FILE and SSL_CERT_DIR), and `root_certificate_pem`.

    certifi's are added where the system has no file with authorities: to read them takes 10 ms.
    """
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(certifi.where())
    if root_certificate_pem:
        context.load_verify_locations(cadata=root_certificate_pem.decode())
    # Python 3.13's default refuses private authorities without the key identifiers of RFC 5280; the other transports
    # and older Pythons accept them.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.set_alpn_protocols(["http/1.1"])
    return context
