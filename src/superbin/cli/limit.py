"""``superbin limit``: every named upper limit on the signal of one count."""

from typing import TYPE_CHECKING

import click

from superbin.cli.options import POSITIONAL_NUMBERS, as_json

if TYPE_CHECKING:
    from superbin.stats.limits import Comparison

METHODS = {
    "cls": "exact CLs",
    "bayes": "Bayesian, flat prior in s",
    "asymptotic": "asymptotic CLs, q~",
}
"""What each named method is, in the order of the table."""


@click.command(context_settings=POSITIONAL_NUMBERS)
@click.argument("n", type=float)
@click.argument("background", type=float)
@click.argument("up", type=float)
@click.argument("down", type=float)
@click.option(
    "--signal-uncertainty",
    type=float,
    default=0.0,
    show_default=True,
    help="Relative log-normal uncertainty of the signal: 0.2 for 20 %.",
)
@click.option("--level", type=float, default=0.95, show_default=True, help="Confidence level.")
@click.option("--json", "json_", is_flag=True, help="Print a document for machines.")
def limit(
    n: float,
    background: float,
    up: float,
    down: float,
    signal_uncertainty: float,
    level: float,
    json_: bool,
) -> None:
    """Print upper limits on the signal events, given N observed events over BACKGROUND +UP -DOWN.

    Expected limits hold for background alone as predicted, before any fit to data: their median, with the bands that hold
    68 % and 95 % of the outcomes.

    \b
    superbin limit 40 25 5 5
    superbin limit 3 1.2 0.5 0.4 --signal-uncertainty 0.2 --json
    """
    from dataclasses import asdict

    from superbin.stats.arguments import as_count
    from superbin.stats.limits import compare_limits

    # What is no number of events at all is explained better by the check of its range.
    count = as_count(n) if 0 <= n < float("inf") else n
    result = compare_limits(count, background, up, down, level=level, signal_uncertainty=signal_uncertainty)
    if json_:
        document = {
            "observed": count,
            "background": {"nominal": background, "up": up, "down": down},
            "signal_uncertainty": signal_uncertainty,
            "level": level,
            "limits": {
                name: {"observed": one.observed, "expected": {**asdict(one.expected), "fit": "prefit"}}
                for name, one in result.limits.items()
            },
            "spread": result.verdict.spread,
            "verdict": result.verdict.text,
        }
        click.echo(as_json(document))
        return
    click.echo(f"{level:.6g} upper limits on the signal events")
    click.echo(f"observed n = {count:g}, background {background:g} +{up:g} -{down:g}")
    click.echo("\n".join(_table(result)))
    click.echo(f"verdict: {result.verdict.text}")


def _table(result: "Comparison") -> list[str]:
    columns = ("observed", "-2 sigma", "-1 sigma", "expected", "+1 sigma", "+2 sigma")
    lines = [f"{'method':<12}" + "".join(f"{name:>11}" for name in columns)]
    for name, one in result.limits.items():
        bands = one.expected
        values = (one.observed, bands.low2, bands.low1, bands.median, bands.high1, bands.high2)
        lines.append(f"{name:<12}" + "".join(f"{v:>11.5g}" for v in values) + f"  {METHODS[name]}")
    lines.append("Expected: pre-fit, background alone.")
    return lines
