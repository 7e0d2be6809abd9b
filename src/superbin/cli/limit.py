"""``superbin limit``: every named upper limit on the signal of one count."""

from typing import TYPE_CHECKING, Any

import click

from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    Share,
    as_json,
    json_option,
    pyhf_option,
    pyhf_toys_option,
    seed_option,
    uncertainty_option,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from superbin.stats.limits import Bands, Comparison
    from superbin.stats.models import ModelName
    from superbin.workspace import PyhfCls, PyhfLimit

METHODS = {
    "cls": "exact CLs, background averaged over its prior",
    "bayes": "Bayesian, flat prior in s",
    "lhc": "the LHC's CLs, exact: profile likelihood q~",
    "asymptotic": "asymptotic CLs, q~",
}
"""What each named method is, in the order of the table."""

BANDS = ("low2", "low1", "median", "high1", "high2")


@click.command(context_settings=POSITIONAL_NUMBERS)
@click.argument("n", type=float)
@click.argument("background", type=float)
@click.argument("up", type=float)
@click.argument("down", type=float)
@click.option(
    "--signal-uncertainty",
    metavar="SHARE",
    type=Share(most=None),
    default=0.0,
    show_default=True,
    help="Relative log-normal uncertainty of the signal, 20% or 0.2.",
)
@click.option("--level", metavar="X", type=float, default=0.95, show_default=True, help="Confidence level.")
@uncertainty_option
@pyhf_option
@pyhf_toys_option
@seed_option
@json_option
def limit(
    n: float,
    background: float,
    up: float,
    down: float,
    signal_uncertainty: float,
    level: float,
    models: "tuple[ModelName, ...]",
    ask_pyhf: bool,
    pyhf_toys: int,
    seed: int,
    machine: bool,
) -> None:
    """Print upper limits on the signal events, given N observed events over BACKGROUND +UP -DOWN.

    Expected limits are for background alone, before any fit to data: the median, and the bands that contain 68 % and 95 % of
    the outcomes. Those of pyhf, which --pyhf adds, are for the background fitted to the data. Other uncertainty
    models are shown below for comparison.

    \b
    superbin limit 40 25 5 5
    superbin limit 3 1.2 0.5 0.4 --signal-uncertainty 20% --json
    """
    from superbin.cli.panel import limits_by_model, limits_verdict
    from superbin.results.rounding import plain
    from superbin.stats import as_count
    from superbin.stats.models import MODELS

    # What is not a number of events at all is explained better by the check of its range.
    count = as_count(n) if 0 <= n < float("inf") else n
    options = {"level": level, "signal_uncertainty": signal_uncertainty}
    found = limits_by_model(
        count,
        background,
        up,
        down,
        level=level,
        signal_uncertainty=signal_uncertainty,
        models=models or tuple(MODELS),
    )
    result = found.default
    check, toys, notes = None, None, dict(result.missing)
    asked = ask_pyhf or pyhf_toys > 0
    if asked:
        check, reasons, toys = _pyhf(result, (count, background, up, down), options, pyhf_toys, seed)
        notes |= reasons
    verdict = limits_verdict(
        result.limits, count, background, observed={} if check is None else {"pyhf": check.observed}
    )
    if machine:
        document = {
            "observed": count,
            "background": {"nominal": background, "up": up, "down": down},
            "signal_uncertainty": signal_uncertainty,
            "level": level,
            "limits": _limits(result)
            | dict.fromkeys(result.missing)
            | {"pyhf": check and {"observed": check.observed, "expected": _post_fit(check)}},
            "pyhf_toys": toys and {"cls": toys.cls, "cls_err": toys.cls_err, "n": toys.n},
            "spread": verdict.spread,
            "verdict": verdict.text,
            "models": {name: one and _limits(one) for name, one in found.others.items()},
            "missing": {**found.missing, **notes, **({} if asked else {"pyhf": "not asked; add --pyhf"})},
            "models_verdict": found.change.text,
        }
        click.echo(as_json(document))
        return
    click.echo(f"{100 * level:.6g} % CL upper limits on the signal events")
    click.echo(f"observed n = {count:g}, background {background:g} +{up:g} -{down:g}")
    click.echo("\n".join(_table(result, check, asked=asked)))
    for name, why in notes.items():
        click.echo(f"{name}: {why}")
    click.echo(f"verdict: {verdict.text}")
    if check is not None:
        click.echo(
            f"Background fitted to the data changes the expected median to {check.expected[2]:.5g} (pyhf): another question."
        )
    if toys is not None:
        click.echo(
            f"CLs at the exact limit by {toys.n:g} toys of pyhf: {plain(toys.cls, toys.cls_err)}, should be {1 - level:.3g}"
        )
    click.echo("\n".join(_models(found.others)))
    for name, why in found.missing.items():
        click.echo(f"{name}: {why}")
    click.echo(f"verdict: {found.change.text}")


def _pyhf(
    result: "Comparison", numbers: tuple[float, ...], options: dict[str, float], toys: int, seed: int
) -> tuple["PyhfLimit | None", dict[str, str], "PyhfCls | None"]:
    """What pyhf finds on the exported workspace, and why it finds nothing, by name."""
    from superbin import workspace
    from superbin.domain.aggregate import Background
    from superbin.errors import InputError

    count, b, up, down = numbers
    notes: dict[str, str] = {}
    found, toy_result = None, None
    try:
        document = workspace.background_only(
            count, Background(b, up, down), signal_uncertainty=options["signal_uncertainty"]
        )
        found = workspace.asymptotic_limit(document, level=options["level"])
    except InputError as error:
        return None, {"pyhf": str(error)}, None
    try:
        exact = result.limits["cls"].observed
        toy_result = workspace.toy_cls(document, exact, toys=toys, seed=seed) if toys else None
    except InputError as error:
        notes["pyhf toys"] = str(error)
    return found, notes, toy_result


def _bands(bands: "Bands") -> dict[str, Any]:
    return {name: getattr(bands, name) for name in BANDS} | {"fit": "prefit"}


def _limits(result: "Comparison") -> dict[str, Any]:
    return {
        name: {"observed": one.observed, "expected": _bands(one.expected)}
        for name, one in result.limits.items()
    }


def _post_fit(check: "PyhfLimit") -> dict[str, Any]:
    return dict(zip(BANDS, check.expected, strict=True)) | {"fit": "postfit"}


def _table(result: "Comparison", check: "PyhfLimit | None", *, asked: bool) -> list[str]:
    columns = ("observed", "-2 sigma", "-1 sigma", "expected", "+1 sigma", "+2 sigma")
    lines = [f"{'method':<12}" + "".join(f"{name:>11}" for name in columns)]
    for name, one in result.limits.items():
        lines.append(
            _line(name, one.observed, [getattr(one.expected, band) for band in BANDS], METHODS[name])
        )
    lines += [f"{name:<12}" + f"{'-':>11}" * 6 + f"  {METHODS[name]}" for name in result.missing]
    if check is None and asked:
        lines.append(f"{'pyhf':<12}" + f"{'-':>11}" * 6)
    elif check is not None:
        lines.append(
            _line("pyhf", check.observed, list(check.expected), "pyhf's asymptotic CLs, bands post-fit")
        )
    lines.append("Expected: pre-fit, background alone.")
    return lines


def _line(name: str, observed: float, bands: list[float], note: str) -> str:
    return f"{name:<12}" + "".join(f"{v:>11.5g}" for v in (observed, *bands)) + f"  {note}"


def _models(others: "Mapping[str, Comparison | None]") -> list[str]:
    columns = ("CLs", "expected", "asymptotic", "expected")
    lines = [f"{'uncertainty':<17}" + "".join(f"{name:>11}" for name in columns)]
    for name, one in others.items():
        if one is None:
            lines.append(f"{name:<17}" + f"{'-':>11}" * 4)
            continue
        exact, asymptotic = one.limits["cls"], one.limits["asymptotic"]
        values = (
            exact.observed,
            exact.expected.median,
            asymptotic.observed,
            asymptotic.expected.median,
        )
        lines.append(f"{name:<17}" + "".join(f"{v:>11.5g}" for v in values))
    return lines
