"""``superbin likelihood fit``, ``limit`` and ``significance``."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

from superbin._support.shown import counted
from superbin.cli.likelihood.subject import (
    PROCESSES,
    Subject,
    head,
    open_subject,
    processes_option,
    subject_options,
)
from superbin.cli.likelihood.text import doubts_text, strength, times
from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    as_json,
    json_option,
    number,
    seed_option,
)
from superbin.cli.progress import counter
from superbin.cli.renamed import RenamedOptions
from superbin.cli.tables import aligned

if TYPE_CHECKING:
    from superbin.likelihood.engine import Engine
    from superbin.likelihood.found import UpperLimit

__all__ = ["fit", "limit", "significance"]

AFFORDABLE = 10.0
"""Seconds that toys may take which are thrown unasked, where asymptotic formulae cannot be trusted."""

UNASKED = 400
"""Their number, per hypothesis."""


_p0_toys_option: Callable[..., Any] = click.option(
    "--toys",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of toys for p0.",
)


@click.command("fit", cls=RenamedOptions, renamed=PROCESSES, context_settings=POSITIONAL_NUMBERS)
@subject_options
@_p0_toys_option
@seed_option
@processes_option
@click.option(
    "--pulls",
    "n_pulls",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    help="Number of largest impacts on mu to print.",
)
@json_option
def fit(toys: int, seed: int, processes: int, n_pulls: int, machine: bool, **chosen: Any) -> None:
    """Fit the signal strength of SOURCE: interval, significance and limits, observed and expected."""
    subject, engine = open_subject(**chosen)
    from superbin.likelihood.summary import summarize

    document = head(subject, engine, chosen) | summarize(engine)
    if toys:
        document["toys"] = _toys_p0(engine, toys, seed, processes)
    if n_pulls and document["mu_hat"] is not None:
        document["pulls"] = _pulls(engine, n_pulls)
    click.echo(as_json(document) if machine else _fit_text(subject, document))


@click.command("limit", cls=RenamedOptions, renamed=PROCESSES, context_settings=POSITIONAL_NUMBERS)
@subject_options
@click.option("--level", metavar="X", type=float, default=0.95, show_default=True, help="Confidence level.")
@click.option(
    "--toys",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of toys per hypothesis and signal strength, for limits by toys.",
)
@seed_option
@processes_option
@json_option
def limit(level: float, toys: int, seed: int, processes: int, machine: bool, **chosen: Any) -> None:
    """Print the CLs upper limits on the signal strength of SOURCE, and on its cross section if known.

    Asymptotic formulas are approximate for few events. The output then also has the exact limit of the signal's bin, if the signal is in one
    bin, or CLs by toys at the limit, if they take some seconds only.
    """
    from superbin.likelihood.summary import limit_document

    subject, engine = open_subject(**chosen)
    found = engine.limit(level=level)
    sigma = subject.cross_section_pb
    numbers = limit_document(found)
    document = head(subject, engine, chosen) | {
        "status": found.status,
        **numbers,
        "limit": numbers,
        "doubts": list(found.doubts),
        "cross_section_pb": sigma,
        "observed_cross_section_pb": times(found.observed, sigma),
        "expected_cross_section_pb": times(found.expected, sigma),
    }
    if toys:
        document["toys"] = _toy_limit(engine, found, level, toys, seed, processes)
    elif any(doubt.startswith("few events") for doubt in found.doubts):
        document |= _at_few_events(engine, found, level, seed)
    click.echo(as_json(document) if machine else _limit_text(subject, document))


@click.command("significance", cls=RenamedOptions, renamed=PROCESSES, context_settings=POSITIONAL_NUMBERS)
@subject_options
@_p0_toys_option
@seed_option
@processes_option
@json_option
def significance(toys: int, seed: int, processes: int, machine: bool, **chosen: Any) -> None:
    """Print the significance of the data against mu = 0."""
    subject, engine = open_subject(**chosen)
    found = engine.significance()
    finite = found.q0 is not None and found.q0 != float("inf")
    document = head(subject, engine, chosen) | {
        "status": found.status,
        "mu_hat": found.mu,
        "q0": found.q0 if finite else None,
        "z0": found.z if finite else None,
        "p0": found.p,
        "impossible_without_signal": found.q0 == float("inf"),
        "doubts": list(found.doubts),
    }
    if toys:
        document["toys"] = _toys_p0(engine, toys, seed, processes)
    if machine:
        click.echo(as_json(document))
        return
    click.echo(f"{subject.title}: status {found.status}")
    shown = (
        "no value: the data are impossible without signal" if not finite and found.p == 0 else number(found.z)
    )
    click.echo(f"Z0 {shown}, p0 {'-' if found.p is None else f'{found.p:.3g}'}, mu = {strength(found.mu)}")
    if toys:
        click.echo("toys: " + ", ".join(f"{key} {value}" for key, value in document["toys"].items()))
    click.echo(doubts_text(document["doubts"]), nl=bool(document["doubts"]))


def _toys_p0(engine: "Engine", toys: int, seed: int, processes: int) -> dict[str, Any]:
    from superbin.likelihood.toys import background_toys

    _, tail, status = background_toys(
        engine, toys=toys, seed=seed, processes=processes, progress=counter("toys")
    )
    if tail is None:
        return {"status": status}
    usable = tail.toys > 0
    return {
        "p0": tail.p if usable else None,
        "p0_err": tail.p_error if usable else None,
        "toys": tail.toys,
        "failed": tail.failed,
        "seed": seed,
    }


def _toy_limit(
    engine: "Engine", found: "UpperLimit", level: float, toys: int, seed: int, processes: int
) -> dict[str, Any]:
    from superbin.likelihood.toy_limits import toy_limit

    band = toy_limit(engine, level=level, toys=toys, seed=seed, processes=processes, progress=counter("toys"))
    document = band.document()
    at = [
        p
        for p in document["points"]
        if found.observed is not None and abs(p["mu"] / found.observed - 1) < 1e-9
    ]
    return document | ({"mu": at[0]["mu"], "cls": at[0]["cls"], "cls_err": at[0]["cls_err"]} if at else {})


def _at_few_events(engine: "Engine", found: "UpperLimit", level: float, seed: int) -> dict[str, Any]:
    """What toys or the exact value of one bin give, where they are cheap."""
    from dataclasses import asdict

    from superbin.likelihood.one_bin import one_bin_limit
    from superbin.likelihood.toys import cls_from_toys

    exact = one_bin_limit(engine, level=level)
    if exact is not None:
        return {"one_bin": asdict(exact)}
    if found.observed is None:
        return {}
    began = time.perf_counter()
    cls_from_toys(engine, found.observed, toys=5, seed=seed)
    cost = (time.perf_counter() - began) / 5 * UNASKED
    if cost > AFFORDABLE:
        note = f"toys would take about {cost:.0f} s; ask for them with --toys {UNASKED}"
        return {"toys": {"status": note}}
    tested = cls_from_toys(engine, found.observed, toys=UNASKED, seed=seed)
    usable = tested.background.above > 0
    return {
        "toys": {
            "mu": tested.mu,
            "cls": tested.cls if usable else None,
            "cls_err": tested.cls_error if usable else None,
            "toys": UNASKED,
            "failed": tested.signal.failed + tested.background.failed,
            "seed": seed,
        }
    }


def _pulls(engine: "Engine", n: int) -> list[dict[str, Any]]:
    from dataclasses import asdict

    from superbin.likelihood.impacts import impacts

    found = impacts(engine, top=n)
    shown = [asdict(one) for one in found.parameters[:n]]
    return [
        one | {"impact": one["linear"], "impact_up": one["up"], "impact_down": one["down"]} for one in shown
    ]


def _fit_text(subject: Subject, document: Mapping[str, Any]) -> str:
    limits = document["limit"]
    bands = "  ".join(f"{n}: {strength(value)}" for n, value in limits["bands"].items())
    nll = f"NLL {number(document['nll_free'], 5)}, at mu = 0 {number(document['nll_mu0'], 5)}"
    minimum = document["fits"]["free"].get("minimum")
    z = document["z0_expected"]
    expected = f"{number(z['prefit'])} pre-fit, {number(z['postfit'])} post-fit"
    shown = f"{strength(limits['observed'])} observed, {strength(limits['expected'])} expected"
    lines = [
        f"{subject.title}: {counted(document['channels'], 'channel')}, {counted(document['parameters'], 'nuisance')}",
        ", ".join(f"{key} {value}" for key, value in document["options"].items()),
        f"status {document['status']}, {document['seconds']:.1f} s",
        f"mu = {strength(document['mu_hat'])} +- {strength(document['mu_err'])}, interval "
        + " to ".join(strength(end) for end in document["mu_interval"]),
        ", ".join(part for part in (nll, minimum) if part),
        f"Z0 observed {number(document['z0_observed'])}, expected {expected}",
        f"mu < {shown} at {limits['level']:.0%} CL (CLs, asymptotic); {bands}",
    ]
    if document["mu_undetermined"]:
        lines.append(
            "mu is not determined within its interval: a parameter without constraint scales the signal as mu does"
        )
    if "toys" in document:
        lines.append("toys: " + ", ".join(f"{key} {value}" for key, value in document["toys"].items()))
    pulls = document.get("pulls", ())
    if pulls:
        rows = [("parameter", "value", "impact, up", "down"), *map(_pull_cells, pulls)]
        lines += [f"  {line}" for line in aligned(rows)]
    lines.append(doubts_text(document.get("doubts", ())))
    return "\n".join(line for line in lines if line)


def _pull_cells(pull: Mapping[str, Any]) -> tuple[str, ...]:
    from superbin.results.rounding import plain

    value, error = pull["value"], pull["error"]
    shown = number(value) if error is None else plain(value, error)
    return (pull["name"], shown, number(pull["impact_up"]), number(pull["impact_down"]))


def _limit_text(subject: Subject, document: Mapping[str, Any]) -> str:
    from superbin.results.rounding import plain

    title = f"{subject.title}: {document['level']:.0%} CL upper limits"
    values = {"observed": document["observed"], "expected": document["expected"]}
    values |= {f"{n} sigma": value for n, value in document["bands"].items() if n != "0"}
    lines = [
        f"{title}, {document['method']}; status {document['status']}",
        "mu: " + ", ".join(f"{name} {strength(value)}" for name, value in values.items()),
    ]
    if document["cross_section_pb"] is not None:
        observed, expected = (
            strength(times(document[f"{kind}_cross_section_pb"], 1e3)) for kind in ("observed", "expected")
        )
        lines.append(f"cross section in fb: observed {observed}, expected {expected}")
    if "one_bin" in document:
        one = document["one_bin"]
        lines.append(
            f"exact limit of bin {one['bin']} alone ({plain(one['background'], one['uncertainty'])} events): "
            f"observed {strength(one['observed'])}, expected {strength(one['expected'])}"
        )
    if "toys" in document:
        shown = {k: v for k, v in document["toys"].items() if k not in {"points", "bands", "doubts"}}
        lines.append("toys: " + ", ".join(f"{key} {value}" for key, value in shown.items()))
    lines.append(doubts_text(document["doubts"]))
    return "\n".join(line for line in lines if line)
