"""Make the packaged likelihood of CMS-PAS-SUS-16-014 from its 520 datacards.

    python validation/likelihood/pack.py DATACARDS_DIR [--output FILE]

DATACARDS_DIR holds the cards of the signal and control regions, at any depth, as the CMS analysis reinterpretation
package (github.com/jbradmil/CARP, 2016) has them. Equal cards give equal bytes. What is changed on the way is what the
recipe of this archive says (`card-recipe.json` of the packaged search); it is printed and stored in the document.
"""

import argparse
import re
import sys
from pathlib import Path

from superbin.errors import DocumentError, SuperbinError
from superbin.io.datacards import Datacards, parse_recipe, read_datacards
from superbin.likelihood.cards import compile_cards
from superbin.likelihood.packed import write

NAME = "cms-pas-sus-16-014"
BUNDLE = Path(__file__).parents[2] / "src/superbin/data" / NAME
DEFAULT_OUTPUT = BUNDLE / "likelihood.json.gz"
SOURCE = (
    "520 datacards of the CMS analysis reinterpretation package (github.com/jbradmil/CARP, 2016), 12.9 fb^-1, packed by "
    "validation/likelihood/pack.py; the signal systematics are those of the signal the cards were written for"
)


def check_bins(cards: Datacards, document_channels: list[list[object]]) -> None:
    """Check that bin i is the channel ``Binsignal{i}`` and carries the tag its number means."""
    tags = {comment.place.file: comment.text for comment in cards.comments if "tag =" in comment.text}
    files = {channel.name: channel.place.file for channel in cards.channels}
    for name, _, number in document_channels:
        if number is None:
            continue
        assert isinstance(number, int)
        pattern = rf"NJets{number // 40}_BTags{number // 10 % 4}_MHT\d_HT{number % 10}\s*$"
        tag = tags.get(files[str(name)], "")
        if name != f"Binsignal{number}" or re.search(pattern, tag) is None:
            raise DocumentError(f"{files[str(name)]}: bin {number} is channel {name!r} with tag {tag!r}")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("datacards", type=Path)
    parser.add_argument("--output", type=Path, default=DEFAULT_OUTPUT)
    options = parser.parse_args()
    try:
        cards = read_datacards(options.datacards)
        document = compile_cards(
            cards,
            name=NAME,
            source=SOURCE,
            recipe=parse_recipe((BUNDLE / "card-recipe.json").read_text(), BUNDLE / "card-recipe.json"),
            zero_count=("WTopSLHighW", "WTopHadHighW"),
            global_systematics=("lumi", "JetIDUnc", "IsoTrackSigEff"),
            branches={"DYsysNj": (-0.85, 0.88)},
        )
        check_bins(cards, document["channels"])
        write(document, options.output)
    except SuperbinError as error:
        print(f"pack.py: {error}", file=sys.stderr)
        return 2
    print("\n".join(document["notes"]))
    print(f"{options.output}: {options.output.stat().st_size} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
