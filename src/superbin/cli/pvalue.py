"""``superbin pvalue``: every named p-value of one count."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superbin.cli.options import POSITIONAL_NUMBERS, as_json, number, seed_option, toys_option

if TYPE_CHECKING:
    from superbin.aggregate import Background
    from superbin.analysis import Timed
    from superbin.results import Significance

METHODS = {
    "midp": "exact mid-p, P(N > n) + P(N = n)/2",
    "tail": "exact tail, P(N >= n)",
    "toys": "mid-p by pseudo-experiments",
    "asymptotic": "profile likelihood q0",
    "pyhf": "pyhf's q0 on the exported workspace",
}
"""What each named method is, in the order of the table."""


@click.command(context_settings=POSITIONAL_NUMBERS)
@click.argument("n", type=float)
@click.argument("background", type=float)
@click.argument("up", type=float)
@click.argument("down", type=float)
@click.option("--observed", is_flag=True, help="N is data: a whole number of events.")
@toys_option
@seed_option
@click.option("--json", "json_", is_flag=True, help="Print a document for machines.")
@click.option(
    "--workspace", "export", type=click.Path(path_type=Path), help="Write the pyhf workspace here (.json)."
)
@click.option(
    "--figure", type=click.Path(path_type=Path), help="Draw the distribution of N here (.pdf or .png)."
)
def pvalue(
    n: float,
    background: float,
    up: float,
    down: float,
    observed: bool,
    toys: int,
    seed: int,
    json_: bool,
    export: Path | None,
    figure: Path | None,
) -> None:
    """Print every named p-value of N events over BACKGROUND +UP -DOWN.

    N is an expectation, signal plus background, and may be any number >= 0; with --observed it is data. The
    background mean follows the split log-normal: its logarithm is normal, with a width of its own on each side.

    \b
    superbin pvalue 40 25 5 5
    superbin pvalue 12 4.2 1.5 1.1 --observed --json
    """
    import cattrs

    from superbin import workspace
    from superbin.aggregate import Background
    from superbin.analysis import count_distribution, evaluate
    from superbin.files import write_text
    from superbin.stats.verdict import compare

    expected = Background(background, up, down)
    timed = evaluate(n, expected, observed=observed, toys=toys, seed=seed)
    if figure is not None:
        from superbin.plot import count_distribution as draw
        from superbin.plot import save

        distribution = count_distribution(expected, max(n - background, 0.0))
        save(draw(distribution, timed.significance, observed=observed).figure, figure)
    model = (
        workspace.background_only(n, expected, signal=n - background if n > background else 1.0)
        if background > 0
        else None
    )
    if export is not None:
        if model is None:
            raise click.BadParameter(
                "pyhf cannot fit a bin without background; drop it", param_hint="--workspace"
            )
        write_text(export, workspace.to_json(model))
    deviation = workspace.largest_deviation(model) if model else None
    panel_z = {name: getattr(timed.significance, name) for name in METHODS if name != "toys"}
    bands = None if observed or n <= background else _bands(n - background, expected)
    verdict = compare({name: value.z for name, value in panel_z.items() if value}, n, background)
    if json_:
        panel = cattrs.unstructure(timed.significance)
        del panel["pyhf_total"]
        document = {
            "observed": observed,
            "background": cattrs.unstructure(expected),
            **panel,
            "expected_z": bands,
            "interpolation_deviation": deviation,
            "spread": verdict.spread,
            "verdict": verdict.text,
            "seconds": dict(timed.seconds),
        }
        click.echo(as_json(document))
    else:
        click.echo(_table(timed, expected_b=f"{background:g} +{up:g} -{down:g}", observed=observed))
        if bands is not None:
            text = "  ".join(f"{name}: {number(z)}" for name, z in bands["quantiles"].items())
            click.echo(
                f"Z expected over counts with the signal, {bands['fit']}, exact mid-p in sigma: {text}"
            )
        click.echo(f"verdict: {verdict.text}")
        if deviation is not None and deviation > 0:
            click.echo(
                f"pyhf interpolates between the background's variations differently: up to {deviation:.1%} there."
            )


def _bands(signal: float, background: "Background") -> dict[str, Any]:
    from superbin.stats import expected

    found = expected(signal, background.nominal, background.up, background.down)
    names = ("-2", "-1", "median", "+1", "+2")
    return {"fit": found.fit, "quantiles": {k: o.z for k, o in zip(names, found.at_quantiles, strict=True)}}


def _table(timed: "Timed", *, expected_b: str, observed: bool) -> str:
    panel = timed.significance
    head = f"{'observed' if observed else 'expected'} n = {panel.count:g}, background {expected_b}"
    lines = [
        head,
        f"Q = {panel.q:.3f}  pull = {panel.pull:.3f}",
        f"{'method':<12}{'p':>14}{'Z':>9}{'time':>12}",
    ]
    for name in METHODS:
        row = _row(panel, name)
        if row is not None:
            lines.append(f"{name:<12}{row[0]:>14}{row[1]:>9}{_duration(timed.seconds[name]):>12}  {row[2]}")
    return "\n".join(lines)


def _row(panel: "Significance", name: str) -> tuple[str, str, str] | None:
    value = getattr(panel, name)
    if value is None:
        return None
    note = METHODS[name]
    if name == "toys":
        note += f", {panel.toys.n:g} thrown, p +- {panel.toys.p_err:.2g}" if panel.toys else ""
    return f"{value.p:.6g}", number(value.z), note


def _duration(seconds: float) -> str:
    return f"{1e3 * seconds:.2f} ms"
