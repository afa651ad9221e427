"""The least W of small days exactly, by an integer program, and the relaxation that the bound's prices are dual to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array, eye_array, hstack

from benchmarks.dispatch.bound import Agent, Floats, Priced, Table, Terms, cut
from benchmarks.dispatch.days import MINUTE


class SolverError(Exception):
    """The program was not solved to its optimum; the message is the solver's."""


def least(agents: Sequence[Agent], terms: Terms, grid: float) -> float:
    """The least W of a scheduler that sends only at whole multiples of `grid` seconds after `counted_from`.

    Such a scheduler is one of those that the bound speaks of, so that no bound is above it. The time and memory grow
    fast with agents and points: this is for some agents and about an hour.
    """
    points = np.arange(terms.counted_from, terms.counted_to + grid / 2, grid)
    table = cut(agents, terms, np.tile(points, (len(agents), 1)))
    # A window holds its begin and not its end, as one that begins 60 s later may be full again.
    held = math.ceil(MINUTE / grid)
    windows = [
        np.arange(first * len(agents), min(first + held, len(points)) * len(agents)) for first in range(len(points))
    ]
    row = np.repeat(np.arange(len(windows)), [len(window) for window in windows])
    sends = np.concatenate(windows)
    capacity = csr_array((np.ones(len(sends)), (row, sends)), shape=(len(windows), table.times.size))
    program = _program(table, capacity)
    found = milp(
        program.cost,
        constraints=[
            LinearConstraint(program.switched, 0, 0),
            LinearConstraint(program.sends, -np.inf, terms.per_minute),
        ],
        bounds=Bounds(0, program.highest),
        integrality=np.ones(len(program.cost)),
        options={"mip_rel_gap": 0.0},
    )
    if not found.success:
        raise SolverError(found.message)
    return table.always_on + float(found.fun)


def relaxed(agents: Sequence[Agent], terms: Terms) -> float:
    """The highest bound that any prices prove, as the optimum of the linear program that they are dual to.

    Its sends may be divided, and only their mean over windows is limited. Far slower than `lower_bound`.
    """
    priced = Priced(agents, terms)
    before, share = priced.hats
    send = np.arange(priced.table.times.size)
    size = priced.minutes + 3
    hats = csr_array(
        (np.concatenate((1 - share, share)), (np.concatenate((before, before + 1)), np.concatenate((send, send)))),
        shape=(size, len(send)),
    )
    limited = hats[1 : 1 + priced.minutes]
    program = _program(priced.table, limited)
    found = linprog(
        program.cost,
        A_ub=program.sends,
        b_ub=np.full(limited.shape[0], terms.per_minute),
        A_eq=program.switched,
        b_eq=np.zeros(program.switched.shape[0]),
        bounds=np.column_stack((np.zeros_like(program.highest), program.highest)),
        method="highs-ipm",
    )
    if not found.success:
        raise SolverError(found.message)
    return priced.table.always_on + float(found.fun)


@dataclass(frozen=True, slots=True)
class _Program:
    """Who is off after a point, who is switched off there, who is switched on there: 0 to `highest`, for least cost.

    Agent by agent within a point. `switched` ties the sends to the states, `sends` are those that a limit sums.
    """

    cost: Floats
    highest: Floats
    switched: csr_array
    sends: csr_array


def _program(table: Table, capacity: csr_array) -> _Program:
    points, agents = table.times.shape
    size = points * agents
    same = eye_array(size, format="csr")
    earlier = eye_array(size, k=-agents, format="csr")
    return _Program(
        cost=np.concatenate((table.dearer_off.ravel(), np.zeros(2 * size))),
        highest=np.concatenate((np.ones(size), table.may_off.ravel(), table.may_on.ravel())),
        switched=hstack([same - earlier, -same, same], format="csr"),
        sends=hstack([csr_array((capacity.shape[0], size)), capacity, capacity], format="csr"),
    )
