"""A Redis that speaks TLS, with certificates made for it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import trustme

from support.redis_server import RedisServer, free_port, redis_server


@contextlib.contextmanager
def tls_redis_server(folder: Path) -> Iterator[tuple[RedisServer, Path]]:
    """Run a server that speaks TLS alone; yield it, and the file of the authority that certifies it."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    ca = folder / "ca.pem"
    authority.cert_pem.write_to_path(ca)
    certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    certificate.private_key_pem.write_to_path(folder / "key.pem")
    port = free_port()
    options = ["--port", "0", "--tls-port", str(port), "--tls-cert-file", "cert.pem"]
    options += ["--tls-key-file", "key.pem", "--tls-ca-cert-file", "ca.pem", "--tls-auth-clients", "no"]
    with redis_server(folder, *options, port=port) as server:
        yield server, ca
