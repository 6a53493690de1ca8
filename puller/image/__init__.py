"""Values without I/O: references, platforms, digests, manifests, the OCI image layout."""
