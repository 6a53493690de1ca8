"""Python imports this at its start, with this folder on PYTHONPATH: puller then takes all processors for idle.

On busy ones it waits longer before it calls a network slow, so that a test of slow networks would depend on what runs
beside it. Unit tests say what puller makes of busy processors.
"""

# ruff: noqa: INP001 - a folder for PYTHONPATH, and no package

import time

from puller.blobs import network_monitor

network_monitor.processor_times = lambda: (0, time.monotonic_ns())
