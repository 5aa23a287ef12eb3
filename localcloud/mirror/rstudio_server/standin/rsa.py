"""The key of the sign-in form: RSA, PKCS#1 v1.5."""

from __future__ import annotations

import base64
import re
import subprocess
from dataclasses import dataclass


@dataclass(frozen=True)
class Key:
    """An RSA key pair."""

    modulus: int
    exponent: int
    private_exponent: int

    @classmethod
    def generate(cls, bits: int = 2048) -> Key:
        """Make a key with openssl. It lives as long as the server, as that of the real one does."""
        made = subprocess.run(["openssl", "genrsa", str(bits)], capture_output=True, check=True).stdout
        shown = subprocess.run(
            ["openssl", "rsa", "-noout", "-text"], input=made, capture_output=True, check=True
        ).stdout.decode()
        numbers = {
            name: int(re.sub(r"[\s:]", "", digits), 16)
            for name, digits in re.findall(
                r"^(modulus|privateExponent):\n((?:[ ]+[0-9a-f:]+\n)+)", shown, re.M
            )
        }
        exponent = re.search(r"^publicExponent: (\d+)", shown, re.M)
        if exponent is None:
            raise ValueError("openssl shows no public exponent")
        return cls(numbers["modulus"], int(exponent[1]), numbers["privateExponent"])

    @property
    def public(self) -> str:
        """The public half as the sign-in page gets it: exponent and modulus in hexadecimal."""
        return f"{self.exponent:x}:{self.modulus:x}"

    def decrypt(self, encoded: str) -> str | None:
        """Decrypt base64; None for what was not made with this key."""
        length = (self.modulus.bit_length() + 7) // 8
        try:
            number = int.from_bytes(base64.b64decode(encoded, validate=True), "big")
            if number >= self.modulus:
                return None
            block = pow(number, self.private_exponent, self.modulus).to_bytes(length, "big")
            separator = block.index(0, 2)
            return block[separator + 1 :].decode() if block[:2] == b"\0\2" and separator >= 10 else None
        except ValueError:
            return None
