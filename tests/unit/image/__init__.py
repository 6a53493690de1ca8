"""References, platforms, manifests and indexes."""
