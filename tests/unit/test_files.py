"""Nothing is ever half-written: clauses OUT-1 to OUT-3."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from superbin._support.files import files_within, first_bytes, staged_directory, write_bytes, write_text
from superbin.errors import DocumentError, OutputError


def test_file_appears_whole(tmp_path: Path) -> None:
    """OUT-1: a written file holds its text and leaves no temporary file."""
    write_text(tmp_path / "a.txt", "é\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\n".encode()
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_file_follows_the_umask(tmp_path: Path) -> None:
    """OUT-1: new files and folders follow the user's umask."""
    old = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"")
        with staged_directory(tmp_path / "d"):
            pass
    finally:
        os.umask(old)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "d").stat().st_mode & 0o777 == 0o750


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """OUT-1: a file in a missing folder cannot be written, and the error names it."""
    with pytest.raises(OutputError, match="cannot write .*a.txt"):
        write_text(tmp_path / "missing" / "a.txt", "")


def test_directory_appears_only_when_complete(tmp_path: Path) -> None:
    """OUT-2: an output folder appears only when it is complete."""
    target = tmp_path / "deep" / "out"
    with staged_directory(target) as stage:
        (stage / "a").write_text("1")
        assert not target.exists()
    assert (target / "a").read_text() == "1"
    assert [p.name for p in target.parent.iterdir()] == ["out"]


def test_failure_leaves_the_old_content(tmp_path: Path) -> None:
    """OUT-2: a failure midway leaves the old content of the folder."""
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("kept")
    with pytest.raises(RuntimeError, match="midway"), staged_directory(target, force=True) as stage:
        (stage / "new").write_text("lost")
        raise RuntimeError("midway")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert (target / "old").read_text() == "kept"


def test_existing_directory_is_replaced_only_by_force(tmp_path: Path) -> None:
    """OUT-3: a folder with content is replaced only with force."""
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_text("")
    with pytest.raises(OutputError, match="--force"), staged_directory(target):
        pass
    with staged_directory(target, force=True) as stage:
        (stage / "new").write_text("")
    assert [p.name for p in target.iterdir()] == ["new"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_empty_directory_may_stand_there(tmp_path: Path) -> None:
    """OUT-3: an empty folder is filled without force."""
    (tmp_path / "out").mkdir()
    with staged_directory(tmp_path / "out") as stage:
        (stage / "a").write_text("")
    assert (tmp_path / "out" / "a").exists()


def test_file_in_the_way_is_refused(tmp_path: Path) -> None:
    """OUT-3: a file in the way of a folder is refused, even with force."""
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="is a file"), staged_directory(tmp_path / "out", force=True):
        pass


def test_unwritable_place_is_named(tmp_path: Path) -> None:
    """OUT-3: a folder below a file is refused, because it cannot be written."""
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write"), staged_directory(tmp_path / "file" / "out"):
        pass


def test_a_link_stays_one(tmp_path: Path) -> None:
    """OUT-1: what a link leads to is written, and the link stays."""
    (tmp_path / "there").write_text("old")
    (tmp_path / "link").symlink_to("there")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "new"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link", "there"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    """OUT-4: content goes into a pipe, which stays one; without a reader it cannot be written."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match="cannot write .*pipe"):
        write_text(pipe, "nobody reads")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_text(pipe, "content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert pipe.is_fifo()
    assert [p.name for p in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="this system has no /dev/full")
def test_a_full_device_is_an_error(tmp_path: Path) -> None:
    """OUT-4: a device is never replaced by a file, and a full one cannot be written."""
    (tmp_path / "link").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="No space left"):
        write_text(tmp_path / "link", "content")
    assert Path("/dev/full").is_char_device()


def test_names_as_long_as_the_system_takes(tmp_path: Path) -> None:
    """OUT-1: a temporary name fits where the name itself does."""
    write_text(tmp_path / ("x" * 255), "file")
    with staged_directory(tmp_path / ("y" * 255)):
        pass
    assert sorted(p.name[0] for p in tmp_path.iterdir()) == ["x", "y"]


@pytest.mark.parametrize("name", [".", "..", ""])
def test_the_working_folder_is_not_replaced(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OUT-3: the folder one is in, and one that holds it, is not replaced, with `force` either."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "kept").write_text("x")
    monkeypatch.chdir(tmp_path / "in")
    with pytest.raises(OutputError, match="working folder"), staged_directory(name, force=True):
        pass
    assert (tmp_path / "in" / "kept").read_text() == "x"


def test_files_within(tmp_path: Path) -> None:
    """OUT-5: files of any depth, nearest first; no links to folders, no pipes; never more than asked for."""
    (tmp_path / "b" / "deep").mkdir(parents=True)
    for name in ("z", "b/y", "b/deep/x", "a"):
        (tmp_path / name).touch()
    (tmp_path / "b" / "up").symlink_to("..")
    (tmp_path / "b" / "loop").symlink_to("loop")
    (tmp_path / "link").symlink_to("a")
    found = [p.relative_to(tmp_path).as_posix() for p in files_within(tmp_path)]
    assert found == ["a", "link", "z", "b/y", "b/deep/x"]
    with pytest.raises(DocumentError, match="holds more than 4 files and folders"):
        list(files_within(tmp_path, most=4))


def test_reading_waits_for_nothing(tmp_path: Path) -> None:
    """OUT-4: what has nothing to give yet cannot be read, as a pipe whose writer is silent."""
    (tmp_path / "file").write_bytes(b"content")
    assert first_bytes(tmp_path / "file", 4) == b"cont"
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)
    try:
        with pytest.raises(BlockingIOError, match="nothing can be read"):
            first_bytes(tmp_path / "pipe", 4)
    finally:
        os.close(writer)


def test_standard_output_in_a_file_is_shared(tmp_path: Path) -> None:
    """OUT-4: /dev/stdout is written to where it goes, and what is printed later follows; nothing is replaced."""
    script = (
        "from superbin._support.files import check_file, write_bytes\n"
        "check_file('/dev/stdout', replace=False)\nwrite_bytes('/dev/stdout', b'first\\n')\nprint('second')"
    )
    with (tmp_path / "out.txt").open("wb") as out:
        subprocess.run([sys.executable, "-c", script], stdout=out, check=True)
    assert (tmp_path / "out.txt").read_text() == "first\nsecond\n"
