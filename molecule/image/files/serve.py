"""Serve what lies in /srv over TLS, as a company's own server of software does."""

import functools
import ssl
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

server = ThreadingHTTPServer(
    ("100.64.113.202", 443), functools.partial(SimpleHTTPRequestHandler, directory="/srv")
)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/root/server.pem")
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
