"""Which bins fall into which column: clauses PROJ-1 to PROJ-4, against a selection written out by hand."""

import pytest

from superbin.analysis.projection import bin_ranges, project, region_bins
from superbin.domain.search import Search
from superbin.domain.signal import SignalModel
from superbin.errors import InputError
from superbin.results import Projection

# CMS-PAS-SUS-16-014: bin = 40*iNjet + 10*iNb + k + 1, k the (MHT, HT) box; box 9 is MHT > 750, HT > 1500.
BOXES = {
    0: ((300, 350), (300, 500)),
    1: ((300, 350), (500, 1000)),
    2: ((300, 350), (1000, 1e9)),
    3: ((350, 500), (350, 500)),
    4: ((350, 500), (500, 1000)),
    5: ((350, 500), (1000, 1e9)),
    6: ((500, 750), (500, 1000)),
    7: ((500, 750), (1000, 1e9)),
    8: ((750, 1e9), (750, 1500)),
    9: ((750, 1e9), (1500, 1e9)),
}


def overlap(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return max(a[0], b[0]) < min(a[1], b[1])


def by_name(projections: tuple[Projection, ...], name: str) -> Projection:
    return next(p for p in projections if p.observable == name)


def test_region_along_mht_by_hand(cms_search: Search) -> None:
    """PROJ-1: same jets and b jets, HT overlapping."""
    number = 40 * 2 + 10 * 3 + 9 + 1
    expected = {40 * 2 + 10 * 3 + k + 1 for k, (_, ht) in BOXES.items() if overlap(ht, BOXES[9][1])}
    assert set(region_bins(cms_search, [number], "mht")) == expected
    assert number in expected


def test_region_along_jets_by_hand(cms_search: Search) -> None:
    """PROJ-1: the same box and b jets at any jet multiplicity, and boxes that overlap it: none does."""
    assert region_bins(cms_search, [20], "njet") == (20, 60, 100, 140)
    assert region_bins(cms_search, [20], "nb") == (10, 20, 30, 40)


def test_every_bin_falls_into_one_column(cms_search: Search, t1bbbb: SignalModel) -> None:
    """PROJ-2: for the whole search and for single bins."""
    for bins in (cms_search.numbers, [20], [8, 30, 77]):
        for projection in project(cms_search, t1bbbb, bins):
            columns = [n for column in projection.columns for n in column.yields.bins]
            assert sorted(columns) == list(region_bins(cms_search, bins, projection.observable))


def test_plain_observables_show_every_range_once(cms_search: Search, t1bbbb: SignalModel) -> None:
    """PROJ-3: observables without overlapping ranges show each range in one column, without groups."""
    projections = project(cms_search, t1bbbb, cms_search.numbers)
    assert [c.text for c in by_name(projections, "njet").columns] == ["3-4", "5-6", "7-8", ">= 9"]
    assert [c.text for c in by_name(projections, "nb").columns] == ["0", "1", "2", ">= 3"]
    assert [c.text for c in by_name(projections, "mht").columns] == ["300-350", "350-500", "500-750", "> 750"]
    assert not any(c.group for name in ("njet", "nb", "mht") for c in by_name(projections, name).columns)


def test_ht_columns_come_in_groups_of_mht(cms_search: Search, t1bbbb: SignalModel) -> None:
    """PROJ-3: HT is cut at 500 and 1000 below MHT 750, at 1500 above it; no column mixes the two."""
    ht = by_name(project(cms_search, t1bbbb, cms_search.numbers), "ht")
    low, high = "$H_\\mathrm{T}^\\mathrm{miss}$ 300-750 GeV", "$H_\\mathrm{T}^\\mathrm{miss}$ > 750 GeV"
    assert [(c.text, c.group) for c in ht.columns] == [
        ("<= 500", low),
        ("500-1000", low),
        ("> 1000", low),
        ("750-1500", high),
        ("> 1500", high),
    ]
    boxes = [{(n - 1) % 10 for n in c.yields.bins} for c in ht.columns]
    assert boxes == [{0, 3}, {1, 4, 6}, {2, 5, 7}, {8}, {9}]


def test_notes_tell_what_is_uneven(cms_search: Search, t1bbbb: SignalModel) -> None:
    """PROJ-4: the note says where edges are uneven, and the selection says how the region is defined."""
    projections = project(cms_search, t1bbbb, cms_search.numbers)
    assert "groups" in by_name(projections, "ht").note
    assert "lower edge" in by_name(projections, "ht").note
    assert by_name(projections, "nb").note == ""
    for one in projections:
        assert one.selection == f"bins that overlap the aggregate in all observables but {one.label}"


def test_columns_with_a_bin_of_the_aggregate_are_marked(cms_search: Search, t1bbbb: SignalModel) -> None:
    """PROJ-2: only the column with a bin of the aggregate is marked."""
    mht = by_name(project(cms_search, t1bbbb, [20]), "mht")
    assert [c.aggregate for c in mht.columns] == [False, False, False, True]


def test_ranges_of_a_bin(cms_search: Search) -> None:
    """SEARCH-1: the ranges of a bin read as a person writes them."""
    ranges = {r.observable: r for r in bin_ranges(cms_search, 160)}
    assert {name: r.text for name, r in ranges.items()} == {
        "njet": ">= 9",
        "nb": ">= 3",
        "ht": "> 1500",
        "mht": "> 750",
    }
    assert ranges["mht"].high is None
    assert ranges["mht"].unit == "GeV"


def test_unknown_bin(cms_search: Search, t1bbbb: SignalModel) -> None:
    """SEARCH-1: a projection of an unknown bin is refused."""
    with pytest.raises(InputError, match="bin 161"):
        project(cms_search, t1bbbb, [161])
