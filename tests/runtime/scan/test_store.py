"""Files of a store: S3 as moto's server speaks it, on this machine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tinydf_runtime.errors import UnavailableError, UnreadableInputError, UsageError
from tinydf_runtime.scan.listing import fetched, is_address, list_media, open_store

PROGRAM = """
import sys
from moto.server import ThreadedMotoServer
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print(*server.get_host_and_port(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of an S3 server on this machine."""
    for module in ("moto", "flask", "flask_cors", "s3fs"):
        pytest.importorskip(module, reason=f"{module} is not installed")
    quiet = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, "-c", PROGRAM], text=True, **quiet)  # type: ignore[call-overload]
    try:
        host, port = process.stdout.readline().split()
        yield f"http://{host}:{port}"
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def bucket(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A store, through fsspec, with an empty bucket "archive"; this process and those it starts find it."""
    import s3fs

    settings = {"ENDPOINT_URL": server, "ACCESS_KEY_ID": "nobody", "SECRET_ACCESS_KEY": "nothing"}
    for name, value in {**settings, "DEFAULT_REGION": "us-east-1", "EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    s3fs.S3FileSystem.clear_instance_cache()
    store = s3fs.S3FileSystem()
    store.mkdir("archive")
    yield store
    store.rm("archive", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()


def test_a_bucket_is_scanned_as_a_folder_is(
    bucket: Any,
    draw_archive: Callable[..., Path],
    run_command: Callable[..., subprocess.Popen[str]],
    rows_of: Callable[..., Any],
    tmp_path: Path,
) -> None:
    local = draw_archive(3)
    for number in range(3):
        bucket.put_file(str(local / f"picture{number:03d}.png"), f"archive/2026/{number}/picture.png")
    bucket.pipe_file("archive/2026/damaged.mp4", b"nothing of a video")
    bucket.pipe_file("archive/2026/notes.txt", b"no picture")
    bucket.pipe_file("archive/2026/.hidden/picture.png", b"hidden")
    ledger = tmp_path / "results.sqlite"
    with run_command("s3://archive/2026", local, "--out", ledger, "--workers", "1", "--quiet") as scan:
        _, errors = scan.communicate()
    assert (scan.returncode, errors) == (5, "")
    rows = rows_of(ledger)
    names = [f"{local}/picture{number:03d}.png" for number in range(3)]
    names += [*(f"s3://archive/2026/{number}/picture.png" for number in range(3)), "s3://archive/2026/damaged.mp4"]
    assert [row["path"] for row in rows] == names
    assert [row["verdict"] for row in rows[:3]] == [row["verdict"] for row in rows[3:6]]
    # The same content is scored once, wherever it lies.
    assert [row["sha256"] for row in rows[:3]] == [row["sha256"] for row in rows[3:6]]
    assert {row["times_scored"] for row in rows} == {1}
    assert rows[6]["message"].startswith("s3://archive/2026/damaged.mp4: ") and rows[6]["exit_code"] == 5


def test_what_is_not_there_is_named(bucket: Any) -> None:
    with pytest.raises(UnreadableInputError, match=r"s3://archive/missing\.png"), fetched("s3://archive/missing.png"):
        pass
    found = list(list_media("s3://nowhere/folder"))
    assert len(found) == 1 and found[0].message is not None


def test_a_copy_is_gone_afterwards(bucket: Any) -> None:
    bucket.pipe_file("archive/picture.png", b"content")
    with fetched("s3://archive/picture.png") as copy:
        assert copy.read_bytes() == b"content" and copy.suffix == ".png"
    assert not copy.exists()


def test_a_password_in_an_address_is_refused() -> None:
    with pytest.raises(UsageError, match="password") as caught:
        open_store("ftp://user:secret@host/folder")
    assert "secret" not in str(caught.value)


def test_an_unknown_kind_of_store_is_one_line() -> None:
    pytest.importorskip("fsspec")
    with pytest.raises((UsageError, UnavailableError), match="nothing://x"):
        open_store("nothing://x")


@pytest.mark.parametrize(("name", "address"), [("s3://bucket/folder", True), ("/folder", False), ("C:\\folder", False)])
def test_only_addresses_are_opened_as_stores(name: str, address: bool) -> None:
    assert is_address(name) is address
