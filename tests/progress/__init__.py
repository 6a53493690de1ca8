"""Tests of the progress displays."""
