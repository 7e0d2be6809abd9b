"""Counting cards with every kind of nuisance, formula and edit: expectations worked out by hand, and a fuzzed parser."""

import math
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import gamma as gamma_distribution

from superbin.errors import DocumentError, InputError, SuperbinError
from superbin.io.datacards import CODES, lint, read_datacards, repeated
from superbin.io.datacards.formulas import parse_formula
from superbin.io.datacards.parse import parse_card
from superbin.likelihood import read, read_cards
from superbin.statistical_model import Normal
from superbin.statistical_model.expressions import evaluate

CARD = """\
imax 2
jmax 1
kmax *
bin a b
observation 5 6
bin a a b b
process s t s t
process 0 1 0 1
rate 1 4 2 5
"""


def card(folder: Path, lines: str, *, text: str = CARD) -> Path:
    path = folder / "card.txt"
    path.write_text(text + lines, encoding="utf-8")
    return path


def expected(path: Path, mass: float | None = None, **values: float) -> list[float]:
    likelihood = read(path, mass=mass)
    return [round(v, 10) for v in likelihood.expected({"r": 1.0, **values}).tolist()]


# ------------------------------------------------------------------ kinds


def test_measured_parameters_in_formulas(tmp_path: Path) -> None:
    """CARD-20, CARD-21, CARD-7: param with its constraint and default range; formulas of formulas, r and MH."""
    path = card(
        tmp_path,
        "p param 2 0.5\nq param 1 -0.2/+0.4 [0.1,3]\nf rateParam a t (@0*@1) p,q\nh rateParam b t 1+@0+@1/125. f,MH\n",
    )
    assert expected(path, mass=125, p=3.0, q=2.0) == [1 + 4 * 6, 2 + 5 * (1 + 6 + 1)]
    by_name = {p.name: p for p in read(path, mass=125).description.parameters}
    assert by_name["p"].constraint == Normal(2.0, 0.5)
    assert (by_name["p"].lower, by_name["p"].upper) == (0.0, 4.0)
    assert by_name["q"].constraint == Normal(1.0, 0.4, 0.2)
    assert (by_name["q"].lower, by_name["q"].upper) == (0.1, 3.0)
    with pytest.raises(DocumentError, match=r"card.txt:13: formula 'h' depends on MH"):
        read(path)


def test_asymmetric_measurement(tmp_path: Path) -> None:
    """CARD-20, ENG-19: the error below the mean is another one."""
    likelihood = read(card(tmp_path, "q param 1 -0.2/+0.4\nf rateParam a t (@0) q\n"))
    poisson = [
        sum(m - n * math.log(m) for m, n in zip((1 + 4 * q, 7.0), (5, 6), strict=True)) for q in (0.8, 1.4)
    ]
    difference = likelihood.nll({"r": 1.0, "q": 0.8}) - likelihood.nll({"r": 1.0, "q": 1.4})
    assert difference == pytest.approx(poisson[0] - poisson[1] + 0.5 * ((0.2 / 0.2) ** 2 - 1), abs=1e-12)


def test_nuisances_that_act_twice(tmp_path: Path) -> None:
    """CARD-36: Combine keeps both lines of a name, so their factors multiply; the lint says so."""
    path = card(tmp_path, "k lnN - 1.1 - 1.2\nk lnN - 1.3 - 0.8/1.25\n")

    def pair(x: float, low: float, high: float) -> float:
        t = 2 * x
        step = math.copysign(1, t) if abs(t) >= 1 else t * (3 * t**4 - 10 * t**2 + 15) / 8
        down, up = math.log(low), math.log(high)
        return math.exp(x * (0.5 * (up - down) + 0.5 * step * (up + down)))

    for k in (-2.0, -0.3, 0.2, 1.0):
        first = 1 + 4 * 1.1**k * 1.3**k
        second = 2 + 5 * 1.2**k * pair(k, 0.8, 1.25)
        assert expected(path, k=k) == pytest.approx([first, second])
    remark = next(f for f in lint(read_datacards(path)) if f.code == "acts-twice")
    assert (remark.line, "both lines count, as in Combine" in remark.message) == (11, True)
    flat = card(tmp_path, "k lnU - 1.1 - 0.7/1.2\nk lnU - 1.3 - 0.8/1.25\n")
    for k in (-0.7, 0.4):
        second = 2 + 5 * pair(k, 0.7, 1.2) * pair(k, 0.8, 1.25)
        assert expected(flat, k=k) == pytest.approx([1 + 4 * 1.43**k, second])


def test_lines_of_one_name(tmp_path: Path) -> None:
    """CARD-36, CARD-7: lines of one name on different columns are one parameter; a rateParam twice on a column is its square."""
    lines = (
        "u unif -1 1 - 0.1 - -\nu unif -1 1 - - - 0.2\nm gmM - 0.3 - -\nm gmM - - - 0.3\n"
        "n trG - 0.1 - -\nn trG - - - -0.2\nf rateParam * t 1 [0,5]\nf rateParam b t 2\n"
    )
    path = card(tmp_path, lines)
    u, m, n, f = 0.4, 1.2, 0.3, 1.7
    first = 1 + 4 * (1 + 0.1 * u) * m * (1 + 0.1 * n) * f
    second = 2 + 5 * (1 + 0.2 * u) * m * (1 - 0.2 * n) * f**2
    assert expected(path, u=u, m=m, n=n, f=f) == pytest.approx([first, second])
    likelihood = read(path)
    free = next(p for p in likelihood.description.parameters if p.name == "f")
    assert (free.initial, free.lower, free.upper) == (1.0, 0.0, 5.0)
    assert {f.code for f in lint(read_datacards(path))} >= {"acts-twice", "first-start"}


@pytest.mark.parametrize("order", [1, -1])
def test_constrained_rate(tmp_path: Path, order: int) -> None:
    """CARD-7, CARD-20: a param of the same name constrains a rateParam, as Combine's manual says; an extArg gives its range."""
    lines = ["f rateParam * t 3 [0,9]", "f param 1.0 0.2 [0.3,1.9]"][::order]
    path = card(tmp_path, "\n".join(lines) + "\n")
    assert expected(path, f=1.4) == pytest.approx([1 + 4 * 1.4, 2 + 5 * 1.4])
    likelihood = read(path)
    (f,) = (p for p in likelihood.description.parameters if p.name == "f")
    assert (f.initial, f.lower, f.upper, f.constraint) == (1.0, 0.3, 1.9, Normal(1.0, 0.2))

    def nll(f: float) -> float:
        poisson = sum(m - n * math.log(m) for m, n in zip((1 + 4 * f, 2 + 5 * f), (5, 6), strict=True))
        return poisson + 0.5 * ((f - 1) / 0.2) ** 2

    difference = likelihood.nll({"r": 1.0, "f": 1.4}) - likelihood.nll({"r": 1.0, "f": 0.8})
    assert difference == pytest.approx(nll(1.4) - nll(0.8), abs=1e-12)
    free = read(card(tmp_path, "f extArg 1.5 [1,2]\nf rateParam a t 1\n"))
    (f,) = (p for p in free.description.parameters if p.name == "f")
    assert (f.initial, f.lower, f.upper, f.constraint) == (1.5, 1.0, 2.0, None)


def test_constrained_rate_of_another_card(tmp_path: Path) -> None:
    """CARD-13: the constraint of a rateParam may be in one of several cards."""
    for name, line in (("a", "f rateParam * t 1"), ("b", "f param 1 0.2")):
        (tmp_path / name).mkdir()
        card(tmp_path / name, line + "\n")
    model = read_cards({n: tmp_path / n / "card.txt" for n in "ab"}).description
    assert next(p for p in model.parameters if p.name == "f").constraint == Normal(1.0, 0.2)


def test_combined_cards_expect_what_each_expects(tmp_path: Path) -> None:
    """CARD-13: channels in the order of the cards; every kind of parameter acts on the columns of its own card."""
    first = "k lnN - 1.1 - 0.8/1.3\ng gmN 20 - 0.2 - -\nf rateParam a t 1.5 [0,5]\nu unif -1 3 - 0.1 - -0.2\nh rateParam b t 1+@0 f\n"
    second = "k lnN 1.2 - - -\ng gmN 20 - - - 0.25\nf rateParam b s 1.5 [0,5]\nu unif -1 3 0.3 - - -\nw gmM - 0.3 - -\n"
    values = {"k": 0.7, "g": 1.1, "f": 1.4, "u": 0.5, "w": 1.2}
    paths = {}
    for name, lines in (("run2", first), ("run3", second)):
        (tmp_path / name).mkdir()
        paths[name] = card(tmp_path / name, lines, text=CARD.replace("kmax", f"# {name}\nkmax"))
    known = {name: {k: v for k, v in values.items() if name == "run3" or k != "w"} for name in paths}
    alone = [expected(paths[name], **known[name]) for name in ("run2", "run3")]
    together = read_cards(paths)
    assert [channel.name for channel in together.description.channels] == [
        "run2_a",
        "run2_b",
        "run3_a",
        "run3_b",
    ]
    assert together.expected({"r": 1.0, **values}).tolist() == pytest.approx([*alone[0], *alone[1]], rel=1e-9)


def test_groups_of_one_name_are_one(tmp_path: Path) -> None:
    """CARD-13: with the members of both cards, each once."""
    for name, line in (
        ("1", "k lnN - 1.1 - -\nl lnN - 1.2 - -\nall group = k l\n"),
        ("2", "k lnN 1.1 - - -\nm lnN - 1.2 - -\nall group = m k\n"),
    ):
        text = CARD.replace("bin a b", f"bin a{name} b{name}").replace(
            "bin a a b b", f"bin a{name} a{name} b{name} b{name}"
        )
        (tmp_path / f"{name}.txt").write_text(text + line, encoding="utf-8")
    (group,) = read_datacards([tmp_path / "1.txt", tmp_path / "2.txt"]).groups
    assert (group.name, group.members) == ("all", ("k", "l", "m"))


def test_comments_below_the_table(tmp_path: Path) -> None:
    """CARD-1: Combine cuts lines below the table at any #, above it names of histograms may hold one."""
    assert expected(card(tmp_path, "k lnN - 1.1 - -#nothing\n"), k=1.0) == pytest.approx([5.4, 7.0])


def test_gamma_factor(tmp_path: Path) -> None:
    """CARD-20: gmM has a gamma distribution of mean one; its density is scipy's."""
    likelihood = read(card(tmp_path, "g gmM - 0.3 - 0.3\n"))

    def nll(g: float) -> float:
        means = (1 + 4 * g, 2 + 5 * g)
        poisson = sum(m - n * math.log(m) for m, n in zip(means, (5, 6), strict=True))
        return poisson - float(gamma_distribution.logpdf(g, 1 / 0.09, scale=0.09))

    ours = [likelihood.nll({"r": 1.0, "g": g}) for g in (0.7, 1.0, 1.6)]
    theirs = [nll(g) for g in (0.7, 1.0, 1.6)]
    assert np.diff(ours) == pytest.approx(np.diff(theirs), abs=1e-11)


def test_linear_nuisances(tmp_path: Path) -> None:
    """CARD-20: unif is flat within its range; trG has a unit Gaussian, cut where a rate would vanish."""
    path = card(tmp_path, "u unif -1 3 - 0.1 - -0.2\nv trG - 0.5 - -0.25\n")
    assert expected(path, u=2.0, v=-1.0) == [1 + 4 * 1.2 * 0.5, 2 + 5 * 0.6 * 1.25]
    by_name = {p.name: p for p in read(path).description.parameters}
    assert (by_name["u"].initial, by_name["u"].lower, by_name["u"].upper) == (1.0, -1.0, 3.0)
    assert by_name["u"].constraint is None
    assert (by_name["v"].lower, by_name["v"].upper) == (-2.0, 4.0)


def test_parameters_for_formulas(tmp_path: Path) -> None:
    """CARD-20: extArg with a range or constant, flatParam with a value; bounds of rateParam."""
    path = card(
        tmp_path,
        "e extArg 2 [1,4]\nc extArg 3 [const]\nd flatParam 1.5 [0,2]\nf rateParam a t @0*@1*@2 e,c,d\ng rateParam b t 1\n",
    )
    by_name = {p.name: p for p in read(path).description.parameters}
    assert by_name["c"].fixed
    assert (by_name["e"].lower, by_name["e"].upper, by_name["d"].upper) == (1.0, 4.0, 2.0)
    assert (by_name["g"].lower, by_name["g"].upper) == (-math.inf, math.inf)
    assert expected(path, e=3.0) == [1 + 4 * 13.5, 7.0]
    nothing = read(
        card(tmp_path, "g rateParam b t 1\n", text=CARD.replace("observation 5 6", "observation 5 0"))
    )
    assert nothing.description.parameters[1].lower == 0.0


@pytest.mark.parametrize(("count", "alpha"), [(7, "0.55"), (0, "0.4"), (3, "1.3")])
def test_gamma_counts(tmp_path: Path, count: int, alpha: str) -> None:
    """CARD-6, CARD-23: odd and no counts; the yield is alpha times a Poisson mean, with its range."""
    rate = count * float(alpha)
    text = CARD.replace("rate 1 4 2 5", f"rate 1 {rate:g} 2 5")
    likelihood = read(card(tmp_path, f"g gmN {count} - {alpha} - -\n", text=text))
    assert likelihood.expected({"r": 1.0, "g": 2.5}) == pytest.approx(
        [1 + 2.5 * float(alpha), 7.0], rel=1e-13
    )
    with_count = [likelihood.nll({"r": 1.0, "g": g}) for g in (1.0, 4.0)]
    bins = [
        1 + g * float(alpha) - 5 * math.log(1 + g * float(alpha)) + g - count * math.log(g)
        for g in (1.0, 4.0)
    ]
    assert with_count[1] - with_count[0] == pytest.approx(bins[1] - bins[0], abs=1e-12)
    parameter = likelihood.description.parameters[1]
    assert parameter.lower == 0.0 or math.exp(
        -parameter.lower
    ) * parameter.lower**count < 1e-12 * math.factorial(count)
    assert math.exp(-parameter.upper) * parameter.upper**count < 1e-12 * math.factorial(count)


def test_flat_log_normals(tmp_path: Path) -> None:
    """LIK-2, CARD-23: lnU with one factor is a free rate; with several it lies in [-1, 1]."""
    one = read(card(tmp_path, "u lnU - 2 - 2\n"))
    assert (one.description.parameters[1].lower, one.description.parameters[1].upper) == (0.5, 2.0)
    assert one.expected({"u": 1.5, "r": 0.0}).tolist() == [6.0, 7.5]
    several = read(card(tmp_path, "u lnU - 2 - 3\n"))
    assert several.expected({"u": -1.0, "r": 0.0}) == pytest.approx([2.0, 5 / 3])


# ------------------------------------------------------------------ formulas


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-@0^2", -4.0), ("2^3^2", 512.0), ("2^-1.", 0.5), ("(@0+@1)*@0/@1-1", 7 / 3), ("a*b", 6.0), ("x[1]-x[0]", 1.0),
        ("@0>1 && @1<1 ? 5 : 7", 7.0), ("!(@0==2)", 0.0), ("TMath::Power(@0,3)", 8.0), ("max(@0,@1)-min(@0,@1)", 1.0),
        ("TMath::Exp(-@0)*1e2", 100 * math.exp(-2)), ("log(@0)/log10(100.)", math.log(2) / 2), ("1-2-3", -4.0),
        ("12./2./3.", 2.0), ("TMath::Pi()*pi", math.pi**2), ("+@0--@1", 5.0), ("1/3.", 1 / 3), ("\"@0\"", 2.0),
    ],
)  # fmt: skip
def test_formulas(text: str, value: float) -> None:
    """CARD-21: precedence, powers, conditions, functions."""
    assert evaluate(parse_formula(text, ["a", "b"]), {"a": 2.0, "b": 3.0}).value == pytest.approx(
        value, rel=1e-14
    )


@pytest.mark.parametrize(
    "text",
    [
        "", "@2", "@0+", "1/2", "(1+2)/3*@0", "c", "f(@0)", "@0;@1", "__import__('os')", "@0 @1", "a.b()", "((@0)", "[0]", "@0=1",
        "(" * 200, "-" * 200 + "@0", "1" + "+1" * 400, "x" * 5000, "@0 if @1 else 2", "lambda", "pow(@0)", "max(1,2,3)", "\x00",
    ],
)  # fmt: skip
def test_bad_formulas(text: str) -> None:
    """CARD-21: what is not of the subset is refused with the place in the formula."""
    with pytest.raises(InputError, match="formula"):
        parse_formula(text, ["a", "b"])


@given(st.text("@01x[]ab+-*/^()<>=!&|?:,. e5TMath:Exp", max_size=40))
@settings(max_examples=300, deadline=None)
def test_formulas_fuzzed(text: str) -> None:
    """CARD-21: any text is a formula, whose value is a number or NaN, or an error of one line."""
    said, value = "", 0.0
    try:
        value = evaluate(parse_formula(text, ["a", "b"]), {"a": 2.0, "b": 0.0}).value
    except InputError as error:
        said = str(error)
    assert "\n" not in said
    assert isinstance(value, float)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            "f rateParam a t (@0) z\n",
            r"card.txt:10: formula 'f' names 'z', which no line of the card defines",
        ),
        (
            "f rateParam a t (@0) g\ng rateParam b t (@0) f\n",
            r"card.txt:10: the formulas depend on each other in a circle, f -> g -> f",
        ),
        ("f rateParam a t (@0) f\n", r"the formulas depend on each other in a circle, f -> f"),
    ],
)
def test_bad_references(tmp_path: Path, lines: str, message: str) -> None:
    """CARD-12, CARD-23: unknown parameters and circles, with the line."""
    with pytest.raises(DocumentError, match=message):
        read(card(tmp_path, lines))


# ------------------------------------------------------------------ edits

NUISANCES = "k lnN 1.1 1.2 1.1 0.8\nm lnN - 0.9/1.3 - -\nw lnU - 1.5 - 1.5\nz rateParam b t 2\n"


@pytest.mark.parametrize(
    ("edit", "values", "means"),
    [
        ("add t b m lnN 1.5", {"m": 1.0}, [1 + 4 * 1.3, 2 + 10 * 1.5]),
        ("add t .* n lnN 0.8/1.4", {"n": -1.0}, [1 + 4 * 0.8, 2 + 10 * 0.8]),
        ("add t a k lnN 1.3 overwrite", {"k": 1.0}, [1.1 + 4 * 1.3, 2.2 + 10 * 0.8]),
        ("add t a k lnN 1.3 addq", {"k": 1.0}, [1.1 + 4 * math.exp(math.hypot(math.log(1.2), math.log(1.3))), 2.2 + 10 * 0.8]),
        ("drop t a k", {"k": 1.0}, [1.1 + 4, 2.2 + 10 * 0.8]),
        ("drop * * k", {}, [5.0, 12.0]),
        ("rename k q", {"q": 1.0}, [1.1 + 4 * 1.2, 2.2 + 10 * 0.8]),
        ("rename t * k q", {"q": 1.0, "k": -1.0}, [1 / 1.1 + 4 * 1.2, 2 / 1.1 + 10 * 0.8]),
        ("changepdf k lnU", {"k": -1.0}, [1 / 1.1 + 4 / 1.2, 2 / 1.1 + 10 / 0.8]),
        ("merge t * w k", {"w": 2.0}, None),
        ("split t a m m1 m2 1.1 1.2", {"m1": 1.0, "m2": 1.0}, [1 + 4 * 1.1 * 1.2, 12.0]),
        ("freeze k", {}, [5.0, 12.0]),
        ("freeze z", {}, [5.0, 12.0]),
        ("flip t * k p2n", {"k": 1.0}, [1.1 + 4 / 1.2, 2.2 + 10 * 0.8]),
        ("flip * * k p2n n2p", {"k": 1.0}, [1 / 1.1 + 4 / 1.2, 2 / 1.1 + 10 / 0.8]),
        ("flip t a m p2n", {"m": 1.0}, [1 + 4 / 1.3, 12.0]),
        ("drop nothing a k ifexists", {}, [5.0, 12.0]),
    ],
)  # fmt: skip
def test_edits(tmp_path: Path, edit: str, values: dict[str, float], means: list[float] | None) -> None:
    """CARD-22: each command, on log-normal nuisances, with the factor worked out here."""
    path = card(tmp_path, NUISANCES + f"nuisance edit {edit}\n")
    if means is None:  # lnN and lnU cannot be merged
        with pytest.raises(DocumentError, match=r"card.txt:14: nuisance 'w' is lnU on line 12"):
            read(path)
        return
    assert read(path).expected({"r": 1.0, **values}) == pytest.approx(means, rel=1e-12)


def test_edits_of_parameters(tmp_path: Path) -> None:
    """CARD-22: frozen parameters, merged factors, converted kinds, renamed measurements."""
    frozen = read(card(tmp_path, NUISANCES + "nuisance edit freeze k|z\nnuisance edit freeze m\n"))
    assert {p.name for p in frozen.description.parameters if p.fixed} == {"z", "m"} or {
        p.name for p in frozen.description.parameters if p.fixed
    } == {"k", "z", "m"}
    merged = read(card(tmp_path, "k lnN - 1.2 - -\nm lnN - 1.3 - 1.1\nnuisance edit merge * * k m\n"))
    both = math.exp(math.hypot(math.log(1.2), math.log(1.3)))
    assert merged.parameters == ("r", "k")
    assert merged.expected({"r": 0.0, "k": 1.0}) == pytest.approx([4 * both, 5 * 1.1], rel=1e-12)
    linear = read(card(tmp_path, "k lnN - 1.2 - -\nnuisance edit changepdf k trG\n"))
    assert linear.expected({"r": 0.0, "k": 2.0})[0] == pytest.approx(
        4 * (1 + 2 * round(math.log(1.2), 6)), rel=1e-12
    )
    renamed = read(card(tmp_path, "p param 1 0.1\nf rateParam a t (@0*2.) p\nnuisance edit rename p q\n"))
    assert renamed.expected({"r": 0.0, "q": 1.1})[0] == pytest.approx(8.8)


def test_names_are_shared(tmp_path: Path) -> None:
    """CARD-10: a param of mean 0 and error 1 is the constraint of the log-normal of its name."""
    likelihood = read(card(tmp_path, "k param 0 1\nk lnN - 1.2 - -\nf rateParam b t 1+0.1*@0 k\n"))
    assert likelihood.parameters == ("r", "k")
    assert likelihood.expected({"r": 0.0, "k": 1.0}) == pytest.approx([4.8, 5.5])


# ------------------------------------------------------------------ any text

PIECES = st.sampled_from(
    """imax jmax kmax * - -- / 1 0 -1 1e3 nan bin a b observation process s t rate shapes FAKE h.root $PROCESS $MASS lnN lnU gmN gmM
    shape shape? shapeN param unif trG rateParam extArg flatParam autoMCStats group = += nuisance edit add drop rename changepdf merge
    split freeze flip ifexists addq p2n [0,1] [const] @0 (@0) @0*@1 k,m k m x 1.1 0.9/1.1 -1/+1 # (a+)+ .* \n \n \n""".replace("\n    ", " ").split(" ")
)  # fmt: skip


@given(st.lists(PIECES, max_size=60), st.booleans())
@settings(max_examples=400, deadline=None)
def test_cards_fuzzed(words: list[str], whole: bool) -> None:
    """CARD-12: any words, after a good table or not, are a card or an error that begins with the file, in one line."""
    began, said = time.perf_counter(), "card.txt"
    try:
        parse_card((CARD if whole else "") + " ".join(words), "card.txt")
    except DocumentError as error:
        said = str(error)
    assert said.startswith("card.txt")
    assert "\n" not in said
    assert time.perf_counter() - began < 5


@given(st.lists(PIECES, min_size=2, max_size=30), st.integers(0, 300))
@settings(max_examples=150, deadline=None)
def test_descriptions_fuzzed(tmp_path_factory: pytest.TempPathFactory, words: list[str], cut: int) -> None:
    """CARD-12, CARD-23: what reads is described, or refused in one line."""
    folder = tmp_path_factory.mktemp("fuzz")
    path = card(folder, NUISANCES + " ".join(words))
    path.write_text(path.read_text(encoding="utf-8")[: max(cut, 60)], encoding="utf-8")
    said, value = "", 0.0
    try:
        likelihood = read(path, mass=125)
        value = likelihood.nll(likelihood.initial)
    except SuperbinError as error:
        said = str(error)
    assert "\n" not in said
    assert isinstance(value, float)


def test_nothing_is_executed(tmp_path: Path) -> None:
    """CARD-21: a formula that would create a file does not."""
    target = tmp_path / "made"
    text = f"f rateParam a t open('{target}','w') k\nk extArg 1\n"
    with pytest.raises(DocumentError, match=r"card.txt:10: rateParam 'f': formula"):
        read_datacards(card(tmp_path, text))
    assert not target.exists()


def test_remarks_are_findings(tmp_path: Path) -> None:
    """CARD-16: what an edit does not find, and what nothing uses, is reported with its code."""
    lines = "k lnN - 1.2 - -\nu flatParam\nnuisance edit drop x a k ifexists\n"
    found = lint(read_datacards(card(tmp_path, lines)))
    assert {"edit-nothing", "unused-parameter"} <= {f.code for f in found} <= CODES.keys()


def test_same_histogram_twice(tmp_path: Path) -> None:
    """CARD-18: channels with other histograms of the data are not the same."""
    text = CARD.replace("bin a b\n", "shapes * a h.root $PROCESS\nshapes * b i.root $PROCESS\nbin a b\n")
    text = text.replace("observation 5 6", "observation -1 -1").replace("rate 1 4 2 5", "rate -1 -1 -1 -1")
    assert repeated(read_datacards(card(tmp_path, "", text=text))) == ()
    same = text.replace("i.root", "h.root")
    assert len(repeated(read_datacards(card(tmp_path, "", text=same)))) == 1
