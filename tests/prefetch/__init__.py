"""Prefetching, piece by piece; what an engine makes of it is in tests/core/test_prefetch.py."""
