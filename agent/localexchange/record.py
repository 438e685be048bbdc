"""A source's minutes at hand: blocks, their flows, the paths of single minutes.

Belongs here: loading what is asked for and forgetting the oldest of it. Stays true: what is kept equals what
would be made anew; when an intervention changed the future, only its blocks are made anew.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

import numpy as np
import numpy.typing as npt

from agent.localexchange.bars import Flows, flows_of, joined_flows
from agent.localexchange.interventions import Interventions
from agent.localexchange.minutes import BLOCK_MINUTES, Minutes, MinuteSource, joined
from agent.localexchange.noise import Ints
from agent.localexchange.path import Seconds, seconds_of

_BLOCKS_KEPT: Final = 160
_PATHS_KEPT: Final = 8


class Record:
    """Base data of one pair, from `first_minute` on."""

    def __init__(self, source: MinuteSource, seed: int, first_minute: int) -> None:
        self.first_minute = first_minute
        self.interventions = Interventions(source)
        self._seed = seed
        self._blocks: OrderedDict[int, Minutes] = OrderedDict()
        self._flows: dict[int, Flows] = {}
        self._paths: OrderedDict[int, Seconds] = OrderedDict()

    @property
    def end_minute(self) -> int | None:
        return self.interventions.end_minute

    def whole(self, from_minutes: Ints, to_minutes: Ints) -> npt.NDArray[np.bool_]:
        """Of several spans [from, to): whether every minute of it is recorded."""
        holes = self.interventions.holes
        inside = np.searchsorted(holes, to_minutes) - np.searchsorted(holes, from_minutes)
        whole: npt.NDArray[np.bool_] = (inside == 0) & (from_minutes >= self.first_minute)
        if self.end_minute is not None:
            whole &= to_minutes <= self.end_minute
        return whole

    def minutes(self, from_minute: int, to_minute: int) -> Minutes:
        """Base candles of [from_minute, to_minute), which must not be empty."""
        assert from_minute < to_minute
        parts = _parts(from_minute, to_minute)
        return joined([self._block(i).cut(part.start, part.stop) for i, part in parts])

    def flows(self, from_minute: int, to_minute: int) -> Flows:
        """What the paths of these minutes add up to."""
        return joined_flows([self._block_flows(i).cut(part) for i, part in _parts(from_minute, to_minute)])

    def path(self, minute: int) -> Seconds:
        """The sixty trades of one minute."""
        path = self._paths.get(minute)
        if path is None:
            path = self.interventions.own_path(minute)
            if path is None:
                path = seconds_of(self.minutes(minute, minute + 1), self._seed)
            self._paths[minute] = path
            if len(self._paths) > _PATHS_KEPT:
                self._paths.popitem(last=False)
        return path

    def exists(self, minute: int) -> bool:
        """Whether anything was traded in that minute."""
        end = self.end_minute
        if minute < self.first_minute or (end is not None and minute >= end):
            return False
        return bool(self._block(minute // BLOCK_MINUTES).traded[minute % BLOCK_MINUTES])

    def changed_from(self, minute: int) -> None:
        """An intervention changed this minute or later ones: make them anew when asked."""
        for index in [i for i in self._blocks if (i + 1) * BLOCK_MINUTES > minute]:
            del self._blocks[index]
            self._flows.pop(index, None)
        self._paths.clear()

    def _block(self, index: int) -> Minutes:
        block = self._blocks.get(index)
        if block is not None:
            self._blocks.move_to_end(index)
            return block
        block = self._blocks[index] = self.interventions.block(index)
        if len(self._blocks) > _BLOCKS_KEPT:
            forgotten, _ = self._blocks.popitem(last=False)
            self._flows.pop(forgotten, None)
        return block

    def _block_flows(self, index: int) -> Flows:
        flows = self._flows.get(index)
        if flows is None:
            flows = flows_of(seconds_of(self._block(index), self._seed))
            for path in self.interventions.own_paths(index):
                flows.put(path.first % BLOCK_MINUTES, flows_of(path))
            self._flows[index] = flows
        return flows


def _parts(from_minute: int, to_minute: int) -> list[tuple[int, slice]]:
    """The blocks of a span and which of their rows it covers."""
    parts = []
    for index in range(from_minute // BLOCK_MINUTES, (to_minute - 1) // BLOCK_MINUTES + 1):
        first = index * BLOCK_MINUTES
        start, stop = max(from_minute, first) - first, min(to_minute, first + BLOCK_MINUTES) - first
        parts.append((index, slice(start, stop)))
    return parts
