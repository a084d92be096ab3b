"""The rabbitmq backend of tidings."""
