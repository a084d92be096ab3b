"""Tests of the rabbitmq plugin, on real brokers."""
