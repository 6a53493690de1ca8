"""This machine: processes, files, directories, the run lock, docker's config.json."""
