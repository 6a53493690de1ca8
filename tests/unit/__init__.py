"""Tests of single packages and modules; this directory mirrors `puller/`."""
