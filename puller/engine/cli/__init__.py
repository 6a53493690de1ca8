"""The docker, podman and nerdctl commands."""
