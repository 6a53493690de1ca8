"""What engines and registries say, and how puller classifies it."""
