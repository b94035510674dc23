"""A certificate that is renewed on disk is taken up, and one that is broken does no harm."""

import os
import shutil
import ssl
from pathlib import Path

import pytest

from core.settings import TlsSettings
from listeners.tls import TlsIdentity
from tests.listeners.authority import Authority


def certificate_shown(server: ssl.SSLContext, authority: Authority) -> bytes | None:
    """The certificate that a client of the context would be shown."""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_side = context.wrap_bio(to_client, to_server, server_hostname="localhost")
    server_side = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(3):
        for side in (client_side, server_side):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client_side.getpeercert(binary_form=True)


def test_a_renewed_certificate_is_taken_up(authority: Authority, tmp_path: Path) -> None:
    first = authority.issue("localhost")
    files = [tmp_path / "certificate.pem", tmp_path / "key.pem"]
    for source, target in zip((first.certificate, first.key), files, strict=True):
        shutil.copy(source, target)
    identity = TlsIdentity(TlsSettings(certificate_file=files[0], key_file=files[1]))
    shown = certificate_shown(identity.context, authority)
    assert shown
    assert not identity.refresh()

    files[0].write_text("half a certif")
    with pytest.raises(OSError, match=r"PEM|SSL"):
        identity.refresh()
    assert certificate_shown(identity.context, authority) == shown

    second = authority.issue("localhost")
    shutil.copy(second.certificate, files[0])  # its key is on the way
    with pytest.raises(OSError, match="KEY_VALUES_MISMATCH"):
        identity.refresh()
    assert certificate_shown(identity.context, authority) == shown

    for source, target in zip((second.certificate, second.key), files, strict=True):
        shutil.copy(source, target)
        os.utime(target, (1, 1))
    assert identity.refresh()
    renewed = certificate_shown(identity.context, authority)
    assert renewed
    assert renewed != shown
