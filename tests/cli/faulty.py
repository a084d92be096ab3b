"""The command line, with a fault in the threads of the exchanges that `DYING` names."""

from __future__ import annotations

import os

from tidings.cli.main import main
from tidings.relay import worker

dying = os.environ["DYING"].split()
whole = worker._ExchangeWorker._work_and_try_again


def work_or_die(exchange: worker._ExchangeWorker) -> None:
    if exchange.name in dying:
        raise KeyError("a fault of ours")
    whole(exchange)


worker._ExchangeWorker._work_and_try_again = work_or_die  # type: ignore[assignment, method-assign]  # what this program is for
main()
