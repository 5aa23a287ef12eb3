"""Secrets that are written in another way than they were given, and values that are to be seen."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.terraform_stacks import Stack, files, isolated_stack

CONFIG = """
variable "password" {
  type      = string
  sensitive = true
}
locals {
  seen = nonsensitive(var.password)
}
resource "terraform_data" "x" {
  input = {
    plain = local.seen
    once  = jsonencode({ password = local.seen })
    twice = jsonencode([jsonencode({ password = local.seen })])
    list  = [local.seen]
    text  = "before ${local.seen} after"
    key   = { (local.seen) = { (local.seen) = 1 } }
    url   = "https://ada:${urlencode(local.seen)}@host"
    b64   = base64encode(local.seen)
    basic = base64encode("ada:${local.seen}")
    data  = base64encode("password=${local.seen}")
  }
  provisioner "local-exec" {
    command     = "printf '%s\\n' \\"$PLAIN\\" \\"$ONCE\\" \\"$TWICE\\"; exit ${FAILS}"
    environment = {
      PLAIN = self.input.plain
      ONCE  = self.input.once
      TWICE = self.input.twice
    }
  }
}
resource "terraform_data" "list" {
  input = [local.seen, jsonencode(local.seen)]
}
output "texts" {
  value = terraform_data.x.input
}
output "hidden" {
  value     = "user:${var.password}@host"
  sensitive = true
}
"""

SECRETS = {
    "quote": 'correct"horse"battery',
    "backslash": "correct\\horse\\battery",
    "html": "correct<horse>&battery",
    "line feed": "correct horse\nbattery staple\n",
    "tab and quote": 'correct\t"horse"\\t',
    "unicode": "пароль-лошадь-🐴",
    "separator": "correct\u2028horse\u0085battery",
    "control": "correct\x0bhorse\x0cbattery\x07.",
}


def pieces(secret: str) -> set[str]:
    """What must not be seen of it, however it is escaped; of base64 but for its ends."""
    words = {"correct", "horse", "battery", "пароль", "лошадь", "staple"}
    encoded = [base64.b64encode(before + secret.encode()) for before in (b"", b"ada:", b"password=")]
    return {
        *(word for word in words if word in secret),
        *(json.dumps(word)[1:-1] for word in words),
        *(text[12:-4].decode() for text in encoded),
    }


@pytest.fixture
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    return isolated_stack(tmp_path, monkeypatch)


@pytest.mark.fault(21)
@pytest.mark.parametrize("kind", SECRETS)
def test_no_form_of_a_secret_is_seen(stack: Stack, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = SECRETS[kind]
    shown = []
    for fails in (True, False):
        monkeypatch.setenv("IAC_DS_STACK_PROGRESS", "return")
        stack.write(CONFIG.replace("${FAILS}", "1" if fails else "0"))
        shown.append(stack.run(diff=True, sensitive_variables={"password": secret}))
    assert [result.get("failed", False) for result in shown] == [True, False]
    assert shown[0]["changed"] is True, "the list was made"
    seen = json.dumps(shown, ensure_ascii=False) + json.dumps(shown)
    seen += "".join(path.read_text() for path in files(stack.work_dir / ".terraform_stack"))
    assert "(local-exec)" in str(shown[0]["progress"])
    assert [piece for piece in pieces(secret) if piece in seen] == []


@pytest.mark.fault(21)
def test_a_revealed_output_is_returned_exactly(stack: Stack) -> None:
    stack.write(
        """
variable "password" {
  sensitive = true
}
resource "terraform_data" "x" {
  input = nonsensitive(var.password)
}
output "url" {
  value     = "postgres://ada:${var.password}@host/db"
  sensitive = true
}
output "settings" {
  value     = { text = jsonencode({ password = var.password }), list = [var.password, 1234567, null] }
  sensitive = true
}
output "hidden" {
  value     = var.password
  sensitive = true
}
output "open" {
  value = "open ${nonsensitive(var.password)}"
}
"""
    )
    secret = 'correct "horse" battery'
    reveal = ["url", "settings"]
    options: dict[str, Any] = {"sensitive_variables": {"password": secret}, "reveal_outputs": reveal}
    for more in ({"check": True}, {}, {}):  # before, by, and after the apply
        result = stack.apply(diff=True, **options, **more)
        outputs = result.pop("outputs")
        assert outputs == {
            "url": f"postgres://ada:{secret}@host/db",
            "settings": {
                "text": json.dumps({"password": secret}, separators=(",", ":")),
                "list": [secret, 1234567, None],
            },
            "hidden": "(sensitive)",
            "open": "open (sensitive)",
        }
        assert "horse" not in json.dumps(result)
    assert stack.apply(sensitive_variables={"password": secret})["outputs"]["url"] == "(sensitive)"


@pytest.mark.fault(21)
def test_a_number_that_is_a_secret(stack: Stack) -> None:
    stack.write(
        """
variable "pin" {
  type      = number
  sensitive = true
}
output "pin" {
  value = nonsensitive(var.pin)
}
output "text" {
  value = "pin ${nonsensitive(var.pin)}"
}
"""
    )
    result = stack.apply(sensitive_variables={"pin": 12345678}, diff=True)
    assert result["outputs"] == {"pin": "(sensitive)", "text": "pin (sensitive)"}
    assert "12345678" not in json.dumps(result)
