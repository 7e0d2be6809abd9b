"""Archives: unpacked safely, then imported as what they hold."""

import gzip
import io
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest

from superbin.errors import DocumentError, InputError
from superbin.io.imports import Options, archives, read, recognise

TABLE = b"# luminosity: 10/fb\nbin,observed,background,error\n1,12,10.5,2.5\n2,3,4.25,1.5\n"


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def tarred(path: Path, files: dict[str, bytes], mode: str = "w:gz") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_kinds_of_archives(tmp_path: Path) -> None:
    """IMP-7: zip and tar, packed or not, with or without a folder within, and one in another."""
    inner = zipped(tmp_path / "inner.zip", {"mine.csv": TABLE}).read_bytes()
    made = [
        zipped(tmp_path / "a.zip", {"mine.csv": TABLE}),
        zipped(tmp_path / "b.zip", {"deep/er/mine.csv": TABLE, "__MACOSX/x": b"", ".DS_Store": b""}),
        tarred(tmp_path / "c.tar.gz", {"x/mine.csv": TABLE}),
        tarred(tmp_path / "d.tar", {"mine.csv": TABLE}, "w"),
        tarred(tmp_path / "e.tar.xz", {"mine.csv": TABLE}, "w:xz"),
        tarred(tmp_path / "f.tgz", {"mine.csv": TABLE}),
        zipped(tmp_path / "g.zip", {"inner.zip": inner}),
    ]
    for path in made:
        search = read(path).bundle.search
        assert (search.name, search.observed.tolist()) == ("mine", [12, 3]), path
        importer = recognise(path)
        assert importer is not None
        assert importer.name == "csv"


def test_folder_in_an_archive(tmp_path: Path) -> None:
    """IMP-7: several files at the top are a folder; it bears the archive's name."""
    path = zipped(tmp_path / "mine.zip", {"t.csv": TABLE, "covariance.csv": b"4,1\n1,9\n"})
    assert read(path).bundle.search.covariance is not None


def test_path_into_an_archive(tmp_path: Path) -> None:
    """IMP-7: of an archive with several searches one is named by its path in it."""
    path = tarred(tmp_path / "x.tar.gz", {"a/t.csv": TABLE, "b/t.csv": TABLE.replace(b"12", b"13")})
    with pytest.raises(
        InputError, match=r"the folder holds 2 searches, a \(csv\), b \(csv\); name one of them"
    ):
        read(path)
    assert read(path / "b").bundle.search.observed.tolist() == [13, 3]
    assert read(path / "b" / "t.csv").bundle.search.observed.tolist() == [13, 3]
    for inner in ("c", "../x.tar.gz", "b/../../.."):
        with pytest.raises(InputError):
            read(path / inner)


def test_errors_name_the_archive(tmp_path: Path) -> None:
    """IMP-7: and not the temporary folder, which is gone."""
    path = zipped(tmp_path / "mine.zip", {"sub/t.csv": TABLE.replace(b"10.5", b"x")})
    with pytest.raises(DocumentError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}/sub/t.csv: line 3") or str(caught.value).startswith(
        f"{path}/t.csv: line 3"
    )


@pytest.mark.parametrize(
    "name", ["../out.csv", "/tmp/out.csv", "a/../../out.csv", "c:out.csv", "a\\..\\out.csv", "b\u202e.csv"]
)
def test_nothing_is_written_outside(name: str, tmp_path: Path) -> None:
    """IMP-7: a name that leaves the folder, or hides what it is, is refused."""
    for path in (
        zipped(tmp_path / "x.zip", {name: TABLE}),
        tarred(tmp_path / "x.tar", {name: TABLE}, "w"),
    ):
        if path.suffix == ".zip" and "\\" in name:
            continue
        with pytest.raises(DocumentError, match="own folder"):
            read(path)
    assert not (tmp_path / "out.csv").exists()
    assert not (tmp_path.parent / "out.csv").exists()


def test_links_and_devices(tmp_path: Path) -> None:
    """IMP-7: only regular files are unpacked."""
    link = tmp_path / "x.zip"
    with zipfile.ZipFile(link, "w") as archive:
        info = zipfile.ZipInfo("t.csv")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/hostname")
    with pytest.raises(DocumentError, match="link or device"):
        read(link)
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        path = tmp_path / "x.tar"
        with tarfile.open(path, "w") as tar:
            member = tarfile.TarInfo("t.csv")
            member.type = kind
            member.linkname = "/etc/hostname"
            tar.addfile(member)
        with pytest.raises(DocumentError, match="link or device"):
            read(path)


@pytest.mark.parametrize("kind", ["zip", "tar.gz", "gz"])
def test_bombs(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IMP-7: what unpacks to far more than it holds is refused while it is unpacked."""
    monkeypatch.setattr(archives, "FREE", 1 << 20)
    monkeypatch.setattr("superbin._support.files.MAX_BYTES", 1 << 20)
    content = b"0" * (8 << 20)
    if kind == "gz":
        path = tmp_path / "t.csv.gz"
        path.write_bytes(gzip.compress(content))
    elif kind == "zip":
        path = zipped(tmp_path / "x.zip", {"t.csv": content})
    else:
        path = tarred(tmp_path / "x.tar.gz", {"t.csv": content})
    with pytest.raises(DocumentError, match="unpacks to more than|more than 1 MB"):
        read(path)


def test_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """IMP-7: too many files, a file twice, archives too deep, and broken ones."""
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    with pytest.raises(DocumentError, match="more than 3 files"):
        read(zipped(tmp_path / "many.zip", {f"{i}.csv": TABLE for i in range(4)}))
    path = zipped(tmp_path / "deep.zip", {"t.csv": TABLE})
    for i in range(4):
        path = zipped(tmp_path / f"deep{i}.zip", {path.name: path.read_bytes()})
    with pytest.raises(DocumentError, match="deep"):
        read(path)
    twice = tarred(tmp_path / "twice.tar", {"t.csv": TABLE, "./t.csv": TABLE}, "w")
    with pytest.raises(DocumentError, match="twice"):
        read(twice)
    for name in ("broken.zip", "broken.tar.gz", "broken.tar.xz", "broken.tar"):
        (tmp_path / name).write_bytes(b"PK\3\4 not really" * 50)
        with pytest.raises(DocumentError, match="not a complete archive"):
            read(tmp_path / name)
    with pytest.raises(InputError, match="no form of a search is recognised"):
        read(zipped(tmp_path / "other.zip", {"a.bin": b"\0", "b.bin": b"\0"}), options=Options())
