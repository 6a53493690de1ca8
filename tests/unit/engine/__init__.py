"""The clients of an engine, against programs and sockets that the tests make up."""
