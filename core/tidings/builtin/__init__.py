"""What tidings brings along and needs no extra for."""
