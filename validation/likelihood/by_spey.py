"""The limit of all 520 channels by spey with superbin as its backend.

    python validation/likelihood/by_spey.py

Needs ``superbin[spey]``. Prints spey's observed limit, superbin's own, and CPU times: of the first question, of the same question again (every fit is kept), and of
superbin's limit with all its bands.
"""

import math
import time
from collections.abc import Callable
from importlib.util import find_spec
from typing import TypeVar

from superbin.catalog import open_catalog
from superbin.likelihood.counting import CountingLikelihood

T = TypeVar("T")


def timed(what: str, action: Callable[[], T]) -> T:
    began = time.process_time()
    result = action()
    print(f"{what}: {result} in {time.process_time() - began:.2f} s")
    return result


def main() -> None:
    if find_spec("spey") is None:
        print("skipped: spey is not installed; pip install superbin[spey]")
        return
    import spey

    with open_catalog("sqlite://") as catalog:
        search = catalog.search("cms-pas-sus-16-014")
        signal = catalog.signal(search, "T1bbbb", (1750, 1))
        published = catalog.published_likelihood(search)

    def engine() -> CountingLikelihood:
        return CountingLikelihood(published.model(signal.yields))

    model = spey.get_backend("superbin")(source=engine(), analysis=signal.label, xsection=math.nan)
    timed("spey, observed limit", model.poi_upper_limit)
    timed("spey, again", model.poi_upper_limit)
    timed("superbin, observed limit with all bands", lambda: engine().limit().observed)


if __name__ == "__main__":
    main()
