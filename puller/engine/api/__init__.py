"""The Engine API, through docker-py and over its socket."""
