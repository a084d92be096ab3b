"""The rabbitmq-stream backend of tidings."""
