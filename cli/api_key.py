"""The API key: the one that is set, else one generated once and kept in the data directory."""

import secrets
from pathlib import Path

from pydantic import SecretStr

from cli.instance import LaunchError, write_private
from core.settings import Settings

KEY_BYTES = 24


def key_file(data_dir: Path) -> Path:
    """Where a generated key is kept, mode 0600."""
    return data_dir / "api_key"


def load_or_create_api_key(settings: Settings) -> str:
    """The instance's key. Raises LaunchError when the kept one cannot be read."""
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    path = key_file(settings.data_dir)
    try:
        key = path.read_text().strip()
    except FileNotFoundError:
        key = secrets.token_urlsafe(KEY_BYTES)
        write_private(path, key + "\n")
    except OSError as error:
        raise LaunchError(f"cannot read the API key {path}: {error.strerror}") from None
    if not key:
        raise LaunchError(f"cannot use the API key {path}: the file is empty; remove it to get a new key")
    return key


def with_api_key(settings: Settings) -> Settings:
    """The settings with the key filled in, as every process of the service gets them."""
    return settings.model_copy(update={"api_key": SecretStr(load_or_create_api_key(settings))})
