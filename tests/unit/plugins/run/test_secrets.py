"""Secrets that are known by their values."""

from __future__ import annotations

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


def test_credentials_are_known_by_their_names() -> None:
    options = {
        "backend": {"secret_key": "k", "bucket": "b"},
        "list": [{"api_token": "t"}],
        "Password": {"x": "p"},
    }
    assert list(secrets.credentials_in(options)) == ["k", "t", {"x": "p"}]
