"""The backends, with programs made up for the purpose; real engines are in tests/core."""
