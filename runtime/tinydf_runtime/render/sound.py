"""Drawn video -> the same with the sound of its source, read by PyAV in a child process or by an ffmpeg command."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from tinydf_runtime.errors import OutputError, UnavailableError, UnreadableInputError, install_line, needs
from tinydf_runtime.io.files import temporary_file
from tinydf_runtime.io.opencv import readable_name
from tinydf_runtime.sandbox.call import GoesOn, call_in_child
from tinydf_runtime.trust import strict

if TYPE_CHECKING:
    import av

    _Packet: TypeAlias = av.Packet[av.AudioStream]


_NO_SOUND = f"the drawn video has no sound. For that, install PyAV, in the clone of TinyDF: {install_line('video')}"
_AVI_NOTE = "an .avi is drawn without sound. Choose .mp4 or .mkv to keep it."
MORE_BYTES = 1 << 30
"""Bytes that a file with sound may be longer than the drawn video and its source together."""
_LONGEST_NOTE = 4096


def keep_sound(
    path: Path,
    source: Path,
    sandbox: bool = True,
    deadline_s: float | None = None,
    stop: threading.Event | None = None,
) -> str | None:
    """Adds the sound of its source to a drawn video. Where that fails, the video stays as it is.

    Args:
        path: The drawn video.
        source: File whose sound is kept.
        sandbox: Read it in a child process, see ``Analyzer``.
        deadline_s: Time of ``time.monotonic`` at which that ends.
        stop: Ends it when set.

    Returns:
        What the video lacks, None where nothing is lost.

    Raises:
        OutputError: The file cannot be written.
    """
    if path.suffix == ".avi":
        return _AVI_NOTE
    if not find_spec("av"):
        return None if _add_with_command(path, source, deadline_s) else _NO_SOUND
    with temporary_file(path, path.suffix) as complete:
        sound, pictures, out = (os.path.abspath(name) for name in (source, path, complete))  # noqa: PTH100
        try:
            if sandbox:
                most_bytes = path.stat().st_size + source.stat().st_size + MORE_BYTES
                found = call_in_child(
                    merge_sound, sound, pictures, out, most_bytes=most_bytes, deadline_s=deadline_s, stop=stop
                )
            else:
                found = merge_sound(sound, pictures, out, lambda: None)
            kept = strict.flag(found[0])
            note: str | None = strict.optional(found[1], strict.text, _LONGEST_NOTE)
            failed: int | None = strict.optional(found[2], strict.whole, 0, 1 << 31)
        except (UnreadableInputError, UnavailableError, ValueError, LookupError) as error:
            return f"the sound of {source.name} is left out: {error}."
        if failed is not None and not (sandbox and failed == errno.EFBIG):
            raise OutputError(f"{path}: could not be written ({os.strerror(failed)}). Check folder and free space.")
        if failed is not None:
            return f"the sound of {source.name} is left out: it takes more room than the file that it comes from."
        if kept:
            complete.replace(path)
    return note


def _add_with_command(path: Path, source: Path, deadline_s: float | None) -> bool:
    """Puts the sound of ``source`` into a video, and its pictures into H.264, with an ``ffmpeg`` command.

    Returns:
        Whether that was possible; if not, the file is as it was.
    """
    command = shutil.which("ffmpeg")
    if command is None:
        return False
    inputs = ["-i", f"file:{path}", "-i", f"file:{source.absolute()}", "-map", "0:v:0", "-map", "1:a?"]
    pictures = ["-c:v", "libx264", "-crf", "18", "-preset", "veryfast", "-pix_fmt", "yuv420p"]
    with temporary_file(path, path.suffix) as complete:
        for choice in (pictures, ["-c:v", "copy"]):
            for sound in ("copy", "aac"):
                arguments = [*inputs, *choice, "-c:a", sound, "-movflags", "+faststart", f"file:{complete}"]
                left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
                try:
                    done = subprocess.run(
                        [command, "-nostdin", "-v", "quiet", "-y", *arguments],
                        stdin=subprocess.DEVNULL,
                        capture_output=True,
                        check=False,
                        timeout=left_s,
                    )
                except subprocess.TimeoutExpired:
                    return False
                if done.returncode == 0:
                    complete.replace(path)
                    return True
    return False


_COPIED = {
    ".mp4": frozenset({"aac", "mp3", "ac3", "eac3", "opus", "alac", "flac"}),
    ".m4v": frozenset({"aac", "mp3", "ac3", "eac3", "alac"}),
    ".mov": frozenset({"aac", "mp3", "ac3", "eac3", "alac", "pcm_s16le", "pcm_s24le"}),
}
"""Ending -> audio codecs that players accept in such a file; Matroska takes all. Others are encoded as AAC."""


_PACKETS_A_STEP = 64


def merge_sound(source: str, drawn: str, out: str, goes_on: GoesOn) -> tuple[bool, str | None, int | None]:
    """Writes a video's pictures and another file's sound into a third file.

    Args:
        source: File whose sound is kept.
        drawn: The pictures, written by ``AvWriter``.
        out: File to write, of the same ending.
        goes_on: Called now and then.

    Returns:
        Whether there is sound that was written; what of it could not be kept, None where nothing is lost; and the error
        number where the file cannot be written.
    """
    with needs("video"):
        import av
    ending = Path(out).suffix
    note: str | None = None
    try:
        options = {"movflags": "+faststart"} if ending != ".mkv" else {}
        with av.open(drawn) as pictures, av.open(out, "w", options=options) as target:
            stream = target.add_stream_from_template(pictures.streams.video[0])
            sound = Sound(Path(source), target, ending)
            note = sound.note
            if not sound.has_tracks:
                return False, note, None
            for number, packet in enumerate(pictures.demux(pictures.streams.video[0])):
                # The last one is empty.
                if not packet.size or packet.pts is None:
                    continue
                shift = round(Fraction(sound.pictures_start_s) / packet.time_base)
                packet.pts, packet.stream = packet.pts + shift, stream
                # Matroska stores none.
                packet.dts = None if packet.dts is None else packet.dts + shift
                target.mux(sound.packets(float(packet.pts * packet.time_base)))
                target.mux(packet)
                if number % _PACKETS_A_STEP == 0:
                    goes_on()
            target.mux(sound.packets(None))
            sound.close()
    except av.FFmpegError as error:
        return False, note, error.errno
    return True, note, None


class Sound:
    """Reads the sound tracks of a file in step with pictures; only what lies between two of them is in memory.

    Attributes:
        pictures_start_s: When the file's first picture is shown, seen from where the earliest of its streams starts.
        note: What could not be kept, None where nothing is lost.
    """

    def __init__(self, source: Path, out: av.container.OutputContainer, ending: str) -> None:
        """Opens the file and adds its sound tracks to ``out``; a file that PyAV cannot open has none.

        Args:
            source: File whose sound is kept.
            out: Where the packets will go.
            ending: Ending of that file.
        """
        with needs("video"):
            import av
        self._av = av
        self.note: str | None = None
        self.pictures_start_s: float = 0.0
        self._tracks: dict[int, _Track] = {}
        self._source: av.container.InputContainer | None = None
        try:
            with readable_name(source) as name:
                self._source = av.open(f"file:{name}")
        except (av.FFmpegError, OSError):
            self.note = f"the sound of {source.name} cannot be read and is left out."
            return
        for stream in self._source.streams.audio:
            try:
                self._tracks[stream.index] = _Track(stream, out, ending)
            except (av.FFmpegError, ValueError):
                self.note = f"sound of the kind {stream.codec_context.name} cannot be kept and is left out."
        streams = [*self._source.streams.video[:1], *self._source.streams.audio]
        starts = [float((stream.start_time or 0) * (stream.time_base or 0)) for stream in streams]
        self._zero_s = min(starts, default=0.0)
        if self._source.streams.video:
            self.pictures_start_s = starts[0] - self._zero_s
        self._read = self._read_packets()
        self._waiting = next(self._read, None)

    @property
    def has_tracks(self) -> bool:
        """Whether there is sound that can be kept."""
        return bool(self._tracks)

    def packets(self, until_s: float | None) -> list[_Packet]:
        """Returns the packets up to a time, or all that are left."""
        found: list[_Packet] = []
        while self._tracks and self._waiting is not None:
            track, packet = self._waiting
            stamp = packet.pts if packet.pts is not None else packet.dts
            heard_s = float(stamp * packet.time_base) - self._zero_s if stamp is not None and packet.time_base else 0.0
            if until_s is not None and heard_s > until_s:
                return found
            found += track.take(packet, self._zero_s)
            self._waiting = next(self._read, None)
        if until_s is None:
            for track in self._tracks.values():
                found += track.flush()
        return found

    def close(self) -> None:
        """Closes the file."""
        if self._source is not None:
            self._source.close()

    def _read_packets(self) -> Iterator[tuple[_Track, _Packet]]:
        """Yields packets and their tracks to the end, or to where the file is damaged."""
        if self._source is None or not self._tracks:
            return
        streams = [stream for stream in self._source.streams.audio if stream.index in self._tracks]
        with suppress(self._av.FFmpegError):
            for packet in self._source.demux(*streams):
                # The last ones of each stream are empty.
                if packet.size:
                    yield self._tracks[packet.stream.index], cast("_Packet", packet)


class _Track:
    """One sound track: copied where the file takes its kind, else encoded."""

    def __init__(self, stream: av.AudioStream, out: av.container.OutputContainer, ending: str) -> None:
        import av

        self._copied = ending not in _COPIED or stream.codec_context.name in _COPIED[ending]
        if self._copied:
            self._stream = out.add_stream_from_template(stream)
            return
        encoder = out.add_stream("aac", rate=stream.rate)
        assert isinstance(encoder, av.AudioStream)
        # Some files do not say which channel is which; more than two are mixed down.
        encoder.layout = "mono" if stream.layout.nb_channels == 1 else "stereo"
        self._stream = encoder
        self._resampler = av.AudioResampler(format="fltp", layout=encoder.layout.name, rate=stream.rate)

    def take(self, packet: _Packet, zero_s: float) -> list[_Packet]:
        """Returns what a packet of the source becomes; times count from ``zero_s``."""
        shift = round(Fraction(zero_s) / packet.time_base) if packet.time_base else 0
        if self._copied:
            packet.pts = None if packet.pts is None else packet.pts - shift
            packet.dts = None if packet.dts is None else packet.dts - shift
            packet.stream = self._stream
            return [packet]
        found: list[_Packet] = []
        for frame in packet.decode():
            frame.pts = None if frame.pts is None else frame.pts - shift
            for even in self._resampler.resample(frame):
                found += self._stream.encode(even)
        return found

    def flush(self) -> list[_Packet]:
        """Returns what the encoder still holds."""
        return [] if self._copied else list(self._stream.encode(None))
