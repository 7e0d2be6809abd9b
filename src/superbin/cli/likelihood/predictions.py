"""``superbin likelihood yields``, ``covariance`` and ``simplify``."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import click

from superbin._support.shown import counted
from superbin.cli.likelihood.subject import (
    bin_numbers_of,
    head,
    is_search,
    open_subject,
    optional_subject_options,
    subject_options,
)
from superbin.cli.likelihood.text import doubts_text, strength
from superbin.cli.options import (
    POSITIONAL_NUMBERS,
    OutputFile,
    as_json,
    figure_option,
    force_option,
    json_option,
    seed_option,
)
from superbin.cli.tables import aligned
from superbin.errors import InputError

__all__ = ["covariance", "simplify", "yields"]


@click.command("yields", context_settings=POSITIONAL_NUMBERS)
@subject_options
@click.option(
    "--mu",
    metavar="X",
    type=float,
    help="Hold the signal strength; by default it is fitted (post-fit) or initial (pre-fit).",
)
@click.option("--prefit", is_flag=True, help="Print the prediction before the fit.")
@force_option
@figure_option("the figure of the yields")
@json_option
def yields(mu: float | None, prefit: bool, figure: Path | None, machine: bool, **chosen: Any) -> None:
    """Print expected and observed events of every channel, after the fit or before it."""
    from superbin.likelihood.yields import postfit_yields, prefit_yields

    subject, engine = open_subject(**chosen)
    if prefit:
        found = prefit_yields(engine, mu=mu)
    else:
        fit = engine.fit(mu=mu)
        if not fit.ok:
            raise InputError(
                f"{subject.title}: the fit failed ({fit.status}), so there are no post-fit yields"
            )
        found = postfit_yields(engine, fit)
    if figure is not None:
        from superbin.plot import likelihood as draw
        from superbin.plot import save

        save(draw.channel_yields(found).figure, figure)
    if machine:
        document = found.document()
        click.echo(
            as_json(
                head(subject, engine, chosen)
                | {"stage": found.stage}
                | document
                | {"channels": document["channels"]}
            )
        )
        return
    from superbin.results.rounding import plain

    click.echo(f"{subject.title}: {found.stage}")
    rows = [("channel", "observed", "expected")]
    for channel in found.channels:
        for b, total in enumerate(channel.total):
            name = channel.name if len(channel.total) == 1 else f"{channel.name}[{b}]"
            rows.append((name, f"{channel.observed[b]:.6g}", plain(total, channel.error[b])))
    click.echo("\n".join(f"  {line}" for line in aligned(rows)))
    if found.doubts:
        click.echo(doubts_text(found.doubts))


MOST_GROUPS = 12
"""Groups of bins that are named beside a matrix."""


@click.command("covariance", context_settings=POSITIONAL_NUMBERS)
@optional_subject_options
@click.option(
    "--scope",
    type=click.Choice(["control", "background", "variations"]),
    default="control",
    show_default=True,
    help="What is fitted: control, all channels but those with signal; background, all channels at mu = 0; variations (for a search without SIGNAL), nothing: each "
    "nuisance moves up and down by one standard deviation.",
)
@click.option("-o", "--output", type=OutputFile(), help="File for the JSON; by default it is printed.")
@force_option
@figure_option("the figure of the correlations")
def covariance(scope: Any, output: Path | None, figure: Path | None, **chosen: Any) -> None:
    """Write the background prediction of the bins with signal, with its covariance, as JSON; --figure draws the correlations.

    \b
    superbin likelihood covariance card.txt
    superbin likelihood covariance cms-pas-sus-16-014 T1bbbb 1750 1 --scope background
    superbin likelihood covariance cms-pas-sus-16-014 --scope variations -o covariance.json --figure correlations.pdf

    For a search without SIGNAL all bins are predicted, or those of --bins. Without SOURCE the search is that of --search.
    """
    place = chosen["place"]
    if place is None:
        document = _search_covariance(chosen["search_name"], scope, chosen)
    elif not chosen["signal"] and not Path(place).exists() and is_search(place.lower(), chosen):
        document = _search_covariance(place.lower(), scope, chosen)
    else:
        document = _covariance(scope, chosen)
    if figure is not None:
        from superbin.plot import save
        from superbin.plot.likelihood import correlations
        from superbin.results.likelihood import Correlations, drawable

        found = drawable(document)
        assert isinstance(found, Correlations)
        save(correlations(found).figure, figure)
    _write(document, output)


def _covariance(scope: Any, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Of any likelihood."""
    from superbin.likelihood.background import background

    if scope == "variations":
        raise InputError(
            "--scope variations belongs to a search without SIGNAL; choose control or background"
        )
    subject, engine = open_subject(**chosen)
    found = background(engine, scope)
    return head(subject, engine, chosen) | {
        "scope": scope,
        "bins": list(found.bins),
        "observed": found.observed.tolist(),
        "expected": found.expected.tolist(),
        "covariance": found.covariance.tolist(),
        "about": {"groups": _channels(found.bins)},
    }


def _channels(bins: Sequence[str]) -> list[tuple[str, int]]:
    """Channels of successive bins such as ``SR[0]``, where these are few and of several bins."""
    runs = [(name, len(list(run))) for name, run in groupby(bin_.split("[")[0] for bin_ in bins)]
    return runs if 1 < len(runs) <= MOST_GROUPS and max(size for _, size in runs) > 1 else []


def _search_covariance(search_name: str, scope: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Of a search without signal."""
    from superbin.analysis.projection import bin_groups
    from superbin.catalog import open_catalog
    from superbin.likelihood import predict, variations
    from superbin.results.wording import attribution

    with open_catalog(chosen["database"]) as catalog:
        published = catalog.published_likelihood(search_name)
        search = catalog.search(search_name)
    bins = bin_numbers_of(chosen["bin_numbers"]) or tuple(range(1, published.n_bins + 1))
    rows = [b - 1 for b in bins]
    about = {
        "groups": bin_groups(search, bins),
        "attribution": attribution(search.reference),
        "luminosity_fb": search.luminosity_fb,
        "sqrt_s_tev": search.sqrt_s_tev,
    }
    document: dict[str, Any] = {"search": search_name, "scope": scope, "bins": bins, "about": about}
    if scope == "variations":
        found = variations(published)
        up, down = found.covariances(bins)
        total = found.total(bins)
        return document | {
            "options": found.options,
            "expected": found.nominal[rows].tolist(),
            "covariance_up": up.tolist(),
            "covariance_down": down.tolist(),
            "total": {"nominal": total.nominal, "up": total.up, "down": total.down},
        }
    prediction = predict(published, "control" if scope == "control" else "background")
    if prediction.status != "converged":
        raise InputError(f"the fit of scope {scope!r} failed: {prediction.status}")
    return document | {
        "options": prediction.options,
        "expected": prediction.expected[rows].tolist(),
        "covariance": prediction.covariance[rows][:, rows].tolist(),
    }


@click.command("simplify", context_settings=POSITIONAL_NUMBERS)
@subject_options
@click.option(
    "--scope",
    type=click.Choice(["control", "background"]),
    default="control",
    show_default=True,
    help="What is fitted: control, all channels but those with signal; background, all channels at mu = 0.",
)
@click.option(
    "--draws",
    metavar="N",
    type=click.IntRange(min=10),
    default=20_000,
    show_default=True,
    help="Number of points for the moments.",
)
@seed_option
@click.option(
    "-o",
    "--output",
    type=OutputFile(),
    help="File for the result as JSON; by default a summary is printed.",
)
@force_option
@json_option
def simplify(scope: Any, draws: int, seed: int, output: Path | None, machine: bool, **chosen: Any) -> None:
    """Print the simplified likelihood of SOURCE: background, covariance and third moments of its bins with signal.

    Its asymptotic limits are printed beside those of the full likelihood.
    """
    import numpy as np

    from superbin.likelihood import simplified

    subject, engine = open_subject(**chosen)
    found = simplified.simplify(engine, scope=scope, draws=draws, seed=seed)
    x = engine.initial
    poi = engine.parameters.index(engine.strength or "")
    x[poi] = 0.0
    without = engine.expected(x)
    x[poi] = 1.0
    signal = engine.expected(x) - without
    signal = signal[(signal > 0) & np.asarray(engine.counted)]
    full = engine.limit()
    limits = {
        "full": [full.observed, full.expected],
        "simplified": list(found.limit(signal)),
        "without_third_moments": list(found.limit(signal, third_moments=False)),
    }
    document = (
        head(subject, engine, chosen) | found.document() | {"signal": signal.tolist(), "limits": limits}
    )
    document["bins"] = list(found.bins)
    if output is not None:
        _write(document, output)
    if machine:
        click.echo(as_json(document))
        return
    click.echo(f"{subject.title}: {counted(len(found.bins), 'bin')}, fit of scope {scope}")
    for name, (observed, expected) in limits.items():
        click.echo(
            f"  {name.replace('_', ' '):<22} mu < {strength(observed)} observed, {strength(expected)} expected"
        )
    if found.notes:
        click.echo(doubts_text(found.notes))


def _write(document: Mapping[str, Any], output: Path | None) -> None:
    if output is None:
        click.echo(as_json(document))
        return
    from superbin._support.files import write_text

    write_text(output, as_json(document) + "\n")
