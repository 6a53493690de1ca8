"""Lock files: every tag with its digest, and whether a host has exactly that."""
