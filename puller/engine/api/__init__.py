"""The Engine API: by our own HTTP client, or by the Docker SDK."""
