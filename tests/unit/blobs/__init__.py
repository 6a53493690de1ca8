"""Downloads, the blob store and the loopback registry; prefetching with a real engine is in tests/engine."""
