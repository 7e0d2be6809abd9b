"""Frozen values as versioned JSON documents and back: what all of `superbin.results` shares.

A `Form` binds a type to its schema in ``schemas/``. Every document is checked against it when it is written and when it
is read; a breach names the JSON path.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from superbin._support.files import read_limited
from superbin._support.json import json_text, parse_json
from superbin.errors import DocumentError, InputError

if TYPE_CHECKING:
    import cattrs
    import jsonschema

__all__ = ["Form", "Option", "converter"]

T = TypeVar("T")

Option = str | int | float | None
"""What an option of an analysis may be."""


@dataclass(frozen=True)
class Form(Generic[T]):
    """The document form of a type.

    Attributes
    ----------
    schema : str
        Its name and version, such as ``"superbin/result/1"``.
    type : type
    verb : str
        The command that writes such documents, such as ``"superbin run"``.
    breaches : callable
        What the schema cannot say: JSON path and rule of each place where parts of a value do not belong together.
    older : mapping of str to callable
        By the name of an older schema, what makes a document of this one from a document of that, which has been checked.
    """

    schema: str
    type: type[T]
    verb: str
    breaches: Callable[[T], Iterator[tuple[str, str]]] = lambda _: iter(())
    older: Mapping[str, Callable[[dict[str, Any]], dict[str, Any]]] = field(default_factory=dict)

    def to_json(self, value: T) -> str:
        """The document, checked against its schema; ends with a newline."""
        document = converter().unstructure(value)
        self.check(document, "the result")
        self._check_parts(value, "the result")
        return json_text(document, "the result", indent=1) + "\n"

    def from_json(self, text: str, *, place: str = "the result") -> T:
        """Read a document back.

        Parameters
        ----------
        text : str
            JSON.
        place : str
            What to call it in an error text.

        Raises
        ------
        DocumentError
            If it is not JSON in the strict sense of RES-6, of another schema version, or breaks the schema; the text
            names the JSON path.
        """
        try:
            document = parse_json(text, place)
        except DocumentError as error:
            raise DocumentError(f"{error}; write it again with '{self.verb}'") from error
        found = document.get("schema") if isinstance(document, dict) else None
        if isinstance(found, str) and found in self.older:
            self.check(document, place, schema=found)
            document = self.older[found](document)
        elif found != self.schema:
            raise DocumentError(self._wrong(found, place))
        self.check(document, place)
        try:
            value = converter().structure(document, self.type)
        except Exception as error:  # cattrs has groups of any errors
            raise DocumentError(
                f"{place} is no {self.schema}: {' '.join(str(error).split())}; write it again with '{self.verb}'"
            ) from error

        self._check_parts(value, place)
        return value

    def load(self, path: str | Path) -> T:
        """Read a file.

        Raises
        ------
        InputError
            If it cannot be read.
        DocumentError
            If its content is no such document.
        """
        name = f"{self.schema.split('/')[1]}.json"
        text = document_text(Path(path), f"give a {name} that '{self.verb}' wrote")
        return self.from_json(text, place=str(path))

    def _check_parts(self, value: T, place: str) -> None:
        for path, rule in self.breaches(value):
            raise DocumentError(f"{place} breaks {self.schema} at {path}: {rule}")

    def _wrong(self, found: object, place: str) -> str:
        """Why a document of another schema is refused, and what to do."""
        read = " and ".join(repr(name) for name in (*self.older, self.schema))
        kind, ours = self.schema.rsplit("/", 1)
        theirs = found.removeprefix(f"{kind}/") if isinstance(found, str) else ""
        newer = theirs.isdecimal() and int(theirs) > int(ours)
        cure = "upgrade superbin" if newer else f"write it again with '{self.verb}'"
        return f"{place} has schema {found!r}; this superbin reads {read}; {cure}"

    def check(self, document: Any, place: str, *, schema: str | None = None) -> None:
        """Check plain values against the schema, or an older one.

        Raises
        ------
        DocumentError
            If they break it.
        """
        schema = schema or self.schema
        errors = sorted(_validator(schema).iter_errors(document), key=lambda e: e.json_path)
        if errors:
            raise DocumentError(f"{place} breaks {schema} at {errors[0].json_path}: {errors[0].message}")


def document_text(path: Path, cure: str) -> str:
    """The text of a document's file; what to do if it cannot be read ends the error."""
    try:
        return read_limited(path).decode("utf-8-sig")
    except DocumentError:
        raise
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}; {cure}") from error
    except UnicodeDecodeError as error:
        raise DocumentError(f"cannot read {path}: {error}; {cure}") from error


@functools.cache
def converter() -> "cattrs.Converter":
    """Between results and JSON's types; an option stays what it is."""
    import cattrs

    made = cattrs.Converter()
    made.register_structure_hook(Option, lambda value, _: value)
    return made


@functools.cache
def _validator(schema: str) -> "jsonschema.Draft202012Validator":
    import jsonschema
    from referencing import Registry, Resource

    folder = resources.files("superbin").joinpath("schemas")
    texts = [path.read_text(encoding="utf-8") for path in folder.iterdir() if path.name.endswith(".json")]
    # A schema may refer to another's definitions.
    known = {document["$id"]: document for document in (parse_json(text, "a schema") for text in texts)}
    resolved = Registry().with_resources(
        (name, Resource.from_contents(document)) for name, document in known.items()
    )
    return jsonschema.Draft202012Validator(known[schema], registry=resolved)
