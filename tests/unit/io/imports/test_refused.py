"""Invalid inputs of every form, each beside what its refusal says; ``NAME.mapping.json`` is the mapping of NAME."""

import json
from pathlib import Path

import pytest

from superbin.errors import InputError
from superbin.io.imports import Options, read

DATA = Path(__file__).parents[3] / "data" / "imports"


def corpus() -> list[tuple[str, str, list[str]]]:
    """Form, file or folder, and fragments of the message."""
    found = []
    for table in sorted(DATA.glob("*/expected.txt")):
        for line in table.read_text("utf-8").splitlines():
            if line and not line.startswith("#"):
                name, *fragments = line.split(" | ")
                found.append((table.parent.name, name, fragments))
    return found


@pytest.mark.parametrize(
    ("form", "name", "fragments"), corpus(), ids=lambda v: v if isinstance(v, str) else ""
)
def test_refused(form: str, name: str, fragments: list[str]) -> None:
    """IMP-2: one line that says where and what, with all of it."""
    said = DATA / form / f"{name}.mapping.json"
    mapping = json.loads(said.read_text("utf-8")) if said.exists() else {}
    options = Options(luminosity_fb=None if form == "superbin" else 1.0, mapping=mapping)
    with pytest.raises(InputError) as caught:
        read(DATA / form / name, options=options)
    text = str(caught.value)
    assert "\n" not in text
    assert text.isprintable()
    for fragment in fragments:
        assert fragment in text


def test_every_file_is_in_a_table() -> None:
    """No invalid input lies there unchecked."""
    listed = {(form, name) for form, name, _ in corpus()}
    there = {
        (path.parent.name, path.name)
        for path in DATA.glob("*/bad-*")
        if not path.name.endswith(("_var.j", ".mapping.json"))  # beside its table
    }
    assert there == listed
