"""What `scripts/bench` measures: puller and its peers as whole processes, in turn, in a world of their own."""
