"""The API key is set, or generated once and kept for its owner's eyes."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.api_key import key_file, load_or_create_api_key, with_api_key
from cli.instance import LaunchError
from core.settings import Settings


def test_a_key_is_generated_once_and_kept_private(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    key = load_or_create_api_key(settings)
    assert len(key) >= 32
    assert load_or_create_api_key(settings) == key
    assert key_file(tmp_path).stat().st_mode & 0o777 == 0o600


def test_two_directories_have_different_keys(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    keys = {load_or_create_api_key(Settings(data_dir=tmp_path / name)) for name in ("a", "b")}
    assert len(keys) == 2


def test_a_key_that_is_set_wins_and_is_not_written(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, api_key=SecretStr("mine"))
    assert load_or_create_api_key(settings) == "mine"
    assert not key_file(tmp_path).exists()


def test_an_empty_key_file_is_an_error_and_not_an_open_door(tmp_path: Path) -> None:
    key_file(tmp_path).write_text("\n")
    with pytest.raises(LaunchError, match="empty"):
        load_or_create_api_key(Settings(data_dir=tmp_path))


def test_the_key_does_not_show_in_the_settings(tmp_path: Path) -> None:
    settings = with_api_key(Settings(data_dir=tmp_path))
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() not in repr(settings)
