"""The main job: a run, an image, an attempt; policies, mirrors, recovery."""
