"""Like `publisher`, for rabbitmq-stream, with a tracker that is always behind.

Usage: python -m tests.rabbitmq.stream_publisher SETTINGS_JSON EXCHANGE POSITION_FILE
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.rabbitmq.publisher import run
from tidings_rabbitmq.stream.producer import RabbitMQStreamProducer
from tidings_rabbitmq.stream.settings import RabbitMQStreamSettings

if __name__ == "__main__":
    settings = RabbitMQStreamSettings(**json.loads(sys.argv[1]))
    run(RabbitMQStreamProducer(settings), sys.argv[2], Path(sys.argv[3]), resume="tail")
