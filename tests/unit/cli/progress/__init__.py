"""The progress displays."""
