"""Ctrl-C, so that it is neither lost nor breaks into the clean-up."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class Interrupts:
    """Turns the first SIGINT or SIGTERM in a `with` block into one KeyboardInterrupt.

    Python drops an exception that a signal raises in the callback of a weak reference, where a
    mapped object is just being freed: `watch` raises it again. Later signals are passed over, so
    that what cleans up comes to its end.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def watch(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items, and raise between them an interrupt that was dropped."""
        for item in items:
            yield item
            if self.number is not None:
                raise KeyboardInterrupt

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        if self.number is None:
            self.number = number
            raise KeyboardInterrupt
