"""What engines and registries say, and what it means."""
