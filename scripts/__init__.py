"""The programs of this repository, and the packages that they share with tests."""
