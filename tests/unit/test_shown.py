"""How values show themselves in a shell and in a notebook."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from superbin import errors
from superbin._support.shown import readable
from superbin.domain.covariance import Covariance
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.likelihood import Likelihood
from superbin.statistical_model import Channel, Normal, Parameter, Rate, Sample, StatisticalModel

HOSTILE = "<script>&\u202e"


def a_search(name: str = "mine") -> Search:
    return Search.from_arrays(name, observed=[3, 4], background=[2.5, 5.0], luminosity_fb=10.0)


def test_a_search_shows_what_it_is() -> None:
    """API-1: one line, with the size of arrays and not the arrays."""
    assert repr(a_search()) == "<Search mine: 2 bins, in named regions, at 10 fb^-1, with correlations: none>"


def test_a_signal_shows_its_point() -> None:
    """API-1: the repr of a signal shows its point, its events and its search."""
    signal = SignalModel("T1", {"m": 1500.0}, "mine", np.array([1.0, 2.5]), np.array([0.1, 0.1]))
    assert repr(signal) == "<SignalModel T1(1500): 3.5 events, in 2 bins of mine>"


def test_arrays_are_not_printed() -> None:
    """API-1: a thousand bins are as short as two."""
    large = Covariance.of(np.eye(300))
    assert len(repr(large)) < 80
    assert "300 bins" in repr(large)


def test_a_likelihood_shows_its_size() -> None:
    """API-1: channels and parameters, counted."""
    signal, background = Sample("s", np.array([3.0]), (Rate("mu"),)), Sample("b", np.array([5.0]))
    channels = (Channel("SR", np.array([6.0]), (signal, background)),)
    likelihood = Likelihood(StatisticalModel(channels, (Parameter("mu", 1.0, 0.0, 10.0),), ("mu",), "toy"))
    assert repr(likelihood) == "<Likelihood toy: channels 1, parameters 1>"


def test_the_table_of_a_notebook_is_escaped() -> None:
    """API-1: names that hold markup or marks of direction show as text."""
    html = Covariance(np.eye(2), np.eye(2), HOSTILE)._repr_html_()
    assert html.startswith("<table><caption>Covariance ")
    assert "<script>" not in html
    assert "&lt;script&gt;&amp;\\u202e" in html
    assert html.count("<tr>") == 2


def test_fits_and_limits_are_short() -> None:
    """API-1: what a likelihood finds shows its numbers, and not the arrays that they were found with."""
    signal = Sample("s", np.array([3.0] * 50), (Rate("mu"),))
    background = Sample("b", np.array([5.0] * 50), (Rate("k"),))
    channels = (Channel("SR", np.array([6.0] * 50), (signal, background)),)
    parameters = (Parameter("mu", 1.0, 0.0, 10.0), Parameter("k", 1.0, 0.0, 10.0, Normal(1.0, 0.1)))
    likelihood = Likelihood(StatisticalModel(channels, parameters, ("mu",), "toy"))
    results = (likelihood.fit(), likelihood.limit(), likelihood.significance(), likelihood.cls(1.0))
    assert repr(results[0]).startswith("<Fit converged: mu 0.333333 +- 0.")
    assert repr(results[1]).startswith("<UpperLimit converged: observed 0.")
    for value in (*results, results[0].minima[0], likelihood.model, channels[0], signal):
        assert len(repr(value)) < 110
        assert value._repr_html_().startswith("<table>")
    assert repr(likelihood.model) == "<StatisticalModel toy: channels 1, parameters 2, signal strengths mu>"
    assert repr(channels[0]) == "<Channel SR: bins 50, observed 300, samples 2>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no bin 7; the search has 6", "no bin 7; the search has 6"),
        (f"x is {'9' * 5000}; cut", f"x is {'9' * 100}...; cut"),
        (f"x is '{'one two ' * 500}'; cut", f"x is '{('one two ' * 500)[:99]}...'; cut"),
        ('"' + "it's " * 500 + '" is', '"' + ("it's " * 500)[:99] + '..." is'),
        # Apostrophes are no quotes.
        (
            f"the search's bins {'and ' * 40}the signals' bins",
            f"the search's bins {'and ' * 40}the signals' bins",
        ),
        (f"{'/folder' * 30}/x.csv: empty", f"{'/folder' * 30}/x.csv: empty"),
        (
            f"{'/folder' * 300}/x.csv: empty",
            f"{('/folder' * 300)[:50]}...{('/folder' * 300 + '/x.csv:')[-50:]} empty",
        ),
        ("a\u202eb\x1b[31m\ud800", "a\\u202eb\\x1b[31m\\ud800"),
        ("postgresql://me:a@secret@host:1/x", "postgresql://me:***@host:1/x"),
        ("postgresql://me@example.org:secret@host/x", "postgresql://me@example.org:***@host/x"),
        (
            "mariadb+pymysql://me:secret@host/x: denied to 'me'@'host'; ask its owner",
            "mariadb+pymysql://me:***@host/x: denied to 'me'@'host'; ask its owner",
        ),
        ("https://host.org: name lookup failed; ask a@b", "https://host.org: name lookup failed; ask a@b"),
        ("https://host/record?keyword=gluino", "https://host/record?keyword=gluino"),
        ("postgresql://host/x?sslpassword='a secret'&x=1", "postgresql://host/x?sslpassword=***&x=1"),
        ("postgresql://host/x?p%61ssword=secret", "postgresql://***"),
        ("{'password': 'a secret'}", "{'password': ***}"),
        (
            "write it as dialect://user:password@host:port/name",
            "write it as dialect://user:password@host:port/name",
        ),
    ],
    ids=range(17),
)
def test_texts_of_errors(text: str, message: str) -> None:
    """API-8: values are cut at 100 characters, paths in the middle; passwords and what does not print are not shown."""
    for kind in map(vars(errors).get, errors.__all__):
        assert isinstance(kind, type)
        assert str(kind(text)) == message


PARTS = [
    "'",
    '"',
    "a" * 60,
    "/",
    "\\",
    " ",
    "\n",
    "\x00",
    "é",
    "@",
    ":",
    "%41",
    "b" * 120,
    "x y " * 40,
    "...",
    "***",
    "?",
    "&",
    "é\u202e" * 70,
    "\ud800",
    "5" * 3000,
]


@given(
    st.lists(st.sampled_from(PARTS), max_size=12),
    st.lists(st.sampled_from(["x", "é", "&amp", "5"]), max_size=4),
)
def test_texts_of_errors_are_bounded(parts: list[str], before: list[str]) -> None:
    """API-8: whatever the text, at most 1000 characters that print, and no password."""
    text = readable("".join(parts))
    assert len(text) <= 1000
    assert text.isprintable()
    assert "hunter2" not in readable("".join([*parts, " x://me:hunter2@host/", *before, *parts]))
    assert "hunter2" not in readable("".join([*parts, " password=hunter2"]))
