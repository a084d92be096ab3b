"""The activemq backend of tidings."""
