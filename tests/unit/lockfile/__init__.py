"""The lock file, and hosts compared with it."""
