"""Lists of masses: the one format of ``scan --points`` and ``signal generate --points``."""

from pathlib import Path

import pytest

from superbin.errors import DocumentError, InputError
from superbin.io.masses import read_masses


@pytest.mark.parametrize(
    "content",
    [
        "1100,150\n1300.5,2e2\n",
        "1100 150\n1300.5\t200\n",
        "m_mother,m_lsp\n1100, 150\n1300.5 ,200.0\n",
        "\ufeff# a plane\n\nm_mother m_lsp\n  1100   150 # here\n1300.5,200",
        "m_mother , m_lsp # GeV\r\n1100,150\r\n1300.5 200\r\n",
        '"m_mother","m_lsp"\n"1100","150"\n"1300.5", "200"\n,\n',
        "1100,150\r1300.5,200\r",
    ],
)
def test_forms(content: str, tmp_path: Path) -> None:
    """SCAN-20: comma or blanks, with or without heading, comments, empty lines and either end of line."""
    path = tmp_path / "points"
    path.write_text(content, encoding="utf-8", newline="")
    assert read_masses(path) == ((1100.0, 150.0), (1300.5, 200.0))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("1,2\n1000;2\n", r"points:2: '1000;2' is not a list of masses"),
        ("1,2\nnan,2\n", r"points:2: 'nan,2' is not a list of masses: 'nan' is not a finite number"),
        ("# x\n\n1500 -inf\n", r"points:3: '1500 -inf' .*'-inf' is not a finite number"),
        ("1e999 1\n", r"points:1: .*'1e999' is too large"),
        ("1_000 1\n", r"points:1: .*'1_000' is not a finite number"),
        ("1000\n", r"points:1: '1000' is 1 number for 2 masses"),
        ("1000,1,5\n", r"points:1: '1000,1,5' is 3 numbers for 2 masses"),
        ("1000,,1\n", r"points:1: '1000,,1' .*'' is not a finite number"),
        ("m_lsp,m_mother\n1,1000\n", r"points:1: 'm_lsp,m_mother' is not a list of masses"),
        ("1000,1\nm_mother,m_lsp\n", r"points:2: 'm_mother,m_lsp' is not a list of masses"),
        ("1000,1\n# x\n1000.0 1\n", r"points:3: '1000.0 1' is in line 1 already; remove one"),
        ("m_mother,m_lsp\n", r"points holds no point; write m_mother,m_lsp in GeV"),
    ],
)
def test_refused(content: str, text: str, tmp_path: Path) -> None:
    """SCAN-20: file and line of what is no point, not finite, or there twice."""
    path = tmp_path / "points"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DocumentError, match=text):
        read_masses(path)


def test_names_of_the_masses(tmp_path: Path) -> None:
    """SCAN-20: the heading is that of the grid."""
    path = tmp_path / "points"
    path.write_text("m_stop,m_lsp\n800,1\n", encoding="utf-8")
    assert read_masses(path, ("m_stop", "m_lsp")) == ((800.0, 1.0),)


def test_no_file(tmp_path: Path) -> None:
    """SCAN-20: a file that is not there is named."""
    with pytest.raises(InputError, match=r"nothing: cannot be read"):
        read_masses(tmp_path / "nothing")
