"""Carries tidings' domain events to Redis Streams."""
