"""``superbin likelihood``: the published likelihood of a search, all channels and nuisances."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    as_json,
    database_option,
    number,
    search_option,
    seed_option,
    signal_options,
)
from superbin.errors import InputError

if TYPE_CHECKING:
    from superbin.likelihood import CountingModel, Evaluation, Fitter

__all__ = ["likelihood"]

F = TypeVar("F", bound=Callable[..., Any])

_json_option: Callable[..., Any] = click.option("--json", "machine", is_flag=True, help="Print JSON.")


def _model_options(command: F) -> F:
    """Add the signal and the conventions of the model."""
    decorators: tuple[Callable[[F], F], ...] = (
        click.argument("model"),
        click.argument("parameters", nargs=-1, type=float),
        search_option,
        signal_options,
        click.option(
            "--systematics",
            type=click.Choice(["published", "global", "none"]),
            default="published",
            show_default=True,
            help="Signal systematics: bin by bin as published for another signal, only those that are the same for every "
            "signal, or none.",
        ),
        click.option(
            "--zero-count",
            type=click.Choice(["profiled", "dropped"]),
            default="profiled",
            show_default=True,
            help="Terms whose control region counted no event: profiled against that count, or left out.",
        ),
        click.option(
            "--interpolation",
            type=click.Choice(["combine", "code1", "code4"]),
            default="combine",
            show_default=True,
            help="How uncertainty factors depend on their nuisance; code1 and code4 are HistFactory's.",
        ),
        click.option("--bins", "bin_numbers", help="Merge these bins, such as 29,30,69, into one first."),
        database_option,
    )
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


@click.group()
def likelihood() -> None:
    """Fit the published likelihood of a search, all channels and nuisances.

    \b
    superbin likelihood fit T1bbbb 1750 1
    superbin likelihood limit card.txt
    superbin likelihood export T1bbbb 1750 1 -o pyhf

    \b
    In place of MODEL and its PARAMETERS there may be a CMS Combine counting datacard, or a folder of them: it is taken
    as written, with the signal it holds. What is doubtful in it is printed.
    """


@likelihood.command("lint")
@click.argument("cards", nargs=-1, required=True, type=click.Path(path_type=Path))
@_json_option
def lint(cards: tuple[Path, ...], machine: bool) -> None:
    """Report everything odd in CMS Combine datacards, given as files or folders; nothing is changed."""
    from dataclasses import asdict

    from superbin.io.datacards import CODES, read_datacards
    from superbin.io.datacards import lint as findings_in

    read = read_datacards(cards)
    findings = findings_in(read)
    counts = Counter(finding.code for finding in findings)
    if machine:
        document = {
            "cards": len(read.files),
            "channels": len(read.channels),
            "terms": len(read.terms),
            "nuisances": len(read.nuisances) + len(read.gammas) + len(read.rate_parameters),
            "counts": dict(sorted(counts.items())),
            "findings": [asdict(finding) for finding in findings],
        }
        click.echo(as_json(document))
        return
    for finding in findings:
        click.echo(f"{finding.file}:{finding.line}: {finding.code}: {finding.message}")
    click.echo(f"{len(read.files)} cards, {len(read.channels)} channels, {len(findings)} findings", err=True)
    for code, count in sorted(counts.items()):
        click.echo(f"{count:6d} {code}: {CODES[code]}", err=True)


@likelihood.command("fit", context_settings=POSITIONAL_NUMBERS)
@_model_options
@click.option("--toys", type=click.IntRange(min=0), default=0, show_default=True, help="Toys for p0.")
@seed_option
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes for toys."
)
@click.option(
    "--pulls", "n_pulls", type=click.IntRange(min=0), default=0, help="Show the largest impacts on mu."
)
@_json_option
def fit(toys: int, seed: int, workers: int, n_pulls: int, machine: bool, **chosen: Any) -> None:
    """Fit the signal strength of MODEL at its PARAMETERS, or of a card: significance and limits, observed and expected."""
    signal, fitter = _fitter(**chosen)
    from superbin.likelihood import evaluate

    result = evaluate(fitter)
    document = _head(signal, fitter.model, chosen) | result.document()
    if toys:
        document["toys"] = _toys_p0(fitter, result, toys, seed, workers)
    if n_pulls and result.free.ok:
        document["pulls"] = _pulls(fitter, result, n_pulls)
    click.echo(as_json(document) if machine else _fit_text(signal, result, document))


@likelihood.command("limit", context_settings=POSITIONAL_NUMBERS)
@_model_options
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence level.")
@click.option("--toys", type=click.IntRange(min=0), default=0, show_default=True, help="Toys per hypothesis.")
@seed_option
@click.option(
    "--workers", type=click.IntRange(min=1), default=1, show_default=True, help="Processes for toys."
)
@_json_option
def limit(level: float, toys: int, seed: int, workers: int, machine: bool, **chosen: Any) -> None:
    """Print the CLs upper limits on the signal strength of MODEL, or of a card, and on its cross section if known."""
    from superbin.likelihood.inference import fit_both, upper_limit

    signal, fitter = _fitter(**chosen)
    free, background = fit_both(fitter)
    found = upper_limit(fitter, free, background, level=level)
    sigma = signal.cross_section_pb
    document = _head(signal, fitter.model, chosen) | {
        "status": found.status,
        "level": level,
        "method": "CLs, asymptotic qtilde",
        "observed": found.observed,
        "expected": found.expected,
        "bands": {f"{n:+d}" if n else "0": value for n, value in found.bands.items()},
        "cross_section_pb": sigma,
        "observed_cross_section_pb": _times(found.observed, sigma),
        "expected_cross_section_pb": _times(found.expected, sigma),
    }
    if toys and found.observed is not None:
        from superbin.likelihood.toys import cls_from_toys

        tested = cls_from_toys(fitter, free, found.observed, toys=toys, seed=seed, workers=workers)
        document["toys"] = {
            "mu": tested.mu,
            "cls": tested.cls if tested.background.above else None,
            "cls_err": tested.cls_error if tested.background.above else None,
            "failed": tested.signal.failed + tested.background.failed,
            "toys": toys,
            "seed": seed,
        }
    click.echo(as_json(document) if machine else _limit_text(signal, document))


@likelihood.command("covariance")
@search_option
@click.option(
    "--scope",
    type=click.Choice(["control", "background", "variations"]),
    default="control",
    show_default=True,
    help="Fit of the control regions, fit of all channels without signal, or nuisance by nuisance with an upper and a "
    "lower side.",
)
@click.option("--bins", "bin_numbers", help="Only these bins, such as 29,30,69.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; by default stdout.")
@database_option
def covariance(
    search_name: str, scope: str, bin_numbers: str | None, output: Path | None, database: str | None
) -> None:
    """Write the background prediction of the bins with its covariance, as JSON."""
    from superbin.catalog import open_catalog
    from superbin.likelihood import predict, variations

    with open_catalog(database) as catalog:
        published = catalog.likelihood(search_name)
    bins = _bins(bin_numbers) or tuple(range(1, published.n_bins + 1))
    rows = [b - 1 for b in bins]
    document: dict[str, Any] = {"search": search_name, "scope": scope, "bins": bins}
    if scope == "variations":
        found = variations(published)
        up, down = found.covariances(bins)
        total = found.total(bins)
        document |= {
            "options": found.options,
            "expected": found.nominal[rows].tolist(),
            "covariance_up": up.tolist(),
            "covariance_down": down.tolist(),
            "total": {"nominal": total.nominal, "up": total.up, "down": total.down},
        }
    else:
        prediction = predict(published, "control" if scope == "control" else "background")
        if prediction.status != "converged":
            raise InputError(f"the fit of scope {scope!r} failed: {prediction.status}")
        document |= {
            "options": prediction.options,
            "expected": prediction.expected[rows].tolist(),
            "covariance": prediction.covariance[rows][:, rows].tolist(),
        }
    _write(document, output)


@likelihood.command("export", context_settings=POSITIONAL_NUMBERS)
@_model_options
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder; must not exist yet."
)
@click.option("--force", is_flag=True, help="Replace the output folder if it exists.")
def export(output: Path, force: bool, **chosen: Any) -> None:
    """Write the likelihood for pyhf: background workspace, patch set with the signal, both together, and a report."""
    import re

    from superbin._support.files import staged_directory, write_text
    from superbin.likelihood import export as documents

    signal, fitter = _fitter(**chosen)
    model = fitter.model
    report = documents.export_report(model)
    patches = documents.patch_set(
        model,
        name=re.sub(r"[^a-zA-Z0-9_]+", "_", signal.name),
        values=signal.values,
        description=f"{signal.title}; {signal.source}",
    )
    with staged_directory(output, force=force) as stage:
        for file, document in (
            ("background.json", documents.workspace(model)),
            ("patchset.json", patches),
            ("workspace.json", documents.full_workspace(model)),
            ("report.json", report),
        ):
            write_text(stage / file, as_json(document) + "\n")
    for code, found in report["interpolation"].items():
        click.echo(
            f"{code}: factors differ from {model.interpolation} by at most {found['largest_relative_deviation']:.2g} "
            f"({found['nuisance']})"
        )
    for item in report["no_native_form"]:
        click.echo(f"{item['parameter']}: no native form; {item['written_as']}")
    click.echo(f"written to {output}")


@dataclass(frozen=True, slots=True)
class _Subject:
    """What is fitted: a signal of a search, or cards as they are written."""

    title: str
    name: str
    source: str
    head: Mapping[str, Any]
    values: Mapping[str, float] = field(default_factory=dict)
    cross_section_pb: float | None = None


def _fitter(
    model: str,
    parameters: tuple[float, ...],
    search_name: str,
    source: str | None,
    grid: Path | None,
    cross_section: float | None,
    systematics: str,
    zero_count: str,
    interpolation: str,
    bin_numbers: str | None,
    database: str | None,
) -> "tuple[_Subject, Fitter]":
    from superbin.catalog import open_catalog
    from superbin.likelihood import Fitter

    bins = _bins(bin_numbers)
    if not parameters:
        if source or grid or systematics != "published" or zero_count != "profiled":
            raise InputError(
                f"{model!r} has no parameters, so it is read as a card, which is taken as written: leave out --source, "
                "--grid, --systematics and --zero-count"
            )
        subject, filled = _cards(Path(model), interpolation, cross_section)
        return subject, Fitter(filled.merged(bins) if bins else filled)
    with open_catalog(database) as catalog:
        search = catalog.search(search_name)
        published = catalog.likelihood(search)
        signal = catalog.signal(
            search, model, parameters, source=source, grid=grid, cross_section=cross_section
        )
    filled = published.model(
        signal.yields,
        systematics=systematics,  # type: ignore[arg-type]  # checked by click and again inside
        zero_count=zero_count,  # type: ignore[arg-type]
        interpolation=interpolation,  # type: ignore[arg-type]
    )
    subject = _Subject(
        title=f"{signal.label} in {signal.search}",
        name="_".join([signal.model, *(f"{v:g}" for v in signal.parameters.values())]),
        source=signal.source,
        head={"search": signal.search, "signal": signal.label, "source": signal.source},
        values=signal.parameters,
        cross_section_pb=signal.cross_section_pb,
    )
    return subject, Fitter(filled.merged(bins) if bins else filled)


def _cards(path: Path, interpolation: str, cross_section: float | None) -> "tuple[_Subject, CountingModel]":
    from superbin.io.datacards import read_datacards
    from superbin.likelihood import from_datacards

    if not path.exists():
        raise InputError(
            f"{str(path)!r} is no card or folder, and as a model it needs its parameters, such as T1bbbb 1750 1"
        )
    cards = read_datacards(path)
    published = from_datacards(cards, name=path.name)
    for note in published.notes:
        click.echo(note, err=True)
    filled = published.as_written(interpolation=interpolation)  # type: ignore[arg-type]  # checked by click
    source = f"{len(cards.files)} datacards, {path}"
    head = {"search": None, "signal": path.name, "source": source, "notes": list(published.notes)}
    subject = _Subject(str(path), path.stem or "cards", source, head, cross_section_pb=cross_section)
    return subject, filled


def _bins(text: str | None) -> tuple[int, ...]:
    """Published bin numbers from the text of an option; none without it."""
    if text is None:
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--bins {text!r} is not a list of bin numbers; write it as 29,30,69") from None


def _head(signal: _Subject, model: "CountingModel", chosen: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **signal.head,
        "bins": list(_bins(chosen["bin_numbers"])) or "all",
        "channels": len(model.channels),
        "parameters": len(model.parameters),
    }


def _toys_p0(fitter: "Fitter", result: "Evaluation", toys: int, seed: int, workers: int) -> dict[str, Any]:
    from superbin.likelihood.toys import throw

    if result.observed.q0 is None:
        return {"status": result.observed.status}
    tail = throw(
        fitter, result.background, observed=result.observed.q0, mu=0.0, toys=toys, seed=seed, workers=workers
    )
    usable = tail.toys > 0
    return {
        "p0": tail.p if usable else None,
        "p0_err": tail.p_error if usable else None,
        "toys": tail.toys,
        "failed": tail.failed,
        "seed": seed,
    }


def _pulls(fitter: "Fitter", result: "Evaluation", n: int) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from superbin.likelihood.impacts import pulls, refitted

    found = []
    for pull in pulls(fitter, result.free)[:n]:
        exact = refitted(fitter, result.free, pull)
        found.append({**asdict(pull), "impact_up": exact.up, "impact_down": exact.down})
    return found


def _fit_text(signal: _Subject, result: "Evaluation", document: Mapping[str, Any]) -> str:
    free, limit_ = result.free, result.limit
    bands = "  ".join(f"{n:+d}: {_strength(value)}" for n, value in sorted(limit_.bands.items()))
    nll = f"NLL {number(document['nll_free'], 5)}, at mu = 0 {number(document['nll_mu0'], 5)}"
    expected = f"{number(result.prefit.z)} pre-fit, {number(result.postfit.z)} post-fit"
    limits = f"{_strength(limit_.observed)} observed, {_strength(limit_.expected)} expected"
    lines = [
        f"{signal.title}: {document['channels']} channels, {document['parameters']} nuisances",
        ", ".join(f"{key} {value}" for key, value in result.options.items()),
        f"status {result.status}, {result.seconds:.1f} s",
        f"mu = {_strength(document['mu_hat'])} +- {_strength(free.mu_error)}, interval "
        + " to ".join(_strength(end) for end in document["mu_interval"]),
        ", ".join(part for part in (nll, free.branch) if part),
        f"Z0 observed {number(result.observed.z)}, expected {expected}",
        f"mu < {limits} at {limit_.level:.0%} CL (CLs, asymptotic); {bands}",
    ]
    if document["mu_undetermined"]:
        lines.append(
            "mu is not determined within its interval: a parameter without constraint scales the signal as mu does"
        )
    if "toys" in document:
        lines.append("toys: " + ", ".join(f"{key} {value}" for key, value in document["toys"].items()))
    lines += [_pull_text(pull) for pull in document.get("pulls", ())]
    return "\n".join(lines)


def _pull_text(pull: Mapping[str, Any]) -> str:
    impacts = f"{number(pull['impact_up'])} {number(pull['impact_down'])}"
    return f"  {pull['name']:<45} {pull['value']:7.3f} +- {number(pull['error'])}   impact {impacts}"


def _limit_text(signal: _Subject, document: Mapping[str, Any]) -> str:
    head = f"{signal.title}: {document['level']:.0%} CL upper limits"
    values = {"observed": document["observed"], "expected": document["expected"]}
    values |= {f"{n} sigma": value for n, value in document["bands"].items() if n != "0"}
    lines = [
        f"{head}, {document['method']}; status {document['status']}",
        "mu: " + ", ".join(f"{name} {_strength(value)}" for name, value in values.items()),
    ]
    if document["cross_section_pb"] is not None:
        observed, expected = (
            _strength(_times(document[f"{kind}_cross_section_pb"], 1e3)) for kind in ("observed", "expected")
        )
        lines.append(f"cross section in fb: observed {observed}, expected {expected}")
    if "toys" in document:
        lines.append("toys: " + ", ".join(f"{key} {value}" for key, value in document["toys"].items()))
    return "\n".join(lines)


def _strength(value: float | None) -> str:
    """A signal strength, whose size may be anything, to four significant digits; a dash where there is none."""
    return "-" if value is None else f"{value:.4g}"


def _times(value: float | None, factor: float | None) -> float | None:
    return None if value is None or factor is None else value * factor


def _write(document: Mapping[str, Any], output: Path | None) -> None:
    if output is None:
        click.echo(as_json(document))
        return
    from superbin._support.files import write_text

    write_text(output, as_json(document) + "\n")
