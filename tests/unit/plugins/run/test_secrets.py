"""Secrets that are known by their values."""

from __future__ import annotations

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._run import secrets


def test_secrets_are_all_leaves_that_are_long_enough_and_their_lines() -> None:
    found = secrets.secrets_in(
        [{"a": "short", "b": ["long enough", 12345678, True, None]}, "first line\nx\nlast line"]
    )
    assert found == {"long enough", "12345678", "first line\nx\nlast line", "first line", "last line"}


def test_the_scrubber_replaces_the_longest_first() -> None:
    scrubber = secrets.Scrubber(["secret", "secret-and-more"])
    assert scrubber.text("a secret-and-more, a secret") == "a (sensitive), a (sensitive)"
    scrubber.add(["another"])
    assert scrubber.text("another") == "(sensitive)"
    assert scrubber.secrets[0] == "secret-and-more"


@pytest.mark.fault(21)
@pytest.mark.parametrize(
    ("shown", "masked"),
    [
        ("a?b/c'd\\\\e", "(sensitive)"),  # in JSON
        ("never\\'\"seen", "(sensitive)"),  # as Python shows what has both quotes
        ("a%3Fb%2Fc%27d%5Ce", "(sensitive)"),  # in a URL
        ("YT9iL2MnZFxl", "(sensitive)"),  # in base64
        ("eDphP2IvYydkXGU=", "eDph(sensitive)XGU="),  # in that of a text, at each of three places
        ("eHg6YT9iL2MnZFxl", "eHg6(sensitive)"),
        ("eHh4OmE/Yi9jJ2RcZQ==", "eHh4OmE/(sensitive)ZQ=="),
        ("eHh4OmE_Yi9jJ2RcZQ", "eHh4OmE_(sensitive)ZQ"),
        ("a?b/c", "a?b/c"),
    ],
)
def test_a_secret_is_found_however_it_is_written(shown: str, masked: str) -> None:
    assert secrets.Scrubber(["a?b/c'd\\e", "never'\"seen"]).text(shown) == masked


def test_keys_are_masked_where_they_are_those_of_others() -> None:
    scrubber = secrets.Scrubber(["before", "secret"])
    nested = {"secret": [{"secret": {"secret-x": "no secret"}}]}
    clean = {"(sensitive)": [{"(sensitive)": {"(sensitive)-x": "no (sensitive)"}}]}
    assert scrubber.value({"before": nested, "secret": 1}) == {"before": clean, "secret": 1}
    assert scrubber.value(nested, keys=True) == clean


def test_credentials_are_known_by_their_names() -> None:
    options = {
        "backend": {"secret_key": "k", "bucket": "b"},
        "list": [{"api_token": "t"}],
        "Password": {"x": "p"},
    }
    assert list(secrets.credentials_in(options)) == ["k", "t", {"x": "p"}]
