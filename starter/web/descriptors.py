"""How many files and connections a process may have open at once."""

import resource
from contextlib import suppress

MOST = 10_240  # what macOS allows at most; more than we ever need
OURS = 64  # what a process needs beside the connections it serves: databases, Temporal, logs


def raise_limit() -> None:
    """Raise the limit of descriptors as far as the system allows. Shells often begin with 256 or 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(OSError, ValueError):  # then it stays as it is, and fewer callers are served at once
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def room_for_connections() -> int:
    """How many connections we can serve. As many descriptors again stay free for new ones while others are closed."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST if soft == resource.RLIM_INFINITY else max(8, (soft - OURS) // 2)
