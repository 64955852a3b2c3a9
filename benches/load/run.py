"""A run that ends in time, and takes what it started down with it."""

import contextlib
import signal
import sys
import time


class OutOfTime(Exception):
    """The run took longer than it may."""


@contextlib.contextmanager
def bounded(limit_s):
    """Ends what runs within it after so many seconds, and at SIGTERM, such that `finally` still happens."""

    def late(*_):
        raise OutOfTime(f"not done after {limit_s} s")

    signal.signal(signal.SIGALRM, late)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.alarm(int(limit_s))
    began = time.monotonic()
    try:
        yield
    finally:
        signal.alarm(0)
        print(f"\n{time.monotonic() - began:.0f} s", file=sys.stderr)
