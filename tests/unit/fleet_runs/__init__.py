"""Runs by a broker."""
