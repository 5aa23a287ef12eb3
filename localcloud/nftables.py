"""Load nftables rules into a network namespace, in tables that only this process can change.

A table with the flag ``owner`` belongs to the netlink socket that made it. Root inside an instance can
neither change nor delete it, and ``flush ruleset`` (what Debian's nftables.service begins with) leaves it
alone: as with AWS, security groups are out of the machine's reach. The table goes when the socket closes.
"""

import ctypes
import threading

from localcloud.errors import LocalCloudError


class Nft:
    """One libnftables context: its socket stays in the namespace of the thread that opened it."""

    def __init__(self) -> None:
        """Open the context in the calling thread's network namespace. Raises LocalCloudError."""
        try:
            self._library = ctypes.CDLL("libnftables.so.1")
        except OSError as error:
            raise LocalCloudError(
                "libnftables.so.1 is missing: install Debian's package nftables."
            ) from error
        self._library.nft_ctx_new.restype = ctypes.c_void_p
        self._library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
        self._context = ctypes.c_void_p(self._library.nft_ctx_new(0))
        self._library.nft_ctx_buffer_error(self._context)
        self._lock = threading.Lock()
        self._loaded: dict[str, str] = {}

    def load(self, table: str, chains: str) -> None:
        """Replace a table in one transaction; nothing is done when it is already so, or after `close`.

        Args:
            table: family and name, for example ``inet ds_stack``.
            chains: chains, maps and sets in nft's own syntax.

        Raises LocalCloudError with nft's words.
        """
        with self._lock:
            if not self._context or self._loaded.get(table) == chains:
                return
            own = f"table {table} {{\n flags owner;\n"
            self._run(f"{own}}}\ndelete table {table}\n{own}{chains}\n}}\n")
            self._loaded[table] = chains

    def _run(self, commands: str) -> None:
        if self._library.nft_run_cmd_from_buffer(self._context, commands.encode()):
            words = (self._library.nft_ctx_get_error_buffer(self._context) or b"").decode().strip()
            raise LocalCloudError(f"nft refused the rules: {words}\n{commands}")

    def close(self) -> None:
        """Close the socket: the kernel removes the tables."""
        with self._lock:
            if self._context:
                self._library.nft_ctx_free(self._context)
                self._context = ctypes.c_void_p(None)
                self._loaded.clear()
