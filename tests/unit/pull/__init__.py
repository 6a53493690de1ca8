"""The main job with a scripted engine: one image, a whole run, and what happens between images."""
