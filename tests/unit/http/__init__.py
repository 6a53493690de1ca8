"""The HTTP client against real servers on loopback."""
