"""The pages that a person sees; each says that this is a stand-in."""

from __future__ import annotations

import html
import string

_NOTICE = "Stand-in for RStudio Server. The local cloud cannot download the real one; there is no IDE here."

_FRAME = string.Template("""\
<!DOCTYPE html>
<html lang="en">
<head><meta charset="UTF-8"><title>$title</title>
<style>body{font:14px sans-serif;max-width:30em;margin:4em auto}p.notice{background:#fd6;padding:.7em}</style>
</head>
<body>
<p class="notice">$notice</p>
$body
</body>
</html>
""")

# The second form is the one that is sent, as in the real page: the password leaves the browser encrypted.
_SIGN_IN = string.Template("""\
<h1>Sign in to RStudio</h1>
$error
<form id="visible"><p><label>Username: <input id="username" autocomplete="off"></label></p>
<p><label>Password: <input id="password" type="password" autocomplete="off"></label></p>
<p><label><input id="staySignedIn" type="checkbox"> Stay signed in</label></p>
<button>Sign In</button></form>
<form action="auth-do-sign-in" name="realform" method="POST">
<input type="hidden" name="persist" id="persist" value="">
<input type="hidden" name="appUri" value="$app_uri">
<input type="hidden" name="clientPath" id="clientPath" value="">
<input type="hidden" name="v" id="package" value="">
<input type="hidden" name="rs-csrf-token" value="$token">
</form>
<script>
function encrypt(text, exponent, modulus) {
  const size = modulus.length / 2, data = new TextEncoder().encode(text);
  const noise = [...crypto.getRandomValues(new Uint8Array(size - 3 - data.length))].map(n => n % 255 + 1);
  const block = [0, 2, ...noise, 0, ...data].map(n => n.toString(16).padStart(2, "0")).join("");
  let base = BigInt("0x" + block), power = BigInt("0x" + exponent), n = BigInt("0x" + modulus), result = 1n;
  for (; power; power >>= 1n, base = base * base % n) if (power & 1n) result = result * base % n;
  const bytes = result.toString(16).padStart(2 * size, "0").match(/../g).map(h => parseInt(h, 16));
  return btoa(String.fromCharCode(...bytes));
}
document.getElementById("visible").addEventListener("submit", async event => {
  event.preventDefault();
  const of = id => document.getElementById(id);
  const [exponent, modulus] = (await (await fetch("auth-public-key")).text()).split(":");
  of("package").value = encrypt(of("username").value + "\\n" + of("password").value, exponent, modulus);
  of("persist").value = of("staySignedIn").checked ? "1" : "0";
  of("clientPath").value = window.location.pathname;
  document.realform.submit();
});
</script>
""")


def sign_in(app_uri: str, token: str, failed: bool) -> str:
    """The sign-in page."""
    error = "<p class='error'>Error: Incorrect or invalid username/password</p>" if failed else ""
    body = _SIGN_IN.substitute(app_uri=html.escape(app_uri), token=html.escape(token), error=error)
    return _FRAME.substitute(title="RStudio Sign In (stand-in)", notice=_NOTICE, body=body)


def home(user: str) -> str:
    """The page of somebody who is signed in."""
    body = f"<h1>Signed in as {html.escape(user)}</h1>"
    return _FRAME.substitute(title="RStudio Server (stand-in)", notice=_NOTICE, body=body)
