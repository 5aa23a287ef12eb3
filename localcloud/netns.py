"""Do something inside another process's network namespace."""

import ctypes
import os
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000


def inside(pid: int, action: Callable[[], T]) -> T:
    """Run ``action`` in a thread that has joined the network namespace of ``pid``.

    Sockets that it opens stay in that namespace. Raises OSError when the process is gone, and whatever
    ``action`` raises.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def body() -> None:
        try:
            descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
            try:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(descriptor, _CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, f"setns: {os.strerror(number)}")
            finally:
                os.close(descriptor)
            results.append(action())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=body, name=f"netns-{pid}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
