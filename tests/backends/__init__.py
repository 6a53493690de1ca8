"""The ways to an engine, without one: programs and sockets that are made up."""
