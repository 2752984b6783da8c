"""Records that carry their own number, and the account of which of them arrived."""
import random
import threading

CODECS = (None, "gzip", "snappy", "lz4", "zstd")


def value(i):
    """The value of record i: its number, then up to 200 bytes, half of which compress well."""
    filler = random.Random(i)
    n = filler.randrange(100)
    return b"%07d:" % i + filler.randbytes(n) + b"x" * n


def headers(i):
    return [("n", str(i).encode()), ("empty", b""), ("n", b"again")]


def number(val):
    return int(val[:7])


def shares(total, n):
    """Cuts range(total) into n runs that follow each other."""
    cuts = [total * i // n for i in range(n + 1)]
    return [range(a, b) for a, b in zip(cuts, cuts[1:])]


class Ledger:
    """Counts deliveries. May be told of them from several threads."""

    def __init__(self, total):
        self.total = total
        self._lock = threading.Lock()
        self._seen = bytearray(total)
        self._next = {}  # partition -> the offset that is due
        self._count = 0
        self.wrong = []
        self.by = {}

    def take(self, who, partition, offset, val):
        i = number(val)
        with self._lock:
            if val != value(i):
                self.wrong.append(f"record {i} arrived changed")
            if self._seen[i]:
                self.wrong.append(f"record {i} arrived twice, the second time at {partition}@{offset} by {who}")
            if offset != self._next.get(partition, 0):
                self.wrong.append(f"{who} got {partition}@{offset}, due was {self._next.get(partition, 0)}")
            self._next[partition] = offset + 1
            self._seen[i] = 1
            self._count += 1
            self.by[who] = self.by.get(who, 0) + 1

    @property
    def count(self):
        return self._count

    @property
    def done(self):
        return self._count >= self.total or len(self.wrong) > 0

    def check(self):
        assert self.wrong == [], f"{len(self.wrong)} complaints, the first: {self.wrong[0]}"
        missing = [i for i, seen in enumerate(self._seen) if not seen]
        assert missing == [], f"{len(missing)} of {self.total} records did not arrive, the first: {missing[0]}"
