"""The search for the AWS provider, and Terraform's configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from localcloud import provider
from localcloud.errors import LocalCloudError


def mirror(folder: Path, version: str = "5.100.0") -> Path:
    binary = folder / provider.PROVIDER / version / "linux_amd64" / f"terraform-provider-aws_v{version}_x5"
    binary.parent.mkdir(parents=True)
    binary.touch()
    return folder


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without any mirror and without a network."""
    monkeypatch.setattr(provider, "SHARED", ())
    monkeypatch.setattr(provider, "registry_answers", lambda: False)
    monkeypatch.setattr(provider.candidates, "__defaults__", ((tmp_path / "opt",),))
    return tmp_path


def find(home: Path, **environment: str) -> Path | None:
    return provider.find({"XDG_DATA_DIRS": str(home / "data"), **environment}, home)


@pytest.mark.parametrize(
    "place",
    ["opt/anything", ".terraform.d/plugins", ".local/share/terraform/plugins", "data/terraform/plugins"],
)
def test_it_is_found_where_terraform_and_people_put_it(nowhere: Path, place: str) -> None:
    expected = mirror(nowhere / place)
    assert find(nowhere) == expected.resolve()


def test_a_named_folder_wins(nowhere: Path) -> None:
    mirror(nowhere / "opt/one")
    named = mirror(nowhere / "elsewhere")
    assert find(nowhere, DS_STACK_PROVIDER_MIRROR=str(named)) == named.resolve()


def test_a_named_folder_without_it_is_an_error_not_a_hint(nowhere: Path) -> None:
    mirror(nowhere / "opt/one")
    with pytest.raises(
        LocalCloudError, match=r"No AWS provider for Terraform was found in .*DS_STACK_PROVIDER_MIRROR"
    ):
        find(nowhere, DS_STACK_PROVIDER_MIRROR=str(nowhere / "empty"))


def test_packed_mirrors_count_and_empty_ones_do_not(tmp_path: Path) -> None:
    folder = tmp_path / provider.PROVIDER
    folder.mkdir(parents=True)
    assert not provider.has_provider(tmp_path)
    (folder / "terraform-provider-aws_6.1.0_linux_amd64.zip").touch()
    assert provider.has_provider(tmp_path)
    assert provider.versions(tmp_path) == ["6.1.0"]


def test_without_mirror_and_registry_the_error_says_what_to_do(nowhere: Path) -> None:
    with pytest.raises(
        LocalCloudError, match=r"No AWS provider for Terraform was found: .*terraform providers mirror"
    ):
        find(nowhere)


def test_without_mirror_terraform_fetches_it(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "registry_answers", lambda: True)
    assert find(nowhere) is None
    assert "provider_installation" not in provider.configuration(None)


def test_the_configuration_names_the_mirror_for_this_provider_only(tmp_path: Path) -> None:
    text = provider.configuration(tmp_path)
    assert f'path    = "{tmp_path}"' in text
    assert text.count('["registry.terraform.io/hashicorp/aws"]') == 2
