"""One connection after the other: how long to wait, and when to give up. The clock is a drawn one."""

from __future__ import annotations

from itertools import islice

import pytest

from tinydf_runtime.errors import UnavailableError
from tinydf_runtime.live import reader
from tinydf_runtime.live.reader import GIVE_UP_S, LONGEST_WAIT_S, back_off, keep_connected


class Line:
    """A line whose connections deliver so many frames each, None where there is no answer. Waiting moves its clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, deliveries: list[int | None]) -> None:
        self.now_s = 100.0
        self.waits: list[float] = []
        self.tries = 0
        self._deliveries = deliveries
        line = self

        class Connection:
            def __init__(self, source: object, sample_fps: float | None) -> None:
                line.tries += 1
                count = line._deliveries.pop(0) if line._deliveries else None
                if count is None:
                    raise UnavailableError("no answer")
                self.frames_decoded = count

            def __enter__(self) -> Connection:
                return self

            def __exit__(self, *_: object) -> None:
                pass

        monkeypatch.setattr(reader, "VideoReader", Connection)
        monkeypatch.setattr("tinydf_runtime.live.reader.time.monotonic", lambda: self.now_s)

    def leave_within(self, seconds: float) -> bool:
        if seconds:
            self.waits.append(seconds)
        self.now_s += seconds
        return False


def test_waits_double_up_to_a_bound() -> None:
    waits = list(islice(back_off(), 10))
    assert waits[:3] == [0.5, 1.0, 2.0]
    assert max(waits) == LONGEST_WAIT_S == waits[-1]


def test_the_first_try_fails_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, [])
    with pytest.raises(UnavailableError):
        list(keep_connected("rtsp://x", None, GIVE_UP_S, line.leave_within))
    assert line.tries == 1 and line.waits == []


def test_a_stream_that_stays_away_is_given_up_after_the_time_said(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, [5])
    assert len(list(keep_connected("rtsp://x", None, 60.0, line.leave_within))) == 1
    assert line.now_s == pytest.approx(160.0)
    assert line.waits[:4] == [0.5, 1.0, 2.0, 4.0]


def test_what_came_back_starts_the_waiting_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, [5, None, None, 7])
    connections = keep_connected("rtsp://x", None, 60.0, line.leave_within)
    assert [connection.frames_decoded for connection in islice(connections, 2)] == [5, 7]
    assert line.waits == [0.5, 1.0, 2.0]
    assert list(connections) == []
    assert line.waits[3:5] == [0.5, 1.0]


def test_connections_without_a_picture_do_not_keep_a_stream_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, [5, *[0] * 1000])
    list(keep_connected("rtsp://x", None, 60.0, line.leave_within))
    assert line.now_s == pytest.approx(160.0)


def test_nothing_is_tried_again_where_that_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, [5, 5])
    assert len(list(keep_connected("rtsp://x", None, 0.0, line.leave_within))) == 1
    assert line.tries == 1
