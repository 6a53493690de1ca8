"""What stands around the package: the README, the wheel, the files in config/ and the programs in scripts/."""
