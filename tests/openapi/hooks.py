"""Calls of Schemathesis as many callers would make them, some with a token that is good."""

import ast
import gc
import itertools
import os
import threading

import schemathesis

_calls = itertools.count()
_TOKENS = {
    "/oauth/exchange": os.environ["TEST_ID_TOKEN"],
    "/oauth/introspect": os.environ["TEST_ACCESS_TOKEN"],
}

_parse = ast.parse
_parsing = threading.RLock()


def _parse_alone(*arguments, **options):
    """CPython 3.11 counts the depth of a tree in one place for all threads, so that a tree made
    meanwhile, by another thread or while garbage is collected, makes it raise SystemError."""
    with _parsing:
        collects = gc.isenabled()
        gc.disable()
        try:
            return _parse(*arguments, **options)
        finally:
            if collects:
                gc.enable()


ast.parse = _parse_alone


@schemathesis.hook
def before_call(context, case, kwargs):
    number = next(_calls)
    # One address in ten is the same one, which has failed too often soon.
    last = 0 if number % 10 == 0 else number
    address = f"10.{last >> 16 & 255}.{last >> 8 & 255}.{last & 255}"
    case.headers["X-Forwarded-For"] = address
    token = _TOKENS.get(case.operation.path)
    if token is not None and number % 3 != 0:
        case.headers["Authorization"] = f"Bearer {token}"
