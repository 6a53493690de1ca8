"""Lock files, which pin every tag to a digest, and the comparison of a host with them."""
