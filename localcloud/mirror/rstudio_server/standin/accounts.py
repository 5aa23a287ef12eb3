"""Who may sign in: PAM, the group, and no system accounts."""

from __future__ import annotations

import ctypes
import ctypes.util
import grp
import pwd
from collections.abc import Mapping
from typing import Any

SERVICE = b"rstudio"  # /etc/pam.d/rstudio, or Debian's /etc/pam.d/other where there is none
_PROMPT_ECHO_OFF = 1


class _Message(ctypes.Structure):
    _fields_ = (("style", ctypes.c_int), ("text", ctypes.c_char_p))


class _Response(ctypes.Structure):
    _fields_ = (("text", ctypes.c_void_p), ("code", ctypes.c_int))


_CONVERSATION = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = (("call", _CONVERSATION), ("data", ctypes.c_void_p))


def may_sign_in(user: str, password: str, options: Mapping[str, str]) -> bool:
    """Whether the account is one of those allowed, and the password is right."""
    return is_allowed(user, options) and authenticate(user, password)


def is_allowed(user: str, options: Mapping[str, str]) -> bool:
    """Whether the configuration lets this account in."""
    try:
        account = pwd.getpwnam(user)
    except (KeyError, ValueError):
        return False
    minimum = options["auth-minimum-user-id"]
    if account.pw_uid < (1000 if minimum == "auto" else int(minimum)):
        return False
    groups = [name for name in options["auth-required-user-group"].split(",") if name]
    return not groups or any(_is_member(account, name) for name in groups)


def _is_member(account: pwd.struct_passwd, group: str) -> bool:
    try:
        entry = grp.getgrnam(group)
    except KeyError:
        return False
    return account.pw_name in entry.gr_mem or account.pw_gid == entry.gr_gid


def authenticate(user: str, password: str) -> bool:
    """Ask PAM. No session is opened, as in the real server."""
    pam = ctypes.CDLL("libpam.so.0")
    libc = ctypes.CDLL("libc.so.6")
    libc.calloc.restype = libc.strdup.restype = ctypes.c_void_p

    @_CONVERSATION
    def converse(count: int, messages: Any, responses: Any, _data: Any) -> int:
        # PAM frees both, so they must come from the C library.
        array = libc.calloc(count, ctypes.sizeof(_Response))
        responses[0] = ctypes.cast(array, ctypes.POINTER(_Response))
        for index in range(count):
            if messages[index].contents.style == _PROMPT_ECHO_OFF:
                responses[0][index].text = libc.strdup(password.encode())
        return 0

    handle = ctypes.c_void_p()
    conversation = _Conversation(converse, None)
    if pam.pam_start(SERVICE, user.encode(), ctypes.byref(conversation), ctypes.byref(handle)):
        return False
    result = pam.pam_authenticate(handle, 0) or pam.pam_acct_mgmt(handle, 0)
    pam.pam_end(handle, result)
    return bool(result == 0)
