"""Many hosts: forwards, waves, one session a host."""
