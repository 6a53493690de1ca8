"""Tests of many hosts: real engines and real sshds, each in a network of its own."""
