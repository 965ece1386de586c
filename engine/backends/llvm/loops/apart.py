"""Write how an iteration ends in the lanes that go on, where others have ended: these keep their carry and sums."""

from __future__ import annotations

from collections.abc import Sequence

from . import moves
from .memory import Sink, Spot, together
from .writer import Writer


def choose(writer: Writer, carry: Sequence[Spot], fresh: Sequence[Spot], mask: str) -> None:
    """Replace the carry in the lanes that go on, where `%on`."""

    def one(spots: list[Spot], which: Sequence[str]) -> None:
        new, old, key = writer.load(spots[0]), writer.load(spots[1]), writer.temporary()
        type_ = writer.wide.type
        writer.lines.append(f"%z{key} = select {mask} {which[0]}, {type_} {new}, {type_} {old}")
        writer.store(f"%z{key}", spots[1])

    for new, old in pairs_together(list(zip(fresh, carry, strict=True))):
        moves.walk(writer, ("choose",), [new, old], one, [f"{mask} %on"])


def add(writer: Writer, sums: Sequence[Sink], fresh: Sequence[Spot], mask: str) -> None:
    """Add to the sums in the lanes that go on."""

    def one(spots: list[Spot], which: Sequence[str]) -> None:
        new, key, type_ = writer.load(spots[0]), writer.temporary(), writer.wide.type
        writer.lines.append(f"%z{key} = select {mask} {which[0]}, {type_} {new}, {type_} {writer.wide.zero}")
        if spots[1].fold:
            writer.fold(spots[1], [f"%z{key}"])
        else:
            writer.store(writer.sum(f"%z{key}", spots[1]), spots[1])

    with writer.all_lanes():
        for new, total in pairs_together([(new, sink.spot) for new, sink in zip(fresh, sums, strict=True)]):
            moves.walk(writer, ("add chosen",), [new, total], one, [f"{mask} %on"])


def pairs_together(pairs: Sequence[tuple[Spot, Spot]]) -> list[list[Spot]]:
    """Join pairs of numbers that stand at equal distances to pairs of arrays."""
    runs: list[list[tuple[Spot, Spot]]] = []
    for pair in pairs:
        if runs and not pair[0].shape and all(_follows([one[k] for one in runs[-1][-2:]], pair[k]) for k in (0, 1)):
            runs[-1].append(pair)
        else:
            runs.append([pair])
    found = []
    for run in runs:
        joined = [together([pair[k] for pair in run], (len(run),)) for k in (0, 1)]
        found.append([spot for spot in joined if spot is not None] if len(run) > 1 else list(run[0]))
    return found


def _follows(before: Sequence[Spot], spot: Spot) -> bool:
    """Return whether a number stands behind one or two others, at an equal distance."""
    last, step = before[-1], spot.offset - before[-1].offset
    return spot.further(-step) == last and (len(before) == 1 or step == last.offset - before[0].offset)
