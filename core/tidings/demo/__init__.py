"""``tidings demo``: a git repository's commits as domain events, carried to another process."""
