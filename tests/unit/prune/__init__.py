"""What may be removed, and the record of what puller pulled."""
