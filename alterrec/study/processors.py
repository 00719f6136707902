"""How many processors a process may use, and so how many jobs the workflow runs at once."""

import os

import psutil


def processors() -> int:
    """The number of physical processors that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(psutil.cpu_count(logical=False) or 1, allowed)
