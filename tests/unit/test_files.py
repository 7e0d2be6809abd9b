"""Nothing is ever half-written: clauses OUT-1 to OUT-3."""

import os
from pathlib import Path

import pytest

from superbin._support.files import staged_directory, write_bytes, write_text
from superbin.errors import OutputError


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
