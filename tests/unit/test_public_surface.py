"""What `superbin` exports at the top: a change here is a change for users."""

import pytest

import superbin


def test_top_level_names() -> None:
    """Every name is there and is found where it is first used."""
    assert superbin.__all__ == [
        "AnalysisResult",
        "Estimate",
        "Observable",
        "Process",
        "Search",
        "SignalModel",
        "SuperbinError",
        "analyze",
        "combine",
        "find_signal",
        "load_result",
        "open_catalog",
        "result_from_json",
        "result_to_json",
    ]
    for name in superbin.__all__:
        assert getattr(superbin, name).__name__ == name


def test_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name says what there is."""
    with pytest.raises(AttributeError, match="has no attribute 'analyse'; it has AnalysisResult"):
        _ = superbin.analyse
