"""Traces and metrics of the relay for OpenTelemetry."""
