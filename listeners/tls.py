"""TLS of the listener (RFC 5425): certificate, key, and the authority whose clients are taken."""

import ssl
from pathlib import Path
from typing import Any

from core.errors import SettingsError
from core.settings import TlsSettings


class TlsIdentity:
    """The context of new connections; a certificate that is renewed on disk is taken up by `refresh`.

    Raises SettingsError when a file cannot be used.
    """

    def __init__(self, settings: TlsSettings) -> None:
        assert settings.certificate_file is not None
        self._certificate, self._key = settings.certificate_file, settings.key_file
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._loaded = self._versions()
        try:
            self._load(self.context)
            if settings.client_ca_file is not None:
                self.context.load_verify_locations(settings.client_ca_file)
                self.context.verify_mode = ssl.CERT_REQUIRED
        except (OSError, ValueError) as error:
            files = [settings.certificate_file, settings.key_file, settings.client_ca_file]
            raise SettingsError(
                f"cannot use {', '.join(str(file) for file in files if file)}: {error}"
            ) from None

    def refresh(self) -> bool:
        """Load the certificate if its files have changed. Raises OSError; then the former one stays."""
        versions = self._versions()
        if versions == self._loaded:
            return False
        # First elsewhere: a certificate whose key has not come yet would leave the context without either.
        self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        self._load(self.context)
        self._loaded = versions
        return True

    def _load(self, context: ssl.SSLContext) -> None:
        context.load_cert_chain(self._certificate, self._key, password=_no_password)

    def _versions(self) -> list[tuple[int, int]]:
        return [_version(file) for file in (self._certificate, self._key) if file is not None]


def _version(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_ino


def _no_password(*_: Any) -> str:
    raise ValueError("the key has a password")  # else OpenSSL asks for it at the terminal
