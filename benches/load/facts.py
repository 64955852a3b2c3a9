"""What a client was told, and whether an answer agrees with it; and what was answered."""

import collections
import threading
import time

#: How long after a change was acknowledged an answer may still be as before.
BOUND_S = 1.0


class Fact:
    """What is so, as far as this client was told, and what was so until a moment ago."""

    #: BOUND_S, but where something is broken for longer.
    bound_s = BOUND_S

    def __init__(self, value):
        self.now, self.before = value, []
        self.open = False

    @classmethod
    def made(cls):
        """Of something that was just made, which not every node may know."""
        fact = cls(False)
        fact.becomes(True)
        fact.settled()
        return fact

    def becomes(self, value):
        """Begins a change that nobody has acknowledged yet."""
        self.before.append((self.now, float("inf")))
        self.now, self.open = value, True

    def settled(self):
        """The change was acknowledged: from now on, what was before is late."""
        at = time.monotonic()
        self.before = [(value, min(until, at)) for value, until in self.before if until > at - 60]
        self.open = False

    def undone(self):
        """The change was refused."""
        self.now = self.before.pop()[0]
        self.open = False

    def late_by(self, value, asked_at):
        """0 where the value is right, seconds where it was right until then, None where it is wrong."""
        if value == self.now:
            return 0.0
        lags = [max(0.0, asked_at - until) for old, until in self.before if old == value]
        lag = min(lags, default=None)
        return lag if lag is not None and lag <= self.bound_s else None


class Journal:
    """What all workers of a run saw."""

    def __init__(self):
        self.lock = threading.Lock()
        self.statuses = collections.Counter()
        self.times = collections.defaultdict(list)
        #: (when it was asked, what, what came instead of an answer, when)
        self.errors = []
        self.wrong, self.late = [], []

    def saw(self, what, status, at, took):
        with self.lock:
            self.statuses[what, status] += 1
            self.times[what].append(took)
            if not isinstance(status, int) or status >= 500:
                self.errors.append((at, what, status, at + took))

    def say_wrong(self, what):
        with self.lock:
            self.wrong.append(what)

    def say_late(self, what, lag):
        with self.lock:
            self.late.append((lag, what))

    @property
    def answers(self):
        return sum(self.statuses.values())

    def by_status(self):
        total = collections.Counter()
        for (_, status), count in self.statuses.items():
            total[status] += count
        return dict(sorted(total.items(), key=str))

    def rows(self):
        """What was asked, how often, how long half of the answers took at most, and 99 in 100, by status."""
        found = {}
        for (what, status), count in sorted(self.statuses.items(), key=str):
            found.setdefault(what, []).append(f"{status}: {count}")
        return [[what, ", ".join(counts), *(f"{1000 * t:.0f}" for t in self.quantiles(what))] for what, counts in found.items()]

    def quantiles(self, what):
        times = sorted(self.times[what])
        return times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))]
