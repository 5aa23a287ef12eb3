"""A client of RStudio Server's sign-in form, as a browser uses it.

The form sends user and password encrypted (RSA, PKCS#1 v1.5) with the key of /auth-public-key, together
with the CSRF token of the page. The real server and the local cloud's stand-in speak the same form.
"""

from __future__ import annotations

import base64
import http.cookiejar
import secrets
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

SIGN_IN = "/auth-sign-in"


class RStudioError(Exception):
    """The server does not answer like RStudio Server, or not at all."""


class SignInRefusedError(RStudioError):
    """The server did not let the user in."""


@dataclass(frozen=True)
class Answer:
    """One answer of the server, after redirects."""

    url: str
    status: int
    body: str

    @property
    def path(self) -> str:
        return urllib.parse.urlsplit(self.url).path


@dataclass
class Form:
    """The form that carries the encrypted password: where it goes, and its hidden fields."""

    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class _FormReader(HTMLParser):
    """Finds the form named ``realform``. Newer pages keep the token in it, others in a cookie only."""

    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag == "form":
            self._inside = attributes.get("name") == "realform"
            if self._inside:
                self.form = Form(attributes.get("action") or "")
        elif tag == "input" and self._inside and self.form and attributes.get("name"):
            self.form.fields[str(attributes["name"])] = attributes.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def encrypt(text: str, public_key: str) -> str:
    """Encrypt as the sign-in page does; ``public_key`` is ``exponent:modulus`` in hexadecimal."""
    try:
        exponent, modulus = (int(number, 16) for number in public_key.strip().split(":"))
    except ValueError:
        raise RStudioError(f"/auth-public-key is no exponent:modulus: {public_key[:80]!r}") from None
    size = (modulus.bit_length() + 7) // 8
    data = text.encode()
    noise = bytes(secrets.choice(range(1, 256)) for _byte in range(size - 3 - len(data)))
    block = b"\0\2" + noise + b"\0" + data
    return base64.b64encode(
        pow(int.from_bytes(block, "big"), exponent, modulus).to_bytes(size, "big")
    ).decode()


class RStudio:
    """One browser at one RStudio Server.

    ``url``: the server's root, e.g. ``http://127.0.0.1:8787``. ``ca_file``: certificate to trust for https.
    ``check_hostname``: whether it must name the address. ``timeout``: seconds for each request.
    """

    def __init__(
        self, url: str, ca_file: Path | None = None, timeout: float = 30, *, check_hostname: bool = True
    ) -> None:
        self.url = url.rstrip("/")
        self.timeout = timeout
        self._ca_file, self._check_hostname = ca_file, check_hostname
        tls = ssl.create_default_context(cafile=ca_file)
        tls.check_hostname = check_hostname
        self.cookies = http.cookiejar.CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.cookies),
            urllib.request.HTTPSHandler(context=tls),
        )

    def another(self) -> RStudio:
        """A browser at the same server that knows nothing of this one's session."""
        return RStudio(self.url, self._ca_file, self.timeout, check_hostname=self._check_hostname)

    def get(self, path: str) -> Answer:
        """Fetch a page. Raises OSError when the server cannot be reached."""
        return self._open(urllib.request.Request(self.url + path))  # noqa: S310

    def wait_until_ready(self, timeout: float = 60) -> None:
        """Wait until the sign-in page is there. Raises RStudioError after ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                page = self.get(SIGN_IN)
                if page.status == 200:
                    return
                state = f"{page.status}"
            except OSError as error:
                state = str(error)
            if time.monotonic() > deadline:
                raise RStudioError(f"{self.url} is not ready after {timeout:.0f} s: {state}")
            time.sleep(0.5)

    def sign_in(self, user: str, password: str) -> Answer:
        """Sign in; returns the page after it.

        Raises SignInRefusedError, RStudioError when the server does not speak the form, OSError.
        """
        page = self.get(SIGN_IN)
        reader = _FormReader()
        reader.feed(page.body)
        if page.status != 200 or reader.form is None:
            raise RStudioError(f"{page.url} ({page.status}) has no sign-in form")
        fields = dict(reader.form.fields)
        fields["v"] = encrypt(f"{user}\n{password}", self.get("/auth-public-key").body)
        fields["persist"] = "0"
        fields["clientPath"] = page.path
        for cookie in self.cookies:
            if "csrf" in cookie.name:
                fields[cookie.name] = cookie.value or ""
        target = urllib.parse.urljoin(page.url, reader.form.action)
        data = urllib.parse.urlencode(fields).encode()
        headers = {"Origin": self.url, "Referer": page.url}
        after = self._open(urllib.request.Request(target, data, headers))  # noqa: S310
        if after.status != 200:
            raise RStudioError(f"{after.url} answers {after.status}: {after.body[:200]}")
        if after.path.endswith(SIGN_IN) or not self.is_signed_in():
            raise SignInRefusedError(f"{self.url} does not let {user} in")
        return after

    def is_signed_in(self) -> bool:
        """Whether the server's root shows something other than the sign-in page."""
        page = self.get("/")
        return page.status == 200 and not page.path.endswith(SIGN_IN)

    def _open(self, request: urllib.request.Request) -> Answer:
        try:
            with self._opener.open(request, timeout=self.timeout) as response:
                return Answer(response.url, response.status, response.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(
                    error.url or request.full_url, error.code, error.read().decode(errors="replace")
                )
