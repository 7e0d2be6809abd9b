"""Wrong values at every place of every document that the command line reads: each must be taken, or refused in one line.

The documents are made by superbin itself, of the five-bin search of `superbin db template`: results, scans, global p-values, likelihood
scans, impacts and yields, pyhf workspaces and patch sets, tables of HEPData, mappings, points of signals and the search's own
folder. One value is replaced by another type, an extreme, a long or a deep one, or goes, or is renamed; then the commands run that read the document.

    python validation/robustness/documents.py [--changes 1500] [--seed 1] [--seconds 600]

prints what broke a rule, and writes ``DOCUMENTS.md`` beside itself. The rules are those of `fuzz.failure`, and 10 s of CPU time.
"""

import argparse
import copy
import json
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from fuzz import Outcome, call  # type: ignore[import-not-found]  # a script beside this one

from superbin.cli import main as superbin

HERE = Path(__file__).parent
LONGEST_SECONDS = 10
LONGEST_LINE = 1100

CARD = """imax 2
jmax 1
kmax *
bin a b
observation 3 8
bin a a b b
process s b s b
process 0 1 0 1
rate 1 2 0.5 9
x lnN 1.1 - 1.1 -
y lnN - 1.2/0.9 - 1.05
z gmN 4 - 0.5 - -
"""

VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 3, 1e308, -1e308, 5e-324, -0.0, 0.5, 10**300, 2**63, "", "x", "nan", "1e999", "\u202ea\u200bb", "\x1b[31mred", "a\nb", "../../x", "/dev/zero",
    "word " * 2000, "x" * 5000, "é" * 300, "{", "$\\input{/etc/passwd}$", "%s%n", [], [1], [[]], [None], list(range(5000)), ["x"] * 5000, {}, {"a": 1}, {"": {}}, "DEEP", "NAN", "HALF",
)  # fmt: skip
"""What a value becomes; the words in capitals are put in by `text_of`."""


@dataclass(frozen=True)
class Document:
    """A document and the commands that read it, in which ``{}`` is its path and ``{out}`` a place to write."""

    name: str
    file: str
    commands: tuple[str, ...]


DOCUMENTS = (
    Document("result", "out/result.json", ("plot {} -o {out}", "paper {} -o {out} --no-pdf --no-figures", "export {} --to smodels -o {out}", "export {} --to hepdata -o {out}")),
    Document("scan", "scan/scan.json", ("plot {} -o {out} --format png", "paper {} -o {out} --no-pdf --no-figures", "export {} --to hepdata -o {out}")),
    Document("global p-value", "chance.json", ("plot {} -o {out} --format png",)),
    Document("likelihood scan", "lscan.json", ("plot {} -o {out} --format png",)),
    Document("impacts", "limpacts.json", ("plot {} -o {out} --format png",)),
    Document("yields", "lyields.json", ("plot {} -o {out} --format png",)),
    Document("workspace", "pyhf/workspace.json", ("likelihood lint {}", "likelihood yields {}", "db import {} --luminosity 1 --dry-run", "likelihood limit {}")),
    Document("background of a patch set", "pyhf/background.json", ("likelihood lint {}", "likelihood yields {} --patch pyhf/patchset.json")),
    Document("patch set", "pyhf/patchset.json", ("likelihood yields pyhf/background.json --patch {}",)),
    Document("search", "mine/search.json", ("db import mine --dry-run", "db inspect mine")),
    Document("HEPData", "hepdata/submission.yaml", ("db import hepdata --luminosity 1 --dry-run", "db inspect hepdata")),
    Document("HEPData table", "hepdata/regions.yaml", ("db inspect hepdata", "db import {} --luminosity 1 --dry-run")),
    Document("mapping", "mapping.json", ("db import table.csv --luminosity 1 --dry-run --mapping {}",)),
)  # fmt: skip


def make(folder: Path) -> None:
    """All documents, by the command line."""
    database = str(folder / "db.sqlite")
    (folder / "card.txt").write_text(CARD)
    steps = [
        "db template mine -o mine",
        f"db import mine --database {database}",
        f"run example 1000 100 --search mine --database {database} -o out --no-pdf --no-figures --pyhf-toys 0",
        f"scan example --stored --search mine --database {database} -o scan --no-figures --processes 1",
        f"chance --search mine --toys 1000 --database {database} -o chance.json",
        "likelihood export card.txt --to pyhf -o pyhf",
        "export mine --to hepdata -o hepdata",
    ]
    for step in steps:
        done = call(step.split())
        if done.code:
            print(f"not made: superbin {step}\n    {done.error.strip()[-300:]}")
    for verb in ("scan", "impacts", "yields"):
        with (folder / f"l{verb}.json").open("w") as stream, redirect_stdout(stream), suppress(SystemExit):
            superbin(["likelihood", verb, "card.txt", "--json"])
    (folder / "table.csv").write_text("bin,n,b,db\n1,12,10.5,2\n2,3,4,1\n")
    columns = {"observed": "n", "background": {"all": "b"}, "error": {"all": "db"}, "name": "bin"}
    (folder / "mapping.json").write_text(json.dumps({"columns": columns, "decimal": "."}))


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with every key or position in it."""
    for key in list(node) if isinstance(node, dict) else range(len(node)):
        yield node, key
        if isinstance(node[key], dict | list):
            yield from places(node[key])


def changed(document: Any, rng: random.Random) -> tuple[Any, str]:
    """A copy with one change, and what it is."""
    document = copy.deepcopy(document)
    # Keys of one name are one kind of place: long lists would else take all changes.
    kinds: dict[str, list[tuple[Any, Any]]] = {}
    for node, key in places(document):
        kinds.setdefault(
            str(key) if isinstance(key, str) else f"[{min(key, 1)}] {len(kinds) // 8}", []
        ).append((node, key))
    node, key = rng.choice(kinds[rng.choice(sorted(kinds))])
    how = rng.random()
    if how < 0.1:
        del node[key]
        return document, f"without {key}"
    if how < 0.15 and isinstance(node, dict):
        node[rng.choice(["", "x", "\u202e", "word " * 500])] = node.pop(key)
        return document, f"{key} renamed"
    if how < 0.25 and isinstance(node, list):
        node += [node[key]] * rng.choice([1, 2, 500])
        return document, f"[{key}] again"
    node[key] = copy.deepcopy(rng.choice(VALUES))
    return document, f"{key} is {json.dumps(node[key])[:40]}"


def text_of(document: Any) -> str:
    """JSON, which YAML takes too, with what no value of Python gives."""
    text = json.dumps(document)
    return (
        text.replace('"DEEP"', "[" * 3000 + "]" * 3000).replace('"NAN"', "NaN").replace('"HALF"', '"\\ud800"')
    )


def load(path: Path) -> Any:
    """A document, or None where it was not made."""
    import yaml

    if not path.is_file():
        return None
    text = path.read_text()
    if path.suffix == ".json":
        return json.loads(text)
    found = list(yaml.safe_load_all(text))
    return found[0] if len(found) == 1 else found


def tried(number: int, seed: int, seconds: float) -> list[tuple[str, str, Outcome]]:
    """Make the changes: name of the document, the change, and what became of a command."""
    rng = random.Random(seed)
    done: list[tuple[str, str, Outcome]] = []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name, chdir(name):
        folder = Path(name)
        make(folder)
        whole = {d: load(folder / d.file) for d in DOCUMENTS}
        there = [d for d in DOCUMENTS if whole[d] is not None]
        print("documents:", ", ".join(d.name for d in there), flush=True)
        while len(done) < number and time.perf_counter() - start < seconds:
            document = rng.choice(there)
            path = folder / document.file
            before = path.read_bytes()
            content, change = changed(whole[document], rng)
            path.write_text(text_of(content))
            command = rng.choice(document.commands).format(document.file, out="written")
            cpu = time.process_time()
            outcome = call(command.split())
            fault = outcome.fault
            if not fault and time.process_time() - cpu > LONGEST_SECONDS:
                fault = f"{time.process_time() - cpu:.0f} s"
            if (
                not fault
                and max((len(line) for line in outcome.error.splitlines()), default=0) > LONGEST_LINE
            ):
                fault = "a long line"
            done.append(
                (
                    document.name,
                    change,
                    Outcome(outcome.arguments, outcome.code, outcome.error, fault, outcome.seconds),
                )
            )
            if fault:
                print(
                    f"{fault}: {document.name}, {change}: superbin {command}\n    {outcome.error.strip()[-400:]}",
                    flush=True,
                )
            path.write_bytes(before)
            shutil.rmtree("written", ignore_errors=True)
            Path("written").unlink(missing_ok=True)
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--changes", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=600.0)
    options = parser.parse_args()
    write_report(tried(options.changes, options.seed, options.seconds), options.seed)


def write_report(done: list[tuple[str, str, Outcome]], seed: int) -> None:
    rows = ""
    for name in dict.fromkeys(d.name for d in DOCUMENTS):
        of = [o for n, _, o in done if n == name]
        codes = Counter(o.code for o in of)
        rows += f"| {name} | {len(of)} | {codes[0]} | {codes[2]} | {sum(bool(o.fault) for o in of)} |\n"
    longest = max(max((len(line) for line in o.error.splitlines()), default=0) for _, _, o in done)
    (HERE / "DOCUMENTS.md").write_text(
        "# Wrong values in documents\n\n"
        f"Written by `python validation/robustness/documents.py --changes {len(done)} --seed {seed}`: one value of a document that superbin wrote is replaced, removed, renamed "
        "or repeated, and a command reads the document. It must take it, or refuse it with exit code 2 and one printable line.\n\n"
        f"| document | changes | taken | refused | rule broken |\n|---|---|---|---|---|\n{rows}\n"
        f"The longest line of an error has {longest} characters. The peak of the process's memory was {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB.\n",
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
