"""What puller brought, and what of it may go."""
