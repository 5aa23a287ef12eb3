"""What the server answers: requests in, responses out."""

from __future__ import annotations

import hmac
import secrets
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie

from . import pages
from .cookies import Signer
from .rsa import Key

CSRF = "rs-csrf-token"
USER = "user-id"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True)
class Request:
    """One HTTP request."""

    method: str
    target: str
    cookies: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    secure: bool = False  #: the browser speaks TLS, to a proxy in front

    @property
    def path(self) -> str:
        return urllib.parse.urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.target).query))

    @property
    def form(self) -> dict[str, str]:
        return dict(urllib.parse.parse_qsl(self.body, keep_blank_values=True))


@dataclass(frozen=True)
class Response:
    """One HTTP response."""

    status: int
    body: str = ""
    content_type: str = "text/plain"
    location: str | None = None
    cookie: str | None = None


@dataclass(frozen=True)
class Application:
    """The server's answers, with what they depend on."""

    options: Mapping[str, str]
    key: Key
    signer: Signer
    may_sign_in: Callable[[str, str], bool]
    is_allowed: Callable[[str], bool]  #: asked again of who is signed in, as the real one does
    begin_session: Callable[[str], None] = lambda _user: None

    def answer(self, request: Request) -> Response:
        """Answer one request."""
        routes: dict[tuple[str, str], Callable[[Request], Response]] = {
            ("GET", "/auth-sign-in"): self._sign_in_page,
            ("GET", "/auth-public-key"): lambda _request: Response(200, self.key.public),
            ("POST", "/auth-do-sign-in"): self._sign_in,
        }
        if self.options["server-health-check-enabled"] == "1":
            routes["GET", "/health-check"] = lambda _request: Response(200, "active-sessions: 0\n")
        route = routes.get((request.method, request.path))
        if route:
            return route(request)
        if request.method != "GET":
            return Response(404, "Not found")
        user = self.signer.read(request.cookies.get(USER))
        if user is None or not self.is_allowed(user):
            return Response(302, location="/auth-sign-in?appUri=" + urllib.parse.quote(request.target, ""))
        self.begin_session(user)
        return Response(200, pages.home(user), HTML)

    def _sign_in_page(self, request: Request) -> Response:
        token = request.cookies.get(CSRF) or secrets.token_hex(16)
        page = pages.sign_in(request.query.get("appUri", ""), token, "error" in request.query)
        return Response(200, page, HTML, cookie=self._cookie(CSRF, token, request))

    def _sign_in(self, request: Request) -> Response:
        form = request.form
        token = request.cookies.get(CSRF, "")
        if not token or not hmac.compare_digest(token.encode(), form.get(CSRF, "").encode()):
            return Response(400, "Missing or incorrect token.")
        user, _newline, password = (self.key.decrypt(form.get("v", "")) or "").partition("\n")
        if not user or not self.may_sign_in(user, password):
            app_uri = urllib.parse.quote(form.get("appUri") or "/", "")
            return Response(302, location=f"/auth-sign-in?error=1&appUri={app_uri}")
        # Only a path of this server: never somewhere else that a forged page names.
        path = "/" + form.get("appUri", "").lstrip("/\\")
        return Response(302, location=path, cookie=self._cookie(USER, self.signer.make(user), request))

    def _cookie(self, name: str, value: str, request: Request) -> str:
        cookie: SimpleCookie = SimpleCookie({name: value})
        cookie[name]["path"] = "/"
        cookie[name]["httponly"] = True
        cookie[name]["samesite"] = "Lax"
        if request.secure or self.options["auth-cookies-force-secure"] == "1":
            cookie[name]["secure"] = True
        return cookie[name].OutputString()
