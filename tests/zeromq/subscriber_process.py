"""A subscriber that may die at any moment: its effect, a line in a file, holds the last id.

Arguments: address, exchange, name, file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from tidings_zeromq import Subscriber


def main() -> None:
    address, exchange, name, file = sys.argv[1:]
    lines = Path(file).read_text().splitlines() if Path(file).exists() else []
    last_id = int(lines[-1]) if lines else 0
    effects = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with Subscriber(
        connect=address, exchange_name=exchange, name=name, last_id=last_id
    ) as subscriber:
        for message in subscriber:
            os.write(effects, f"{message.message_id}\n".encode())
            subscriber.acknowledge(message)


if __name__ == "__main__":
    main()
