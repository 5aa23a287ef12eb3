"""Which texts are public SSH keys that the machine's sshd takes."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path

import pytest
from ansible_collections.iac.ds_stack.plugins.module_utils._stack.ssh_keys import EXAMPLE, key_problem


def public_key(kind: str, *fields: bytes, comment: str = "ada@laptop") -> str:
    """A key with any content, in the form of RFC 4253."""
    blob = b"".join(len(one).to_bytes(4, "big") + one for one in (kind.encode(), *fields))
    return f"{kind} {base64.b64encode(blob).decode()} {comment}".strip()


ED25519 = public_key("ssh-ed25519", bytes(range(32)))
RSA_4096 = public_key("ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xff" * 512)
RSA_1024 = public_key("ssh-rsa", b"\x01\x00\x01", b"\x00" + b"\xff" * 128)
PRIVATE = "-----BEGIN OPENSSH {} KEY-----\nc2VjcmV0\n-----END OPENSSH {} KEY-----\n".replace("{}", "PRIVATE")


@pytest.mark.parametrize(
    "key",
    [
        ED25519,
        ED25519.rpartition(" ")[0],  # without a comment
        public_key("ssh-ed25519", bytes(32), comment="Ädä on her laptop"),
        ED25519.replace(" ", "  "),
        ED25519.replace(" ", "\t"),
        RSA_4096,
        public_key("ecdsa-sha2-nistp256", b"nistp256", b"\x04" + bytes(64)),
        public_key("ecdsa-sha2-nistp521", b"nistp521", b"\x04" + bytes(132)),
        public_key("sk-ssh-ed25519@openssh.com", bytes(32), b"ssh:"),
    ],
)
def test_public_keys(key: str) -> None:
    assert key_problem(key) is None


@pytest.mark.parametrize("options", [["-t", "ed25519"], ["-t", "rsa", "-b", "2048"], ["-t", "ecdsa"]])
def test_what_ssh_keygen_makes(tmp_path: Path, options: list[str]) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", key, *options], check=True)
    assert key_problem(key.with_suffix(".pub").read_text().rstrip()) is None
    said = key_problem(key.read_text())
    assert said
    assert said.startswith("this is a private key, which belongs on no other machine than its owner's.")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", f"this is empty. {EXAMPLE}"),
        ("  ", f"this is empty. {EXAMPLE}"),
        (PRIVATE, f"this is a private key, which belongs on no other machine than its owner's. {EXAMPLE}"),
        (PRIVATE.replace("\n", " "), "this is a private key"),
        ("-----BEGIN RSA " + "PRIVATE KEY-----", "this is a private key"),
        ("PuTTY-User-Key-File-3: ssh-ed25519", "this is a private key"),
        ("---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n", "this is a key in PuTTY's form. Convert it"),
        (ED25519 + "\n", "there is a line break in it. Write each key as an entry of its own, on one line."),
        (ED25519 + "\r\n", "there is a line break in it."),
        (ED25519 + "\n" + RSA_4096, "there is a line break in it."),
        (ED25519[:40] + "\n" + ED25519[40:], "there is a line break in it."),
        (ED25519 + "\x00", "there is a character in it that cannot be shown."),
        ("~/.ssh/id_ed25519.pub", "this is a path. Write what is in the file"),
        ("/home/ada/.ssh/id_ed25519", "this is a path."),
        ("id_ed25519.pub", "this is a path."),
        ("ada", f"it begins with no known type of key. {EXAMPLE}"),
        (public_key("ssh-ed25519", bytes(31)), "what follows ssh-ed25519 is no whole key."),
        (ED25519.split(" ")[1], "it begins with no known type of key."),
        (" " + ED25519, "there is something before the key."),
        ("ssh-ed448 AAAA", "it begins with no known type of key."),
        ("SSH-RSA AAAA", "it begins with no known type of key."),
        (public_key("ssh-dss", bytes(128)), "this is a DSA key, which OpenSSH takes no longer."),
        (f'command="id" {ED25519}', f"there is something before the key. {EXAMPLE}"),
        (f"no-pty,restrict {RSA_4096}", "there is something before the key."),
        (public_key("ssh-ed25519-cert-v01@openssh.com", bytes(32)), "this is a certificate, not a key."),
        ("ssh-ed25519", f"what follows ssh-ed25519 is no whole key. {EXAMPLE}"),
        ("ssh-ed25519 AAAA", "what follows ssh-ed25519 is no whole key."),
        (ED25519[:50], "what follows ssh-ed25519 is no whole key."),
        (ED25519.replace("ssh-ed25519 ", "ssh-rsa ", 1), "what follows ssh-rsa is no whole key."),
        ("ssh-rsa see the wiki", "what follows ssh-rsa is no whole key."),
        (RSA_1024, "this RSA key is shorter than 2048 bits. Make another with ssh-keygen -t ed25519."),
    ],
)
def test_what_is_no_public_key(text: str, said: str) -> None:
    found = key_problem(text)
    assert found
    assert found.startswith(said)
    assert "c2VjcmV0" not in found
    assert found.isprintable()
