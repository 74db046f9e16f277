"""Calls of Schemathesis as many callers would make them, some with a token that is good."""

import itertools
import os

import schemathesis

_calls = itertools.count()
_TOKENS = {
    "/oauth/exchange": os.environ["TEST_ID_TOKEN"],
    "/oauth/introspect": os.environ["TEST_ACCESS_TOKEN"],
}


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
