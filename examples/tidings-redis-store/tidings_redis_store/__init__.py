"""Keeps domain events for tidings, and how far they were carried, in Redis."""
