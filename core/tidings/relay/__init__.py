"""From the event store to the broker: one exchange, under one lease, in runs.

A *run* (:mod:`~tidings.relay.run`) begins by taking the exchange's lease and ends by giving it
back. The worker starts one run after the other; the notification service makes one and returns.

::

                        another relay
     ┌──────────────┐   has the lease   ┌─────────────┐
     │ standing by  │ ◀──────────────── │  beginning  │ ◀─────────────────────────┐
     └──────────────┘ ────────────────▶ └─────────────┘                           │
                        look again            │ lease taken, store checked,       │
                        each second           │ exchange open: leased_exchange.py │
                                              ▼                                   │
                     nothing new       ┌─────────────┐     poison, refused after  │
                  ┌──────────────────▶ │  carrying   │ ──┐ it was sent: reopen,   │
                  │   an event         │   run.py    │ ◀─┘ and send without it    │
     ┌──────────────┐ ◀────────────────└─────────────┘                           │
     │     idle     │                     │        │                              │
     └──────────────┘   poison, and the   │        │  broker, database or lease   │
          a hold, a     exchange stops    ▼        ▼  fails                       │
          retry asked   for it     ┌─────────────────────┐   wait: backoff.py     │
                                   │       failed        │ ───────────────────────┘
                                   │     trouble.py      │
                                   └─────────────────────┘

Whichever way a run ends, what the broker has accepted by then is tracked, and the lease is given
back or runs out.

**What may go wrong between two relays.** The lease is checked by our own clock before each batch,
and by the database with each move of the position. So a relay that was paused past its lease moves
nothing any more. It may still send what it had handed over to its producer in one call
(:mod:`~tidings.relay.batch`), if the broker has no lock of its own that stops it.

========================= =========================================================================
``leased_exchange``       lease, checked event store, open exchange: everything, or nothing
``run``                   read, send, track, retry; in order
``in_flight``             what was read and is not tracked
``tracked_position``      the one place where the position moves
``poison``                which events a broker has refused
``tally``                 how many were handed over and accepted; tells observers
``batch``                 what is handed to a producer in one call
``worker``                starts a thread for each exchange, and ends them
``exchange_worker``       such a thread: run after run, a pause after each failure
``elsewhere``             whether another relay does what this one could not
``pulse``                 how each of these threads is, for those who look from beside it
========================= =========================================================================
"""
