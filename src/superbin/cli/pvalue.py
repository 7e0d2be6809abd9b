"""``superbin pvalue``: every named p-value of one count."""

import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    OutputFile,
    as_json,
    figure_option,
    force_option,
    json_option,
    number,
    pyhf_option,
    pyhf_toys_option,
    seed_option,
    uncertainty_option,
)

if TYPE_CHECKING:
    from superbin.cli.panel import Estimate, Panel, Value
    from superbin.stats.models import ModelName
    from superbin.workspace import Document

METHODS = {
    "midp": "exact mid-p, P(N > n) + P(N = n)/2: background averaged over its prior",
    "tail": "exact tail, P(N >= n): the same",
    "p0": "profile likelihood q0, exact: the LHC's p0",
    "asymptotic": "profile likelihood q0, asymptotic",
    "asimov": "q0 of the Asimov data set",
    "toys": "mid-p by pseudo-experiments",
    "weighted": "mid-p by importance-sampled toys",
    "q0_toys": "p0 by toys of count and auxiliary measurement",
    "pyhf": "pyhf's asymptotic q0 on the exported workspace",
    "pyhf_toys": "p0 by pyhf's toys",
}
"""What each named method is, in the order of the table."""

COMPARED = ("midp", "tail", "asymptotic", "pyhf")
"""Those of one number that take part in the verdict; p0 has another ensemble, and is what toys of it are compared with."""

NOT_ASKED = "not asked; add --pyhf"

QUANTILES = ("-2", "-1", "median", "+1", "+2")


@click.command(context_settings=POSITIONAL_NUMBERS)
@click.argument("n", type=float)
@click.argument("background", type=float)
@click.argument("up", type=float)
@click.argument("down", type=float)
@click.option("--observed", is_flag=True, help="N is data: a whole number of events.")
@click.option(
    "--toys",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Number of pseudo-experiments to check the exact numbers with.",
)
@pyhf_option
@pyhf_toys_option
@uncertainty_option
@seed_option
@json_option
@click.option("--workspace", "export", type=OutputFile(), help="File for the pyhf workspace (.json).")
@force_option
@figure_option("the figure of the distribution of N")
def pvalue(
    n: float,
    background: float,
    up: float,
    down: float,
    observed: bool,
    toys: int,
    ask_pyhf: bool,
    pyhf_toys: int,
    models: "tuple[ModelName, ...]",
    seed: int,
    machine: bool,
    export: Path | None,
    figure: Path | None,
) -> None:
    """Print every named p-value of N events over BACKGROUND +UP -DOWN.

    N is an expectation, signal plus background, and may be any number >= 0; with --observed it is data. The
    background mean follows the split log-normal: its logarithm is normal, with a width of its own on each side. Other
    uncertainty models are shown below for comparison.

    \b
    superbin pvalue 40 25 5 5
    superbin pvalue 12 4.2 1.5 1.1 --observed --pyhf --json
    """
    from superbin.cli.panel import exact, panel
    from superbin.errors import InputError
    from superbin.stats.models import MODELS

    values, seconds, missing = exact(n, background, up, down, observed=observed)
    if observed and n != int(n):
        raise InputError(
            f"the observed count is {n:g}; data are whole numbers, drop --observed for an expectation"
        )
    if figure is not None:
        _draw(figure, n, (background, up, down), observed=observed)
    if export is not None:
        _export(export, n, (background, up, down))
    check = _pyhf(n, (background, up, down), pyhf_toys, seed) if ask_pyhf or pyhf_toys else None
    if check is not None:
        missing |= check.missing
        seconds |= check.seconds
        if check.value is not None:
            values["pyhf"] = check.value
    known = {name: values[name].z for name in COMPARED if name in values}
    found = panel(
        known,
        n,
        background,
        up,
        down,
        observed=observed,
        toys=toys,
        seed=seed,
        models=models or tuple(MODELS),
    )
    estimates = dict(found.estimates)
    if check is not None and check.toys is not None:
        estimates["pyhf_toys"] = check.toys
    seconds |= {name: one.seconds for name, one in estimates.items() if one.seconds is not None}
    told = Told(
        n=n,
        background=(background, up, down),
        observed=observed,
        values=values,
        seconds=seconds,
        missing=missing,
        panel=found,
        estimates=estimates,
        deviation=None if check is None else check.deviation,
        asked=check is not None,
    )
    click.echo(as_json(_document(told)) if machine else _table(told))


@dataclass(frozen=True, slots=True)
class Check:
    """What pyhf finds.

    Attributes
    ----------
    value : Value or None
    toys : Estimate or None
    deviation : float or None
        How far its interpolation strays.
    missing : dict of str to str
        Why it finds nothing, by name.
    seconds : dict of str to float
        Wall time by name.
    """

    value: "Value | None"
    toys: "Estimate | None"
    deviation: float | None
    missing: dict[str, str]
    seconds: dict[str, float]


@dataclass(frozen=True, slots=True)
class Told:
    """Everything to be said of one count.

    Attributes
    ----------
    n : float
    background : tuple of three float
        Nominal, up, down.
    observed : bool
        Whether the count is data.
    values : dict of str to Value
        P-values of the default model, by method.
    seconds : dict of str to float
        Wall time by method, where it was taken.
    missing : dict of str to str
        Why a method has no answer.
    panel : Panel
        What stands beside them.
    estimates : dict of str to Estimate
        By toys, those of pyhf included.
    deviation : float or None
        How far pyhf's interpolation strays; None where it was not asked.
    asked : bool
        Whether pyhf was.
    """

    n: float
    background: tuple[float, float, float]
    observed: bool
    values: "dict[str, Value]"
    seconds: dict[str, float]
    missing: dict[str, str]
    panel: "Panel"
    estimates: "dict[str, Estimate]"
    deviation: float | None
    asked: bool


def _draw(path: Path, n: float, background: tuple[float, float, float], *, observed: bool) -> None:
    from superbin.analysis import count_distribution, evaluate
    from superbin.domain.aggregate import Background
    from superbin.plot import count_distribution as draw
    from superbin.plot import save

    expected = Background(*background)
    significance = evaluate(n, expected, observed=observed, toys=0).significance
    distribution = count_distribution(expected, max(n - expected.nominal, 0.0))
    save(draw(distribution, significance, observed=observed).figure, path)


def _workspace(n: float, background: tuple[float, float, float]) -> "Document":
    from superbin import workspace
    from superbin.domain.aggregate import Background

    signal = n - background[0] if n > background[0] else 1.0
    return workspace.background_only(n, Background(*background), signal=signal)


def _export(path: Path, n: float, background: tuple[float, float, float]) -> None:
    from superbin import workspace
    from superbin._support.files import write_text

    if background[0] == 0:
        raise click.BadParameter(
            "pyhf cannot fit a bin without background; drop it", param_hint="--workspace"
        )
    write_text(path, workspace.to_json(_workspace(n, background)))


def _pyhf(n: float, background: tuple[float, float, float], toys: int, seed: int) -> Check:
    from superbin import workspace
    from superbin.cli.panel import Estimate, Value
    from superbin.errors import InputError

    if background[0] == 0:
        return Check(None, None, None, {"pyhf": "pyhf cannot fit a bin without background"}, {})
    document = _workspace(n, background)
    value, missing, seconds = None, {}, {}
    start = time.perf_counter()
    try:
        found = workspace.asymptotic_q0(document, count=n)
        value = Value(found.p, found.z)
        seconds["pyhf"] = time.perf_counter() - start
    except InputError as error:
        missing["pyhf"] = str(error)
    thrown = workspace.toy_q0(document, toys=toys, seed=seed) if toys else None
    estimate = None if thrown is None else Estimate.of(thrown.p, thrown.p_err, thrown.n, seed)
    return Check(value, estimate, workspace.largest_deviation(document), missing, seconds)


def _pull(told: Told) -> float | None:
    from superbin.cli.panel import finite
    from superbin.stats import pull

    return finite(float(pull(told.n, *told.background)))


def _quick(told: Told) -> float:
    """2 (sqrt(n) - sqrt(b)), the CMS Mini Analysis Tool's quick figure."""
    return 2 * (math.sqrt(told.n) - math.sqrt(told.background[0]))


def _document(told: Told) -> dict[str, Any]:
    """For machines."""
    found = told.panel
    document: dict[str, Any] = {
        "observed": told.observed,
        "background": dict(zip(("nominal", "up", "down"), told.background, strict=True)),
        "count": told.n,
        "q": _quick(told),
        "pull": _pull(told),
    }
    for name in ("midp", "tail", "p0", "asymptotic", "pyhf"):
        value = told.values.get(name)
        document[name] = value and {"p": value.p, "z": value.z}
    asimov = told.values.get("asimov")
    document["asimov"] = (asimov and asimov.z is not None and {"z": asimov.z, "fit": "prefit"}) or None
    for name in ("toys", "weighted", "q0_toys", "pyhf_toys"):
        one = told.estimates.get(name)
        document[name] = one and {"p": one.p, "z": one.z, "p_err": one.p_err, "z_err": one.z_err, "n": one.n}
        if one and one.effective is not None:
            document[name] |= {"effective": one.effective, "trusted": one.trusted}
    bands = _bands(told)
    rest: dict[str, Any] = {
        "expected_z": bands["midp"] and {"fit": "prefit", "quantiles": bands["midp"]},
        "expected_p0_z": bands["p0"] and {"fit": "prefit", "quantiles": bands["p0"]},
        "interpolation_deviation": told.deviation,
        "spread": found.verdict.spread,
        "verdict": found.verdict.text,
        "models": {name: one and asdict(one) for name, one in found.models.items()},
        "models_spread": found.change.spread,
        "models_verdict": found.change.text,
        "missing": {**found.missing, **told.missing, **({} if told.asked else {"pyhf": NOT_ASKED})},
        "seconds": told.seconds,
    }
    return document | rest


def _bands(told: Told) -> dict[str, dict[str, float | None] | None]:
    """Expected Z at the quantiles of the signal plus background, by method."""
    from superbin.cli.panel import finite

    found, bands = told.panel, dict[str, dict[str, float | None] | None](midp=None, p0=None)
    if found.expected is not None:
        z = (finite(one.z) for one in found.expected.at_quantiles)
        bands["midp"] = dict(zip(QUANTILES, z, strict=True))
    if found.expected_p0 is not None:
        z = (finite(float(one.z)) for one in found.expected_p0.at_quantiles)
        bands["p0"] = dict(zip(QUANTILES, z, strict=True))
    return bands


def _table(told: Told) -> str:
    """For people."""
    found, (b, up, down) = told.panel, told.background
    kind = "observed" if told.observed else "expected"
    lines = [
        f"{kind} n = {told.n:g}, background {b:g} +{up:g} -{down:g}",
        f"Q = {_quick(told):.3f}  pull = {number(_pull(told))}",
        f"{'method':<12}{'p':>14}{'Z':>9}{'time':>12}",
        *_methods(told),
    ]
    bands = {name: band for name, band in _bands(told).items() if band is not None}
    if bands:
        columns = ("-2 sigma", "-1 sigma", "median", "+1 sigma", "+2 sigma")
        lines.append(
            f"{'expected Z':<12}" + "".join(f"{name:>10}" for name in columns) + f"{'n = s + b':>11}"
        )
        for name, band in bands.items():
            at_mean = told.values[name].z if name in told.values else None
            row = "".join(f"{number(z):>10}" for z in band.values()) + f"{number(at_mean):>11}"
            lines.append(f"{name:<12}{row}  over outcomes with the signal, pre-fit")
    lines += [f"{name}: {why}" for name, why in told.missing.items()]
    lines += [f"verdict: {found.verdict.text}", *_models(found)]
    lines += [f"{name}: {why}" for name, why in found.missing.items()]
    lines.append(f"verdict: {found.change.text}")
    if told.deviation is not None and told.deviation > 0:
        lines.append(
            f"pyhf interpolates between the background's variations differently: up to {told.deviation:.1%} there."
        )
    return "\n".join(lines)


def _methods(told: Told) -> list[str]:
    """A line for every method that has an answer, in the order of `METHODS`."""
    from superbin.results.rounding import plain

    lines = []
    for name, note in METHODS.items():
        value, one = told.values.get(name), told.estimates.get(name)
        if value is None and one is None:
            if name in told.missing:
                lines.append(f"{name:<12}{'-':>14}{'-':>9}{'-':>12}  {note}")
            continue
        p, z, more = (value.p, value.z, "") if value is not None else (None, None, "")
        if one is not None:
            p, z, more = one.p, one.z, f", {one.n:g} toys, p = {plain(one.p, one.p_err)}"
            if not one.trusted:
                more += f": not to be trusted, worth {one.effective:.0f} equal weights"
        if name == "asimov":
            more = ", prefit"
        if z is None:
            more += ": no finite Z"
        text = "-" if p is None else f"{p:.6g}"
        clock = f"{1e3 * told.seconds[name]:.2f} ms" if name in told.seconds else "-"
        lines.append(f"{name:<12}{text:>14}{number(z):>9}{clock:>12}  {note}{more}")
    return lines


def _models(found: "Panel") -> list[str]:
    from superbin.stats.models import known

    lines = [f"{'uncertainty':<17}{'Z of midp':>11}{'tail':>9}{'asymptotic':>12}"]
    for name, one in found.models.items():
        z = ("-", "-", "-") if one is None else map(number, (one.midp_z, one.tail_z, one.asymptotic_z))
        first, second, third = z
        lines.append(f"{name:<17}{first:>11}{second:>9}{third:>12}  {known(name).text}")
    return lines
