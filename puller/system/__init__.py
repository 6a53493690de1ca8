"""This machine: processes, files, directories, locks, disk space, docker's configuration."""
