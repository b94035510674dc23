"""A certificate authority for one test session: what a site's own would be."""

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


class Authority:
    """Makes certificates in a directory, with the openssl command."""

    def __init__(self, directory: Path, name: str) -> None:
        self._directory = directory
        self._own = Identity(directory / f"{name}.pem", directory / f"{name}.key")
        self._openssl("req", "-x509", *_NEW_KEY, *_files(self._own), "-subj", f"/CN={name}", "-days", "2")

    @property
    def certificate(self) -> Path:
        return self._own.certificate

    def issue(self, name: str) -> Identity:
        """A certificate for a name, which is also the address 127.0.0.1."""
        identity = Identity(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        self._openssl(
            *("req", "-x509", *_NEW_KEY, *_files(identity), "-subj", f"/CN={name}", "-days", "2"),
            *("-CA", str(self._own.certificate), "-CAkey", str(self._own.key)),
            *("-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-addext", "basicConstraints=CA:FALSE"),
        )
        return identity

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _files(identity: Identity) -> tuple[str, ...]:
    return "-out", str(identity.certificate), "-keyout", str(identity.key)
