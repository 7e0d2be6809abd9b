"""Print the numbers that the README quotes: run from anywhere, no arguments, nothing random that shows.

A test compares the output with the README's block, so the two cannot drift apart.
"""

import superbin
from superbin.stats import asymptotic_z, midp_significance, tail_significance


def main() -> None:
    with superbin.open_catalog() as catalog:
        search = catalog.search("cms-pas-sus-16-014")
        signal = catalog.signal("cms-pas-sus-16-014", "T1bbbb", (1750, 1))
    result = superbin.analyze(search, signal, toys=0)
    merged, aggregate = result.merge, result.yields
    print(f"{signal.label} in {search.n_bins} bins: {merged.status} merge of {len(merged.bins)} bins")
    print(
        f"signal {aggregate.signal:.2f}, background {aggregate.background.nominal:.2f}, observed {aggregate.observed}"
    )
    for convention in result.conventions:
        background = convention.background
        print(
            f"correlations {convention.correlations}: background +{background.up:.2f} -{background.down:.2f}, "
            f"exact mid-p Z expected {convention.expected.z:.3f}, observed {convention.observed.z:.3f}"
        )
    print(
        f"greedy search (CMS Mini Analysis Tool): expected Z = {merged.greedy.value:.3f} with {len(merged.greedy.bins)} bins"
    )
    print("n, b +up -down: Z of midp, tail, asymptotic q0")
    for case in ((40, 25, 5, 5), (8, 0.6, 0.5, 0.3), (1000, 700, 60, 55)):
        n, b, up, down = case
        exact, tail, q0 = (f(n, b, up, down) for f in (midp_significance, tail_significance, asymptotic_z))
        print(f"{n}, {b} +{up} -{down}: {exact:.3f}, {tail:.3f}, {q0:.3f}")


if __name__ == "__main__":
    main()
