# Copyright: (c) 2026, the iac.ds_stack developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a text is a public SSH key that sshd on the machine would take. No text is ever shown: it may be a
private key."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

KINDS = (
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
)
"""Types of keys, as sshd(8) lists them for AUTHORIZED_KEYS FILE FORMAT. ssh-dss is no longer taken by default
(release notes of OpenSSH 7.0)."""

SIZES = {"ssh-ed25519": 32, "sk-ssh-ed25519@openssh.com": 32}
"""Bytes of what follows the type in a key (RFC 8709)."""

SMALLEST_RSA = 2048
"""Bits. sshd refuses less than 1024 (RequiredRSASize in sshd_config(5)); nobody should use less than this."""

EXAMPLE = "Write the one line of the file that ends in .pub, such as 'ssh-ed25519 AAAA... ada@laptop'."


def key_problem(text: str) -> str | None:
    """Return why a text is no public key, as the rest of a sentence, or None."""
    return _text_problem(text) or _kind_problem(text) or _content_problem(text)


def _text_problem(text: str) -> str | None:
    if "PRIVATE KEY" in text or text.startswith("PuTTY-User-Key-File"):
        return f"this is a private key, which belongs on no other machine than its owner's. {EXAMPLE}"
    if "BEGIN SSH2 PUBLIC KEY" in text:
        return "this is a key in PuTTY's form. Convert it with ssh-keygen -i -f FILE and write that line."
    if not text.strip():
        return f"this is empty. {EXAMPLE}"
    if text.rstrip("\r\n") != text or len(text.splitlines()) > 1:
        return "there is a line break in it. Write each key as an entry of its own, on one line."
    return (
        None
        if text.replace("\t", " ").isprintable()
        else f"there is a character in it that cannot be shown. {EXAMPLE}"
    )


def _kind_problem(text: str) -> str | None:
    kind = re.split("[ \t]", text)[0]
    if kind in KINDS:
        return None
    if kind == "ssh-dss":
        return "this is a DSA key, which OpenSSH takes no longer. Make another with ssh-keygen -t ed25519."
    if text.startswith(("/", "~", "./", "../", "file:")) or text.endswith(".pub"):
        return (
            "this is a path. Write what is in the file, for example with "
            "\"{{ lookup('ansible.builtin.file', '/home/ada/.ssh/id_ed25519.pub') }}\"."
        )
    if re.search(rf"(^|[ ,])({'|'.join(map(re.escape, KINDS))}) [A-Za-z0-9+/]", text):
        return f"there is something before the key. {EXAMPLE}"
    if kind.endswith("-cert-v01@openssh.com"):
        return f"this is a certificate, not a key. {EXAMPLE}"
    return f"it begins with no known type of key. {EXAMPLE}"


def _content_problem(text: str) -> str | None:
    kind, *rest = text.split()
    try:
        fields = list(_fields(base64.b64decode("".join(rest[:1]), validate=True)))
    except (binascii.Error, ValueError):
        fields = []
    if len(fields) < 2 or fields[0] != kind.encode() or len(fields[1]) != SIZES.get(kind, len(fields[1])):
        return f"what follows {kind} is no whole key. {EXAMPLE}"
    if kind == "ssh-rsa" and int.from_bytes(fields[-1], "big").bit_length() < SMALLEST_RSA:
        return f"this RSA key is shorter than {SMALLEST_RSA} bits. Make another with ssh-keygen -t ed25519."
    return None


def _fields(blob: bytes) -> Iterator[bytes]:
    """The strings in a key (RFC 4253, section 6.6). Raises ValueError when it ends too early."""
    while blob:
        size = int.from_bytes(blob[:4], "big")
        field, blob = blob[4 : 4 + size], blob[4 + size :]
        if len(field) < size or size == 0:
            raise ValueError("cut off")
        yield field
