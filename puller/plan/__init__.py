"""What a pull would cost: bytes to download, disk to fill, quotas to spend, told before it begins."""
