"""The behaviours that matter, on a real engine and a real registry; run on every engine there is."""
