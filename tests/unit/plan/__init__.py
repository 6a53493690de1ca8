"""What a pull will do, fetch and need."""
