"""The levels and their other names."""

import pytest

from core.levels import LEVEL_RANKS, LEVELS, SYSLOG_SEVERITY_LEVELS, level_named, normalise_level


@pytest.mark.parametrize("level", LEVELS)
def test_a_level_is_its_own_name_in_any_case(level: str) -> None:
    assert level_named(level) == level_named(level.upper()) == level
    assert normalise_level(f" {level.title()} ") == level


@pytest.mark.parametrize(
    ("alias", "level"),
    [
        *(
            ("warning", "warn"),
            ("err", "error"),
            ("critical", "fatal"),
            ("notice", "info"),
            ("verbose", "trace"),
        ),
        *(("panic", "fatal"), ("severe", "error"), ("fine", "debug"), ("informational", "info")),
    ],
)
def test_an_alias_means_a_level(alias: str, level: str) -> None:
    assert level_named(alias) == normalise_level(alias.upper()) == level


@pytest.mark.parametrize(
    ("number", "level"), [("0", "fatal"), ("3", "error"), ("7", "debug"), ("10", "trace"), ("50", "error")]
)
def test_a_number_that_is_sent_means_a_level_and_is_no_name(number: str, level: str) -> None:
    assert normalise_level(number) == level
    assert level_named(number) is None


@pytest.mark.parametrize("text", ["loud", "8", "70", "-1", "3.0", "info!"])
def test_anything_else_means_none(text: str) -> None:
    assert level_named(text) is None
    assert normalise_level(text) is None


def test_no_level_is_the_default_one() -> None:
    assert normalise_level("") == normalise_level("  ") == "info"


def test_severities_fall_as_their_numbers_rise() -> None:
    ranks = [LEVEL_RANKS[level] for level in SYSLOG_SEVERITY_LEVELS]
    assert ranks == sorted(ranks, reverse=True)
