"""What a running relay says of itself: over HTTP, and to systemd.

Whoever asks is answered by threads that call no broker and no database. The exchanges' own threads
say how they are (:mod:`tidings.relay.pulse`). What only the database knows is looked up by a thread
that nobody waits for beyond a bound (:mod:`~tidings.health.bounded_look`).
"""
