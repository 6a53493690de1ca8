"""Tests of `puller.fleet`."""
