"""Metrics of the relay for Prometheus."""
