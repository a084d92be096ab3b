"""One run of something, in a process of its own: what it took belongs to nobody else."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from multiprocessing.connection import Connection

LONGEST_RUN = 1800.0

_numbers = itertools.count(1)


class Sample(NamedTuple):
    """What one run took."""

    events: int
    seconds: float
    cpu_seconds: float
    """Of the measured process, all its threads; not of servers and subscribers."""
    peak_bytes: int
    """The most memory that the measured process ever held, preparations included."""

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds

    @property
    def cpu_per_event(self) -> float:
        """Seconds of CPU that one event cost."""
        return self.cpu_seconds / self.events


Job: TypeAlias = Callable[[str], AbstractContextManager[Callable[[], "int | Sample"]]]
"""Called with a name that no other run has (an exchange's, say). Prepares when its context is
entered. Gives what is to be timed, which returns how many events it has seen through, or the sample
of a :func:`foreign` process. It must be possible to pickle it."""


class Spread(NamedTuple):
    """The middle of some figures, and how far they reach."""

    middle: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Summarise ``values``."""
        values = list(values)
        return cls(median(values), min(values), max(values))

    @classmethod
    def of_half(cls, values: Iterable[float]) -> Spread:
        """Summarise many ``values``, without the quarters that lie farthest out."""
        lower, middle, upper = quantiles(values, n=4, method="inclusive")
        return cls(middle, lower, upper)


def measure(job: Job, run: str) -> Sample:
    """Run ``job`` in a new process, as ``run``; raises ``RuntimeError`` if it fails."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(job, run, theirs))
    process.start()
    theirs.close()
    try:
        answer = ours.recv() if ours.poll(LONGEST_RUN) else f"took more than {LONGEST_RUN:g} s"
    except EOFError:
        answer = "died"
    finally:
        process.join(5)
        process.kill()
        process.join()
        ours.close()
    if isinstance(answer, Sample):
        return answer
    raise RuntimeError(f"{run} {answer}")


def foreign(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> Sample:
    """Run a program that measures itself; return what it says it took.

    The last line of its output is a JSON object with the fields of :class:`Sample`.
    ``environment`` is added to ours; a password belongs there and not into ``command``. Raises
    ``RuntimeError``, with what it wrote to its standard error, if it fails.
    """
    name = Path(command[0]).name
    try:
        ended = subprocess.run(
            command,
            check=False,
            env={**os.environ, **(environment or {})},
            capture_output=True,
            text=True,
            # Sooner than measure() gives up: nobody would end it afterwards.
            timeout=LONGEST_RUN * 0.9,
        )
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"{name} took more than {error.timeout:g} s") from None
    if ended.returncode:
        raise RuntimeError(f"{name} failed:\n{ended.stderr}")
    try:
        return Sample(**json.loads(ended.stdout.splitlines()[-1]))
    except (IndexError, TypeError, ValueError):
        raise RuntimeError(f"{name} printed no sample: {ended.stdout[-1000:]!r}") from None


def in_rounds(
    jobs: Mapping[str, Job], rounds: int, after_each: Callable[[str], None] | None = None
) -> dict[str, list[Sample]]:
    """Measure every job once a round, so that what disturbs the machine disturbs them all.

    Each round begins with another one. ``after_each`` is called with each run's name.
    """
    samples: dict[str, list[Sample]] = {name: [] for name in jobs}
    names = list(jobs)
    for number in range(rounds):
        start = number % len(names)
        for name in names[start:] + names[:start]:
            run = f"run-{next(_numbers)}"
            samples[name].append(measure(jobs[name], run))
            if after_each is not None:
                after_each(run)
    return samples


def ratios(ours: Sequence[Sample], theirs: Sequence[Sample]) -> Spread:
    """Compare rates round by round."""
    return Spread.of(a.rate / b.rate for a, b in zip(ours, theirs, strict=True))


def cpu_seconds() -> float:
    """Return the CPU time that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_bytes() -> int:
    """Return the most memory that this process has held."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not ru_maxrss: on Linux a new process begins with that of the one that started it.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _run(job: Job, run: str, answer: Connection) -> None:
    try:
        with job(run) as work:
            began, cpu = time.perf_counter(), cpu_seconds()
            done = work()
            took, used = time.perf_counter() - began, cpu_seconds() - cpu
            own = done if isinstance(done, Sample) else Sample(done, took, used, peak_bytes())
        answer.send(own)
    except BaseException:  # noqa: BLE001 - told to whoever waits for us
        answer.send(f"failed:\n{traceback.format_exc()}")
