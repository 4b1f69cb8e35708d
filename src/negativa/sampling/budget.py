"""How many rows to give the network at once: measured from the calls themselves, never a constant."""

from __future__ import annotations

import math
from typing import Final

SIZES: Final = (8, 16, 32, 64)
TRIES: Final = 3  # calls of a size before it is judged, by the fastest of them
AGAIN: Final = 16  # calls after which a size that was not cheaper is tried once more: the machine may have been busy
CLEARLY: Final = 0.97  # a larger call must be at least this much cheaper a row to be worth its memory


class RowBudget:
    """Learns the cheapest number of rows a call from the seconds that calls of each size took.

    Real work is what is measured, so learning costs nothing: as long as there are rows for it, the next larger size is
    tried until a row stops getting cheaper. `most` is lowered when the device has no memory for more.
    """

    def __init__(self) -> None:
        self._seconds: dict[int, list[float]] = {size: [] for size in SIZES}  # seconds a row, by size of call
        self._calls = 0
        self._tried: dict[int, int] = {}  # how many calls there had been when one of this size was last among them
        self.most = SIZES[-1]

    def split(self, rows: int) -> list[int]:
        """Sizes of the calls for so many rows, as equal as can be."""
        calls = math.ceil(rows / self.rows(rows))
        return [rows // calls + (i < rows % calls) for i in range(calls)]

    def rows(self, waiting: int = SIZES[-1]) -> int:
        """The most rows for the next call of those `waiting`: the best size known, or one that is still to be tried."""
        allowed = [size for size in SIZES if size <= self.most]
        if not allowed:
            return self.most
        best = allowed[0]
        for size in allowed:
            if len(self._seconds[size]) < TRIES:
                return size
            if size != best and min(self._seconds[size]) > CLEARLY * min(self._seconds[best]):
                due = waiting > best and self._calls - self._tried[size] >= AGAIN
                return size if due else best
            best = size
        return best

    def learn(self, rows: int, seconds: float) -> None:
        """Take note that a call of `rows` rows took `seconds`."""
        self._calls += 1
        size = next((size for size in SIZES if rows <= size), SIZES[-1])
        self._tried[size] = self._calls
        known = self._seconds[size]
        known.append(seconds / rows)
        known.sort()
        del known[TRIES:]

    def shrink(self, rows: int) -> None:
        """Take note that a call of `rows` rows did not fit into memory."""
        self.most = max(1, rows // 2)


class FixedRows:
    """Every call has `size` rows, the last one what is left.

    With one row its arithmetic never depends on its neighbours; with more the same work is still always cut alike.
    """

    def __init__(self, size: int = 1) -> None:
        self._size = size

    def split(self, rows: int) -> list[int]:
        """Calls of equal size."""
        return [min(self._size, rows - i) for i in range(0, rows, self._size)]

    def learn(self, rows: int, seconds: float) -> None:
        """Nothing to learn."""

    def shrink(self, rows: int) -> None:
        """Nothing to shrink: one row is the least."""
