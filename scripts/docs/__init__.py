"""Programs that make generated pages and pictures in docs/; tests check that the pages are current."""
