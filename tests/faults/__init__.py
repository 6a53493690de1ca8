"""The fault matrix: every failure that a registry, a network, a host or an engine can cause, on real engines."""
