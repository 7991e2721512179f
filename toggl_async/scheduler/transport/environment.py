"""What the environment says of the way to a server: its proxy, and the certificates that are trusted.

Errors name the variable at fault, and the file; never the address of a proxy, which may contain a password.
"""

import importlib.util
import os
import ssl
import urllib.request
from typing import Final

from toggl_async.errors import InvalidInput

__all__ = ["CERTIFICATE_VARIABLES", "named_proxy", "refuse_certificates", "unusable_certificates"]

CERTIFICATE_VARIABLES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
"""What a TLS context depends on."""


def named_proxy(scheme: str, host: str) -> tuple[str, str] | None:
    """Return the proxy for a host, as it is written, and who names it; None if there is none.

    Raises:
        InvalidInput: it is a SOCKS proxy, and the package for those is not installed.
    """
    proxies = urllib.request.getproxies()
    kind = scheme if proxies.get(scheme) else "all"
    address = proxies.get(kind)
    if not address or urllib.request.proxy_bypass(host):
        return None
    names = (name for name in os.environ if name.lower() == f"{kind}_proxy" and os.environ[name])
    source = next(names, "the system's settings")
    if address.lower().startswith("socks") and importlib.util.find_spec("socksio") is None:
        raise InvalidInput(
            f"{source} names a SOCKS proxy, for which httpx needs another package: pip install 'httpx[socks]'"
        )
    return address, source


def refuse_certificates() -> None:
    """Refuse a certificate directory that doesn't exist: OpenSSL would silently trust nobody.

    Raises:
        InvalidInput: it doesn't exist.
    """
    folder = os.environ.get("SSL_CERT_DIR")
    if folder and not os.environ.get("SSL_CERT_FILE") and not os.path.isdir(folder):  # noqa: PTH112  # pragma: no cover - tested in processes of their own
        raise InvalidInput(f"SSL_CERT_DIR names {folder!a}, which is not a directory: name one, or unset it")


def unusable_certificates(error: OSError | ValueError) -> InvalidInput:
    """Return the error for a TLS context that can't be made as the environment wants it."""
    named = [name for name in CERTIFICATE_VARIABLES if os.environ.get(name)]
    # OpenSSL names no file of certificates; Python names the log of keys that it opens.
    name = named[0] if named else ""
    if (
        getattr(error, "filename", None) is not None and "SSLKEYLOGFILE" in named
    ):  # pragma: no cover - tested in processes of their own
        name = "SSLKEYLOGFILE"
    why = error.reason if isinstance(error, ssl.SSLError) else getattr(error, "strerror", None)
    if not name:  # pragma: no cover - an installation without certificates
        return InvalidInput(f"the certificates of certifi cannot be read: {why or error}")
    return InvalidInput(
        f"{name} names {os.environ[name]!a}, which cannot be used: {why or error}; correct it, or unset it"
    )
