"""``superbin pvalue``: every named p-value of one count."""

from collections.abc import Mapping
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
    from superbin.aggregate import Background
    from superbin.analysis import Timed
    from superbin.results import Significance
    from superbin.stats.panel import ModelValues
    from superbin.stats.verdict import Verdict

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

MODELS = {
    "split-lognormal": "a log-normal width on each side",
    "lognormal": "one log-normal width",
    "gaussian": "normal, truncated at zero",
    "gamma": "on/off problem, Z_Bi",
    "none": "no uncertainty: plain Poisson",
}
"""What each uncertainty model is."""

CLEAR = 0.05
"""Largest standard error of Z with which toys take part in the verdict."""


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
    from superbin.aggregate import Background
    from superbin.analysis import count_distribution, evaluate
    from superbin.files import write_text

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
    whole = _collect(timed, expected, observed=observed, toys=toys, seed=seed, models=models)
    whole.deviation = workspace.largest_deviation(model) if model else None
    if model and pyhf_toys:
        thrown = workspace.toy_q0(model, toys=pyhf_toys, seed=seed)
        whole.rows["pyhf_toys"] = Row.of_toys(thrown.p, thrown.p_err, thrown.n, None)
    click.echo(as_json(whole.document()) if json_ else whole.table())


@dataclass
class Row:
    """One line of the table."""

    p: float | None
    z: float | None
    seconds: float | None
    note: str = ""
    error: float | None = None
    toys: int | None = None

    @classmethod
    def of_toys(cls, p: float, error: float, toys: int, seconds: float | None) -> "Row":
        """A p-value with its error."""
        from superbin.stats import significance

        z = float(significance(p))
        note = f", {toys:g} thrown, p +- {error:.2g}"
        return cls(p, z if abs(z) < float("inf") else None, seconds, note, error, toys)


@dataclass
class Whole:
    """Everything to be said of one count."""

    panel: "Significance"
    background: "Background"
    observed: bool
    seconds: dict[str, float]
    rows: dict[str, Row]
    bands: dict[str, Any] | None
    verdict: "Verdict"
    models: Mapping[str, "ModelValues | None"]
    deviation: float | None = None

    def document(self) -> dict[str, Any]:
        """The same for machines."""
        import cattrs

        panel = cattrs.unstructure(self.panel)
        del panel["pyhf_total"]
        for name in ("weighted", "q0_toys", "pyhf_toys"):
            row = self.rows.get(name)
            panel[name] = row and {"p": row.p, "z": row.z, "p_err": row.error, "n": row.toys}
        spread, text = self.across_models()
        return {
            "observed": self.observed,
            "background": cattrs.unstructure(self.background),
            **panel,
            "expected_z": self.bands,
            "interpolation_deviation": self.deviation,
            "spread": self.verdict.spread,
            "verdict": self.verdict.text,
            "models": cattrs.unstructure(dict(self.models)),
            "models_spread": spread,
            "models_verdict": text,
            "seconds": self.seconds,
        }

    def across_models(self) -> tuple[float, str]:
        """How far the mid-p significances of the uncertainty models are apart, and that in words."""
        from superbin.stats.verdict import TOLERATED

        z = {name: one.midp_z for name, one in self.models.items() if one is not None and name != "none"}
        known = {name: value for name, value in z.items() if value is not None}
        known["split-lognormal"] = known.get("split-lognormal", self.panel.midp.z or 0.0)
        low, high = (f(known, key=lambda name: known[name]) for f in (min, max))
        spread = known[high] - known[low]
        if spread <= TOLERATED:
            return spread, f"the shape of the uncertainty changes Z by {spread:.2f} at most"
        return (
            spread,
            f"the shape of the uncertainty changes Z by {spread:.2f}, from {low} to {high}: say which one you quote",
        )

    def table(self) -> str:
        """For people."""
        panel, b = self.panel, self.background
        kind = "observed" if self.observed else "expected"
        lines = [
            f"{kind} n = {panel.count:g}, background {b.nominal:g} +{b.up:g} -{b.down:g}",
            f"Q = {panel.q:.3f}  pull = {panel.pull:.3f}",
            f"{'method':<12}{'p':>14}{'Z':>9}{'time':>12}",
        ]
        for name, note in METHODS.items():
            row = self.rows.get(name)
            if row is not None:
                p = "-" if row.p is None else f"{row.p:.6g}"
                time = "-" if row.seconds is None else f"{1e3 * row.seconds:.2f} ms"
                lines.append(f"{name:<12}{p:>14}{number(row.z):>9}{time:>12}  {note}{row.note}")
        if self.bands is not None:
            text = "  ".join(f"{name}: {number(z)}" for name, z in self.bands["quantiles"].items())
            lines.append(
                f"Z expected over counts with the signal, {self.bands['fit']}, exact mid-p in sigma: {text}"
            )
        lines.append(f"verdict: {self.verdict.text}")
        lines += self._models()
        if self.deviation is not None and self.deviation > 0:
            lines.append(
                f"pyhf interpolates between the background's variations differently: up to {self.deviation:.1%} there."
            )
        return "\n".join(lines)

    def _models(self) -> list[str]:
        lines = [f"{'uncertainty':<17}{'Z of midp':>11}{'tail':>9}{'asymptotic':>12}"]
        for name, one in self.models.items():
            z = ("-", "-", "-") if one is None else map(number, (one.midp_z, one.tail_z, one.asymptotic_z))
            first, second, third = z
            lines.append(f"{name:<17}{first:>11}{second:>9}{third:>12}  {MODELS[name]}")
        return [*lines, f"verdict: {self.across_models()[1]}"]


def _collect(
    timed: "Timed",
    background: "Background",
    *,
    observed: bool,
    toys: int,
    seed: int,
    models: tuple[str, ...],
) -> Whole:
    """Bring the methods of the default model, and the other models, together."""
    from superbin.stats.panel import by_model, sampled
    from superbin.stats.verdict import compare

    panel, b = timed.significance, background
    numbers = (panel.count, b.nominal, b.up, b.down)
    seconds = dict(timed.seconds)
    rows = {
        name: Row(value.p, value.z, seconds[name])
        for name in ("midp", "tail", "asymptotic", "pyhf")
        if (value := getattr(panel, name)) is not None
    }
    if panel.toys is not None:
        rows["toys"] = Row.of_toys(panel.toys.p, panel.toys.p_err, panel.toys.n, seconds["toys"])
    if panel.asimov is not None:
        rows["asimov"] = Row(None, panel.asimov.z, seconds["asimov"], f", {panel.asimov.fit}")
    estimates = sampled(*numbers, toys=toys, seed=seed)
    for name, one in estimates.items():
        rows[name] = Row.of_toys(one.p, one.p_err, one.n, one.seconds)
        seconds[name] = one.seconds
    z = {name: rows[name].z for name in ("midp", "tail", "asymptotic", "pyhf") if name in rows}
    clear = {name: one.z for name, one in estimates.items() if one.z_err is not None and one.z_err < CLEAR}
    signal = panel.count - b.nominal
    return Whole(
        panel,
        background,
        observed,
        seconds,
        rows,
        None if observed or signal <= 0 else _bands(signal, background),
        compare(z | clear, panel.count, b.nominal),
        by_model(*numbers, models or tuple(MODELS)),
    )


def _bands(signal: float, background: "Background") -> dict[str, Any]:
    from superbin.stats import expected

    found = expected(signal, background.nominal, background.up, background.down)
    names = ("-2", "-1", "median", "+1", "+2")
    return {"fit": found.fit, "quantiles": {k: o.z for k, o in zip(names, found.at_quantiles, strict=True)}}
