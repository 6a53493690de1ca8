"""References, platforms, digests, manifests and the OCI image layout: values without I/O."""
