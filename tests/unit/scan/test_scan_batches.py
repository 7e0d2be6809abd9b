"""Sizes of the batches that workers get: clause SCAN-12."""

from hypothesis import given
from hypothesis import strategies as st

from superbin.scan.distribute import fitting_size


def test_a_batch_is_a_second_of_work() -> None:
    """SCAN-12: 50 ms a point are 20 together, 3 s a point one; before anything is known the first size holds."""
    assert fitting_size(2, 1000, 6, None) == 2
    assert fitting_size(2, 1000, 6, 0.05) == 20
    assert fitting_size(5, 1000, 6, 3.0) == 1
    # Near the end every worker gets a share of what is left.
    assert fitting_size(1, 36, 6, 0.05) == 3
    # Dask takes more batches than it has workers.
    assert fitting_size(50, 100_000, 2048, 0.01) == 50


@given(
    st.integers(1, 50),
    st.integers(1, 10**6),
    st.integers(1, 4096),
    st.floats(0, 1e4),
)
def test_batches_are_never_empty_nor_long(first: int, left: int, in_flight: int, seconds: float) -> None:
    """SCAN-12: a batch has at least one point, and more only if they take no more than a second together."""
    size = fitting_size(first, left, in_flight, seconds)
    assert 1 <= size <= max(first, left)
    assert size == 1 or size * seconds <= 1.0 + 1e-9
