"""``superbin pvalue``: every named p-value of one count."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    as_json,
    number,
    pyhf_toys_option,
    seed_option,
    toys_option,
    uncertainty_option,
)

if TYPE_CHECKING:
    from superbin.analysis import Timed
    from superbin.domain.aggregate import Background
    from superbin.stats.expectation import Expected
    from superbin.stats.panel import Estimate, Panel

METHODS = {
    "midp": "exact mid-p, P(N > n) + P(N = n)/2",
    "tail": "exact tail, P(N >= n)",
    "toys": "mid-p by pseudo-experiments",
    "weighted": "mid-p by importance-sampled toys",
    "q0_toys": "q0 by toys of count and auxiliary measurement",
    "asymptotic": "profile likelihood q0",
    "asimov": "q0 of the Asimov data set",
    "pyhf": "pyhf's asymptotic q0 on the exported workspace",
    "pyhf_toys": "q0 by pyhf's toys",
}
"""What each named method is, in the order of the table."""

PLAIN = ("midp", "tail", "asymptotic", "pyhf")
"""Those of one exact or asymptotic number, which take part in the verdict."""

MODELS = {
    "split-lognormal": "a log-normal width on each side",
    "lognormal": "one log-normal width",
    "gaussian": "normal, truncated at zero",
    "gamma": "on/off problem, Z_Bi",
    "none": "no uncertainty: plain Poisson",
}
"""What each uncertainty model is."""


@click.command(context_settings=POSITIONAL_NUMBERS)
@click.argument("n", type=float)
@click.argument("background", type=float)
@click.argument("up", type=float)
@click.argument("down", type=float)
@click.option("--observed", is_flag=True, help="N is data: a whole number of events.")
@toys_option
@pyhf_toys_option
@uncertainty_option
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
    pyhf_toys: int,
    models: tuple[str, ...],
    seed: int,
    json_: bool,
    export: Path | None,
    figure: Path | None,
) -> None:
    """Print every named p-value of N events over BACKGROUND +UP -DOWN.

    N is an expectation, signal plus background, and may be any number >= 0; with --observed it is data. The
    background mean follows the split log-normal: its logarithm is normal, with a width of its own on each side. Other
    uncertainty models stand below, for comparison.

    \b
    superbin pvalue 40 25 5 5
    superbin pvalue 12 4.2 1.5 1.1 --observed --json
    """
    from superbin import workspace
    from superbin._support.files import write_text
    from superbin.analysis import count_distribution, evaluate
    from superbin.domain.aggregate import Background
    from superbin.stats.panel import Estimate, panel

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
    known = {name: value.z for name in PLAIN if (value := getattr(timed.significance, name)) is not None}
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
    if model and pyhf_toys:
        thrown = workspace.toy_q0(model, toys=pyhf_toys, seed=seed)
        estimates["pyhf_toys"] = Estimate.of(thrown.p, thrown.p_err, thrown.n, seed)
    told = Told(
        expected, observed, timed, found, estimates, workspace.largest_deviation(model) if model else None
    )
    click.echo(as_json(_document(told)) if json_ else _table(told))


@dataclass(frozen=True, slots=True)
class Told:
    """Everything to be said of one count.

    Attributes
    ----------
    background : Background
    observed : bool
        Whether the count is data.
    timed : Timed
        The p-values of the default model.
    panel : Panel
        What stands beside them.
    estimates : dict of str to Estimate
        Those of the panel, and of pyhf.
    deviation : float or None
        How far pyhf's interpolation strays; None without a workspace.
    """

    background: "Background"
    observed: bool
    timed: "Timed"
    panel: "Panel"
    estimates: "dict[str, Estimate]"
    deviation: float | None


def _document(told: Told) -> dict[str, Any]:
    """For machines."""
    import cattrs

    found, panel = told.panel, cattrs.unstructure(told.timed.significance)
    del panel["pyhf_total"], panel["asimov_postfit"]
    for name in ("weighted", "q0_toys", "pyhf_toys"):
        one = told.estimates.get(name)
        panel[name] = one and {"p": one.p, "z": one.z, "p_err": one.p_err, "z_err": one.z_err, "n": one.n}
        if one and one.effective is not None:
            panel[name] |= {"effective": one.effective, "trusted": one.trusted}
    return {
        "observed": told.observed,
        "background": cattrs.unstructure(told.background),
        **panel,
        "expected_z": found.expected and {"fit": found.expected.fit, "quantiles": _quantiles(found.expected)},
        "interpolation_deviation": told.deviation,
        "spread": found.verdict.spread,
        "verdict": found.verdict.text,
        "models": cattrs.unstructure(dict(found.models)),
        "models_spread": found.change.spread,
        "models_verdict": found.change.text,
        "missing": {**found.missing, **told.timed.missing},
        "seconds": _seconds(told),
    }


def _table(told: Told) -> str:
    """For people."""
    found, b = told.panel, told.background
    panel, kind = told.timed.significance, "observed" if told.observed else "expected"
    lines = [
        f"{kind} n = {panel.count:g}, background {b.nominal:g} +{b.up:g} -{b.down:g}",
        f"Q = {panel.q:.3f}  pull = {number(panel.pull)}",
        f"{'method':<12}{'p':>14}{'Z':>9}{'time':>12}",
        *_methods(told),
    ]
    if found.expected is not None:
        text = "  ".join(f"{name}: {number(z)}" for name, z in _quantiles(found.expected).items())
        lines.append(
            f"Z expected over counts with the signal, {found.expected.fit}, exact mid-p in sigma: {text}"
        )
    lines += [f"{name}: {why}" for name, why in told.timed.missing.items()]
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
    panel, seconds = told.timed.significance, _seconds(told)
    rows: dict[str, tuple[float | None, float | None, str]] = {
        name: (value.p, value.z, "") for name in PLAIN if (value := getattr(panel, name)) is not None
    }
    thrown = {name: (one.p, one.z, one.n, one.p_err) for name, one in told.estimates.items()}
    if panel.toys is not None:
        thrown["toys"] = (panel.toys.p, panel.toys.z, panel.toys.n, panel.toys.p_err)
    rows |= {name: (p, z, f", {n:g} thrown, p +- {error:.2g}") for name, (p, z, n, error) in thrown.items()}
    for name, one in told.estimates.items():
        if not one.trusted:
            p, z, note = rows[name]
            rows[name] = (p, z, f"{note}: not to be trusted, worth {one.effective:.0f} equal weights")
    if panel.asimov is not None:
        rows["asimov"] = (None, panel.asimov.z, f", {panel.asimov.fit}")
    lines = []
    for name, note in METHODS.items():
        if name in rows:
            p, z, more = rows[name]
            value = "-" if p is None else f"{p:.6g}"
            if z is None:
                more += ": no finite Z"
            time = f"{1e3 * seconds[name]:.2f} ms" if name in seconds else "-"
            lines.append(f"{name:<12}{value:>14}{number(z):>9}{time:>12}  {note}{more}")
        elif name in told.timed.missing:
            lines.append(f"{name:<12}{'-':>14}{'-':>9}{'-':>12}  {note}")
    return lines


def _models(found: "Panel") -> list[str]:
    lines = [f"{'uncertainty':<17}{'Z of midp':>11}{'tail':>9}{'asymptotic':>12}"]
    for name, one in found.models.items():
        z = ("-", "-", "-") if one is None else map(number, (one.midp_z, one.tail_z, one.asymptotic_z))
        first, second, third = z
        lines.append(f"{name:<17}{first:>11}{second:>9}{third:>12}  {MODELS[name]}")
    return lines


def _quantiles(expected: "Expected") -> dict[str, float | None]:
    names = ("-2", "-1", "median", "+1", "+2")
    return {
        name: one.z if math.isfinite(one.z) else None
        for name, one in zip(names, expected.at_quantiles, strict=True)
    }


def _seconds(told: Told) -> dict[str, float]:
    """Wall time by method, where it was taken."""
    thrown = {name: one.seconds for name, one in told.estimates.items() if one.seconds is not None}
    return {**told.timed.seconds, **thrown}
