"""tidings: carries domain events from your SQL database to a message broker, losing none."""

__version__ = "0.1.0"
