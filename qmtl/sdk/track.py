"""What a backtest keeps of each bucket, and the frames it is shown as."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from qmtl.common.codec import decode
from qmtl.common.timeline import floor_bucket
from qmtl.models.execution import NodeRecord
from qmtl.orchestrator.execution.ledger_types import NodeCommit
from qmtl.sdk.history import bucket_index, objects
from qmtl.sdk.shape import Shape


class Row(NamedTuple):
    """A result of a backtest."""

    bucket_ns: int
    digest: str
    value: Any


class Failure(NamedTuple):
    """A bucket in which a binding has no result."""

    bucket_ns: int
    binding: str
    state: str
    error: str
    traceback: str


@dataclass(slots=True)
class Track:
    """The results of one computation in ascending buckets, one a bucket, still encoded."""

    interval_ns: int | None
    buckets_ns: list[int] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)
    failures: dict[int, NodeRecord] = field(default_factory=dict)

    def add(self, as_of_ns: int, commit: NodeCommit) -> None:
        """Take what became of the computation at a time not before the last one."""
        bucket_ns = floor_bucket(as_of_ns, self.interval_ns)
        digest, value = commit.record.digest, commit.value
        if digest is None or value is None:
            self.failures[bucket_ns] = commit.record
            return
        self.failures.pop(bucket_ns, None)
        if self.buckets_ns and self.buckets_ns[-1] == bucket_ns:
            self.digests[-1], self.values[-1] = digest, value
        else:
            self.buckets_ns.append(bucket_ns)
            self.digests.append(digest)
            self.values.append(value)

    def rows(self, start: int = 0) -> Iterator[Row]:
        """Return the results from a place on, each decoded when it is reached."""
        for place in range(len(self.values))[start:]:
            yield Row(self.buckets_ns[place], self.digests[place], decode(self.values[place]))

    def frame(self) -> pd.DataFrame:
        """Return the values by bucket: ``value``, or a column for each key of dicts."""
        values: list[Any] = [decode(value) for value in self.values]
        index = bucket_index(self.buckets_ns)
        if values and all(_is_record(value) for value in values):
            return pd.DataFrame.from_records(values, index=index)
        if all(_is_scalar(value) for value in values):
            return pd.DataFrame({"value": values}, index=index)
        return pd.DataFrame({"value": objects(values)}, index=index)

    def digest_series(self) -> pd.Series[Any]:
        """Return the digests by bucket."""
        return pd.Series(self.digests, index=bucket_index(self.buckets_ns), dtype=object)


class Tracks:
    """The tracks of every binding of a shape."""

    def __init__(self, shape: Shape) -> None:
        self._steps = [Track(step.node.interval_ns) for step in shape.steps]
        self.by_name = {name: self._steps[place] for name, place in shape.named()}

    def add(self, as_of_ns: int, commits: Iterable[NodeCommit]) -> None:
        """Take what became of each step at a time."""
        for track, commit in zip(self._steps, commits, strict=True):
            track.add(as_of_ns, commit)


def failures(tracks: Iterable[tuple[str, Track]]) -> list[Failure]:
    """Return what each binding and bucket without a result says, in the order of buckets."""
    found = [
        Failure(bucket_ns, name, str(record.state), *_told(record))
        for name, track in tracks
        for bucket_ns, record in track.failures.items()
    ]
    return sorted(found, key=lambda each: each.bucket_ns)


def failures_frame(found: Sequence[Failure]) -> pd.DataFrame:
    """Return a row for each failure, by bucket."""
    index = bucket_index([each.bucket_ns for each in found])
    return pd.DataFrame(
        [each[1:] for each in found], columns=list(Failure._fields[1:]), index=index
    )


def wide(frames: Sequence[tuple[str, pd.DataFrame]]) -> pd.DataFrame:
    """Return frames side by side: ``name`` where there is one value, else ``name.column``."""
    renamed = [
        frame.set_axis([name if c == "value" else f"{name}.{c}" for c in frame.columns], axis=1)
        for name, frame in frames
    ]
    joined = pd.concat(renamed, axis=1, sort=True) if renamed else pd.DataFrame()
    return joined.rename_axis("bucket")


def _told(record: NodeRecord) -> tuple[str, str]:
    return ("", "") if record.error is None else (record.error.message, record.error.traceback)


def _is_record(value: object) -> bool:
    return isinstance(value, dict) and bool(value) and all(isinstance(key, str) for key in value)


def _is_scalar(value: object) -> bool:
    """Whether a value fills one cell: neither a container nor an array."""
    return not isinstance(value, dict | list | tuple | set | frozenset | bytes) and not getattr(
        value, "shape", ()
    )
