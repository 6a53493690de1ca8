"""The pull itself: sessions, runs, images and attempts; mirrors, and recovery of the engine."""
