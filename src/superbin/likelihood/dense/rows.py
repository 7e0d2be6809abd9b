"""A `StatisticalModel` as rows, one per sample and bin, with what acts on each."""

from dataclasses import dataclass

import numpy as np

from superbin._support.arrays import FloatArray
from superbin.likelihood.dense.effects import BoundFormula, IntArray, Morphs, Pairs
from superbin.statistical_model import (
    BinRates,
    Effect,
    Formula,
    LogMorph,
    LogNormal,
    Morph,
    Rate,
    StatisticalModel,
)
from superbin.statistical_model.expressions import monomial, variables

__all__ = ["Rows", "Total", "make_rows"]


@dataclass(frozen=True, slots=True, eq=False)
class Total:
    """A sample whose morphed rows are scaled to add up to a total.

    Attributes
    ----------
    rows : array of int
        Its rows.
    columns : array of int
        Positions of the parameters that morph it.
    entries : array of int
        Its entries of the additive morphs.
    log_entries : array of int
        Its entries of the logarithmic ones.
    total : float
        The sum.
    """

    rows: IntArray
    columns: IntArray
    entries: IntArray
    log_entries: IntArray
    total: float


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """All rows, those of a bin together, in the order of the bins.

    Factors are numbered: log-normal pairs, then one for each parameter as a rate, then formulas, powers of parameters, constants. Logarithmic
    derivatives ("slopes") are numbered alike, but a formula has one for each of its parameters, and a constant none. Formulas that are products of
    powers become rates, powers and constants, whose logarithms do not mix parameters.

    Attributes
    ----------
    bin : array of int, shape (n_rows,)
        Bin of each row.
    nominal : array, shape (n_rows,)
        Events before any effect.
    pairs, morphs, formulas
        The effects.
    factor_of_entry : array of int
        Factors in the order of the rows they act on.
    rows_with_factors, first_entry : array of int
        Rows that have factors, and where theirs begin in `factor_of_entry`.
    slope_row, slope_parameter, slope : array of int
        For each row and parameter of a factor the number of the slope.
    formula_rows : tuple of array of int
        Rows that each formula acts on.
    powers : tuple of (array of int, array)
        Position and exponent of the powers.
    constants : array
        Values of the constants.
    log_morphs : Morphs
        What is added to the logarithms of rows.
    floor : array, shape (n_rows,)
        Least value of a morphed row.
    totals : tuple of Total
        Samples whose morphed rows are scaled to a sum.
    errors : array, shape (n_rows,)
        Statistical errors, zero where no parameter shifts the bin.
    shifted, shift : array of int
        Bins with a statistical parameter, and its position.
    """

    bin: IntArray
    nominal: FloatArray
    pairs: Pairs
    morphs: Morphs
    formulas: tuple[BoundFormula, ...]
    factor_of_entry: IntArray
    rows_with_factors: IntArray
    first_entry: IntArray
    slope_row: IntArray
    slope_parameter: IntArray
    slope: IntArray
    formula_rows: tuple[IntArray, ...]
    powers: tuple[IntArray, FloatArray]
    constants: FloatArray
    log_morphs: Morphs
    floor: FloatArray
    totals: tuple[Total, ...]
    errors: FloatArray
    shifted: IntArray
    shift: IntArray


class _Collector:
    """Walks through a model and lists what acts on which row."""

    def __init__(self, model: StatisticalModel) -> None:
        self.model = model
        self.bin: list[int] = []
        self.nominal: list[float] = []
        self.pairs: list[tuple[int, float, float, str]] = []
        self.morphs: list[tuple[int, int, float, float, str, float]] = []
        self.log_morphs: list[tuple[int, int, float, float, str, float]] = []
        self.floor: list[float] = []
        self.errors: list[float] = []
        self.totals: list[tuple[list[int], float]] = []
        self.shifts: list[tuple[int, int]] = []
        self.formulas: dict[Formula, int] = {}
        self.on_pair: list[tuple[int, int]] = []
        self.on_rate: list[tuple[int, int]] = []
        self.on_formula: list[tuple[int, int]] = []
        self.powers: dict[tuple[int, float], int] = {}
        self.on_power: list[tuple[int, int]] = []
        self.constants: dict[float, int] = {}
        self.on_constant: list[tuple[int, int]] = []
        first_bin = 0
        for channel in model.channels:
            n, first_row = channel.observed.size, len(self.bin)
            named = channel.statistics or (None,) * n
            self.shifts += [
                (first_bin + b, model.position(name)) for b, name in enumerate(named) if name is not None
            ]
            for b in range(n):
                for sample in channel.samples:
                    self.bin.append(first_bin + b)
                    self.nominal.append(float(sample.nominal[b]))
                    self.floor.append(sample.floor)
                    counted = sample.errors is not None and named[b] is not None
                    self.errors.append(
                        float(sample.errors[b]) if counted and sample.errors is not None else 0.0
                    )
            for k, sample in enumerate(channel.samples):
                rows = [first_row + b * len(channel.samples) + k for b in range(n)]
                if sample.total is not None:
                    self.totals.append((rows, sample.total))
                for effect in sample.effects:
                    self._add(effect, rows)
            first_bin += n

    def _add(self, effect: Effect, rows: list[int]) -> None:
        position = self.model.position
        match effect:
            case LogNormal():
                self.on_pair += [(row, len(self.pairs)) for row in rows]
                self.pairs.append((position(effect.parameter), effect.low, effect.high, effect.code))
            case Rate():
                self.on_rate += [(row, position(effect.parameter)) for row in rows]
            case BinRates():
                named = zip(rows, effect.parameters, strict=True)
                self.on_rate += [(row, position(name)) for row, name in named if name is not None]
            case Formula():
                self._add_formula(effect, rows)
            case Morph():
                j = position(effect.parameter)
                self.morphs += [
                    (row, j, float(low), float(high), effect.code, effect.region)
                    for row, low, high in zip(rows, effect.low, effect.high, strict=True)
                ]
            case LogMorph():
                j = position(effect.parameter)
                self.log_morphs += [
                    (row, j, float(low), float(high), "combine", effect.region)
                    for row, low, high in zip(rows, effect.low, effect.high, strict=True)
                ]

    def _add_formula(self, formula: Formula, rows: list[int]) -> None:
        product = monomial(formula.expression)
        if product is None:
            number = self.formulas.setdefault(formula, len(self.formulas))
            self.on_formula += [(row, number) for row in rows]
            return
        coefficient, powers = product
        for name, power in powers.items():
            j = self.model.position(name)
            if power == 1:
                self.on_rate += [(row, j) for row in rows]
            elif power != 0:
                number = self.powers.setdefault((j, power), len(self.powers))
                self.on_power += [(row, number) for row in rows]
        if coefficient != 1:
            number = self.constants.setdefault(coefficient, len(self.constants))
            self.on_constant += [(row, number) for row in rows]


def _columns(entries: list[tuple[int, int]]) -> tuple[IntArray, IntArray]:
    table = np.array(entries, dtype=np.intp).reshape(-1, 2)
    return table[:, 0], table[:, 1]


def make_rows(model: StatisticalModel) -> Rows:
    """Compile a model."""
    found, n = _Collector(model), len(model.parameters)
    pairs = Pairs.make(found.pairs)
    formulas = tuple(
        BoundFormula(f.expression, names, tuple(model.position(name) for name in names))
        for f in found.formulas
        for names in [variables(f.expression)]
    )
    pair_row, pair = _columns(found.on_pair)
    rate_row, rate = _columns(found.on_rate)
    formula_row, formula = _columns(found.on_formula)
    n_pairs = pairs.parameter.size

    power_row, power = _columns(found.on_power)
    constant_row, constant = _columns(found.on_constant)
    first_power = n_pairs + n + len(formulas)

    row = np.concatenate([pair_row, rate_row, formula_row, power_row, constant_row])
    factor = np.concatenate(
        [
            pair,
            n_pairs + rate,
            n_pairs + n + formula,
            first_power + power,
            first_power + len(found.powers) + constant,
        ]
    )
    order = np.argsort(row, kind="stable")
    rows_with_factors, first_entry = np.unique(row[order], return_index=True)

    slope_row, slope_parameter, slope = (
        [pair_row, rate_row],
        [pairs.parameter[pair], rate],
        [pair, n_pairs + rate],
    )
    formula_rows, number = [], n_pairs + n
    for k, bound in enumerate(formulas):
        touched = formula_row[formula == k]
        formula_rows.append(touched)
        for j in bound.positions:
            slope_row.append(touched)
            slope_parameter.append(np.full(touched.size, j, dtype=np.intp))
            slope.append(np.full(touched.size, number, dtype=np.intp))
            number += 1
    position = np.array([j for j, _ in found.powers], dtype=np.intp)
    slope_row.append(power_row)
    slope_parameter.append(position[power])
    slope.append(number + power)
    morphs, log_morphs = Morphs.make(found.morphs), Morphs.make(found.log_morphs)
    shifted, shift = _columns(found.shifts)
    return Rows(
        bin=np.array(found.bin, dtype=np.intp),
        nominal=np.array(found.nominal, dtype=np.float64),
        pairs=pairs,
        morphs=morphs,
        formulas=formulas,
        factor_of_entry=factor[order],
        rows_with_factors=rows_with_factors,
        first_entry=first_entry,
        slope_row=np.concatenate(slope_row),
        slope_parameter=np.concatenate(slope_parameter),
        slope=np.concatenate(slope),
        formula_rows=tuple(formula_rows),
        powers=(position, np.array([p for _, p in found.powers], dtype=np.float64)),
        constants=np.array(list(found.constants), dtype=np.float64),
        log_morphs=log_morphs,
        floor=np.array(found.floor, dtype=np.float64),
        totals=tuple(_total(rows, total, morphs, log_morphs) for rows, total in found.totals),
        errors=np.array(found.errors, dtype=np.float64),
        shifted=shifted,
        shift=shift,
    )


def _total(rows: list[int], total: float, morphs: Morphs, log_morphs: Morphs) -> Total:
    entries, log_entries = (np.flatnonzero(np.isin(m.row, rows)) for m in (morphs, log_morphs))
    columns = np.unique(np.concatenate([morphs.parameter[entries], log_morphs.parameter[log_entries]]))
    return Total(np.array(rows, dtype=np.intp), columns, entries, log_entries, total)
