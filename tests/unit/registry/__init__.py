"""The registry client, against real registries, a token server, and everything that can be wrong with them."""
