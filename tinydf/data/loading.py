"""A series of pairs -> batches, made by worker processes.

PyTorch would turn a worker's error into a long traceback; here the error takes the place of its batch, and
``check_each`` raises it unchanged.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset

from tinydf.data.dataset import Batch, collate
from tinydf.data.samples import Pair
from tinydf_runtime.cli.command import leave_interrupts_to_parent
from tinydf_runtime.errors import TinyDFError


def pair_loader(
    series: Dataset[Pair], batch_pairs: int, workers: int, *, order: range | None = None, pin_memory: bool = False
) -> DataLoader[Any]:
    """Returns a loader of batches, and of errors where pairs could not be made.

    Args:
        series: The pairs.
        batch_pairs: Pairs a batch; the last one may have fewer.
        workers: Processes that make them; 0 makes them in this one.
        order: Numbers of the pairs; all in their order if not given.
        pin_memory: Whether to stage batches for a GPU.
    """
    return DataLoader(
        _Caught(series),
        batch_pairs,
        sampler=order,
        collate_fn=_collate,
        num_workers=workers,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_begin_worker,
        pin_memory=pin_memory,
    )


def check_each(batches: Iterable[Batch | TinyDFError]) -> Iterator[Batch]:
    """Yields a loader's batches.

    Raises:
        TinyDFError: What a pair raised.
    """
    for batch in batches:
        if isinstance(batch, TinyDFError):
            raise batch
        yield batch


class _Caught(Dataset["Pair | TinyDFError"]):
    """A series that returns what it would raise."""

    def __init__(self, series: Dataset[Pair]) -> None:
        self._series = series

    def __len__(self) -> int:
        return len(self._series)  # type: ignore[arg-type]  # torch's Dataset leaves the length out

    def __getitem__(self, index: int) -> Pair | TinyDFError:
        try:
            return self._series[index]
        except TinyDFError as error:
            return error


def _collate(pairs: Sequence[Pair | TinyDFError]) -> Batch | TinyDFError:
    whole = [pair for pair in pairs if isinstance(pair, Pair)]
    return next((pair for pair in pairs if isinstance(pair, TinyDFError)), None) or collate(whole)


def _begin_worker(worker: int) -> None:
    del worker
    leave_interrupts_to_parent()
