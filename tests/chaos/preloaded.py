"""What relays and subscribers import, imported once: see :mod:`tests.chaos.process`."""

# ruff: noqa: F401 - imported for the effect
import psycopg
import sqlalchemy.dialects.postgresql.psycopg
import sqlalchemy.dialects.sqlite.pysqlite

import tests.chaos.experiment
import tidings.cli.run
import tidings.sql.commit_order.postgresql
import tidings.sql.commit_order.sqlite
import tidings.sql.event_store
import tidings.sql.tracker
import tidings_activemq.producer
import tidings_rabbitmq.producer
import tidings_rabbitmq.stream.producer
import tidings_zeromq.producer
