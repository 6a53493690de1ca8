"""Processes, files, directories and locks of this machine."""
