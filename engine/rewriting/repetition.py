"""Find repetition in a program: groups of steps that do the same to different numbers, as an unrolled loop does.

Steps of one operation whose arguments were made in the same way are alike; none of them can depend on another. Like
steps are one column of a group: an iteration each. Where every iteration of one column takes what the same iteration of
another gave, both belong to one group: products, their sum, a bias and an activation are one neuron of a layer.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Container, Hashable, Sequence

from ..operations import table
from ..programs import Loop, Program, View

LEAST = 4  # steps that are worth a group
_MOST = 0.5  # of the steps of a column that runs of several lengths have to hold
_FEW = 3  # arguments of a step that is cheap, and goes where its result is used


Waits = dict[tuple[Hashable, ...], int]


class Group:
    """Columns of steps, by their places; the steps at the same place of all columns are one iteration.

    No group depends on itself by way of others: what a group takes has a lower level, what takes from it a higher one.

    Attributes:
        split: whether a column is a part of a longer one, so that there are other groups like this.
    """

    def __init__(self, level: int) -> None:
        self.level, self.split = level, False
        self.columns: list[list[int]] = []

    @property
    def length(self) -> int:
        """How many iterations there are."""
        return len(self.columns[0])


class Repetition:
    """Find the groups of a program; afterwards `group_of` has the group and iteration of each step in one.

    Args:
        program: where to look.
        loosely: whether loops are alike that take other things that were made before, and none waits for the other.

    >>> from chainrule import tanh, trace
    >>> program = trace(lambda w, x: [tanh(a * x) for a in w], [1.0] * 4, 1.0)
    >>> [group.columns for group in Repetition(program).groups()]
    [[[0, 2, 4, 6], [1, 3, 5, 7]]]
    """

    def __init__(self, program: Program, loosely: bool = False) -> None:
        self.program, self.loosely = program, loosely
        self.maker = [-1] * program.count  # the step that made each value
        for place, ((op, _), first) in enumerate(zip(program.steps, program.firsts, strict=True)):
            self.maker[first : first + op.results] = [place] * op.results
        self.root = list(self.maker)  # the same, but of a view the step that made what it is of
        for (op, args), first in zip(program.steps, program.firsts, strict=True):
            if isinstance(op, View):
                self.root[first] = self.root[args[0]]
        # Views of inputs and constants are nothing but other names: they are no steps here.
        self.places = [
            place
            for place, ((op, _), first) in enumerate(zip(program.steps, program.firsts, strict=True))
            if self.root[first] >= 0 or not isinstance(op, View)
        ]
        self.group_of: dict[int, tuple[Group, int]] = {}
        self.column_of: dict[int, int] = {}  # the first step of each one's column
        self.level = [0] * len(program.steps)
        self.waits: list[Waits] = []  # of each step, where loops are compared loosely
        self._split: set[int] = set()  # steps of columns that were split into runs
        self.depth = self._depths()

    def groups(self) -> list[Group]:
        """Return the groups; no group depends on itself through others."""
        if self.loosely and not self._has_like_loops():
            return []
        alike = self._alike()
        if self.loosely and not self._rank(alike):
            return []
        classes = self._by_users(alike)
        for columns in self._by_depth(self._by_arguments(classes)):
            for column in columns:
                self._join(column)
        self._sink()
        found = list({id(group): group for group, _ in self.group_of.values()}.values())
        return sorted(found, key=lambda group: group.columns[0][0])

    def _has_like_loops(self) -> bool:
        counts = Counter([op for op, _ in self.program.steps if isinstance(op, Loop)])
        return max(counts.values(), default=0) >= LEAST

    # ---- which steps are alike ----

    def _depths(self) -> list[int]:
        depth = [0] * len(self.program.steps)
        for place in self.places:
            args = self.program.steps[place].args
            depth[place] = 1 + max([depth[self.root[k]] for k in args if self.root[k] >= 0], default=0)
        return depth

    def _alike(self) -> list[list[int]]:
        """Return the classes of steps that do the same to values made in the same way."""
        program, inputs = self.program, len(self.program.names)
        known: dict[Hashable, int] = {}
        kinds: list[Hashable] = [known.setdefault(name.split("[")[0], len(known)) for name in program.names]
        kinds += [item.hex() if isinstance(item, float) else item for item in program.constants]
        classes: dict[int, list[int]] = {}
        for place, (op, args) in enumerate(program.steps):
            own = [kinds[k] for k in args]
            if op.any_constant or isinstance(op, Loop):
                own = ["" if inputs <= k < program.offset else kind for k, kind in zip(args, own, strict=True)]
            if self.loosely:
                waits = self._waits(args)
                if isinstance(op, Loop):
                    own = [kind if self.root[k] < 0 else "" for k, kind in zip(args, own, strict=True)]
                    count = waits.get((op, *own), 0) + 1
                    waits = {**waits, (op, *own): count}
                    own.append(count)
                self.waits.append(waits)
            # Parts of one array are alike, as the iterations are that made it.
            what = ("view", op.part[1:]) if isinstance(op, View) else op
            kind = known.setdefault((what, *own), len(known))
            if op is not table.pos and not isinstance(op, View):  # which are nothing but other names
                classes.setdefault(kind, []).append(place)
            kinds += [(kind, column) for column in range(op.results)] if isinstance(op, Loop) else [kind]
        return [column for column in classes.values() if len(column) >= LEAST]

    def _waits(self, args: Sequence[int]) -> Waits:
        """Return how many loops of each kind what is made of some values waits for, one after another."""
        own = {id(self.waits[self.root[k]]): self.waits[self.root[k]] for k in args if self.root[k] >= 0}
        first, *others = own.values() or [{}]
        found = dict(first) if others else first
        for other in others:
            for kind, count in other.items():
                found[kind] = max(count, found.get(kind, 0))
        return found

    def _rank(self, classes: Sequence[list[int]]) -> bool:
        """Make the depth of steps that of their classes; return whether none of these depends on itself."""
        class_of = {place: column[0] for column in classes for place in column}
        takers: dict[int, set[int]] = {}
        missing = Counter[int]()
        for place in self.places:
            unit = class_of.get(place, place)
            for k in self.program.steps[place].args:
                made = self.root[k]
                own = takers.setdefault(class_of.get(made, made), set())
                if made >= 0 and unit not in own:
                    own.add(unit)
                    missing[unit] += 1
        units = {class_of.get(place, place) for place in self.places}
        ready = [unit for unit in units if not missing[unit]]
        rank = dict.fromkeys(ready, 1)
        for unit in ready:
            for taker in takers.get(unit, ()):
                missing[taker] -= 1
                rank[taker] = max(rank.get(taker, 0), rank[unit] + 1)
                if not missing[taker]:
                    ready.append(taker)
        for place in self.places:
            self.depth[place] = rank.get(class_of.get(place, place), 0)
        return len(ready) == len(units)

    def _by_depth(self, classes: Sequence[list[int]]) -> list[list[list[int]]]:
        """Sort columns by the depth of their steps; steps without a column become columns of one."""
        layers: list[list[list[int]]] = [[] for _ in range(max(self.depth, default=0) + 1)]
        for column in classes:
            layers[self.depth[column[0]]].append(column)
        placed = {place for column in classes for place in column}
        for place in self.places:
            if place not in placed:
                layers[self.depth[place]].append([place])
        return layers

    def _by_users(self, classes: Sequence[list[int]]) -> list[list[int]]:
        """Split cheap steps by the columns that use their results, if all parts are large enough."""
        steps, firsts = self.program.steps, self.program.firsts
        users: dict[int, set[tuple[int, int]]] = {}
        found: list[list[int]] = []
        for layer in reversed(self._by_depth(classes)):
            for column in layer:
                parts = [column]
                if len(column) > 1 and self._cheap(column[0]):
                    parts = _parts(column, lambda place: frozenset(users.get(firsts[place], ())))
                for part in parts:
                    number = len(found) if len(part) > 1 else -1
                    if number >= 0:
                        found.append(part)
                    cheap = number >= 0 and self._cheap(part[0])
                    for place in part:
                        for position, value in enumerate(steps[place].args):
                            users.setdefault(value, set()).add((number, position if cheap else 0))
        return found

    def _cheap(self, place: int) -> bool:
        op, args = self.program.steps[place]
        return not isinstance(op, Loop) and len(args) <= _FEW

    def _by_arguments(self, classes: Sequence[list[int]]) -> list[list[int]]:
        """Split columns into equal runs, each taking something that all its steps share."""
        part_of: dict[int, int] = {}
        found: list[list[int]] = []
        steps, root = self.program.steps, self.root
        for layer in self._by_depth(classes):
            for column in layer:
                if len(column) == 1:
                    continue
                made = [tuple([part_of.get(root[k], -1) for k in steps[place].args]) for place in column]
                parts = [own for part in _runs(column, made) for own in self._shared_runs(part)]
                self._split.update(column if len(parts) > 1 else ())
                for number, part in enumerate(parts, len(found)):
                    part_of.update(dict.fromkeys(part, number))
                found += parts
        return found

    def _shared_runs(self, column: list[int]) -> list[list[int]]:
        """Split a column where an argument that is constant for a while changes, slowest first."""
        steps = self.program.steps
        best = [column]
        for values in zip(*[steps[place].args for place in column], strict=True):
            parts = _runs(column, values)
            if len(parts) > 1 and (len(best) == 1 or len(parts) < len(best)):
                best = parts
        return best if len(best) == 1 else [own for part in best for own in self._shared_runs(part)]

    # ---- which columns belong together ----

    def _join(self, column: list[int]) -> None:
        """Put a column into the group that it takes from, merging several if need be, or into a new one."""
        steps, root = self.program.steps, self.root
        made = [[root[k] for k in steps[place].args if root[k] >= 0] for place in column]
        top = max([self.level[place] for own in made for place in own], default=0)
        if len(column) == 1:
            self.level[column[0]] = top + (not isinstance(steps[column[0]].op, View))
            return
        order = self._iterations(made, top, len(column)) if top else {}
        self.column_of.update(dict.fromkeys(column, column[0]))
        if not order or not self._is_uniform(column, order):
            self._enter(Group(top + 1), [column])
            return
        first, *others = sorted(order, key=lambda group: -len(group.columns))
        for group in others:
            match = dict(zip(order[first], order[group], strict=True))
            self._enter(first, [[own[match[k]] for k in range(len(own))] for own in group.columns])
        place_of = dict(zip(order[first], column, strict=True))
        self._enter(first, [[place_of[k] for k in range(len(column))]])

    def _enter(self, group: Group, columns: list[list[int]], *, before: bool = False) -> None:
        group.columns[0:0] = columns if before else []
        group.columns += [] if before else columns
        for column in columns:
            group.split = group.split or column[0] in self._split
            for k, place in enumerate(column):
                self.group_of[place] = group, k
                self.level[place] = group.level

    def _iterations(self, made: list[list[int]], top: int, length: int) -> dict[Group, list[int]]:
        """Return which iteration of each group of the highest level each step takes; nothing if they do not match.

        Whatever else a step takes is of a lower level, so no group comes to depend on itself.
        """
        found: dict[Group, list[int]] = {}
        for k, own in enumerate(made):
            seen: dict[Group, int] = {}
            for place in own:
                if self.level[place] < top:
                    continue
                group, iteration = self.group_of.get(place, (None, -1))
                if group is None or group.length != length or seen.setdefault(group, iteration) != iteration:
                    return {}
            for group, iteration in seen.items():
                found.setdefault(group, []).append(iteration)
            if any(len(iterations) != k + 1 for iterations in found.values()):
                return {}
        return found if all(len(set(iterations)) == length for iterations in found.values()) else {}

    def _is_uniform(self, column: list[int], groups: Container[Group]) -> bool:
        """Return whether all steps of a column take the same of what an iteration of some groups gives."""
        steps = self.program.steps
        return all(
            len({self._way(value, groups) for value in values}) == 1
            for values in zip(*[steps[place].args for place in column], strict=True)
        )

    def _way(self, value: int, groups: Container[Group]) -> tuple[Hashable, ...]:
        """Return which column of these groups gave a value, which result it is, and of which views of that."""
        place = self.root[value]
        if place not in self.group_of or self.group_of[place][0] not in groups:
            return ()
        views = []
        while self.maker[value] != place:
            op, (value,) = self.program.steps[self.maker[value]]
            views.append(op)
        return self.column_of[place], value - self.program.firsts[place], *views

    def _sink(self) -> None:
        """Move groups used by one other group only, iteration by iteration, into that one."""
        steps, root = self.program.steps, self.root
        takers: dict[int, set[int]] = {}
        for place, (op, args) in enumerate(steps):
            for k in args if not isinstance(op, View) else ():
                takers.setdefault(root[k], set()).add(place)
        groups = {id(group): group for group, _ in self.group_of.values()}
        for group in sorted(groups.values(), key=lambda group: -group.level):
            target = self._only_taker(group, takers)
            if target is not None and all(self._is_uniform(column, (group,)) for column in target[0].columns):
                other, match = target
                columns = [[own[match[k]] for k in range(len(own))] for own in group.columns]
                self._enter(other, columns, before=True)

    def _only_taker(self, group: Group, takers: dict[int, set[int]]) -> tuple[Group, dict[int, int]] | None:
        found: Group | None = None
        match: dict[int, int] = {}
        for column in group.columns:
            for k, place in enumerate(column):
                for user in takers.get(place, ()):
                    other, iteration = self.group_of.get(user, (None, -1))
                    if other is group:
                        continue
                    if other is None or (found is not None and other is not found):
                        return None
                    found = other
                    if other.length != group.length or match.setdefault(iteration, k) != k:
                        return None
        return (found, match) if found is not None and len(set(match.values())) == group.length else None


def _parts(column: list[int], key: Callable[[int], Hashable]) -> list[list[int]]:
    """Split a column by a key, if every part is large enough."""
    parts: dict[Hashable, list[int]] = {}
    for place in column:
        parts.setdefault(key(place), []).append(place)
    return list(parts.values()) if min(map(len, parts.values())) >= LEAST else [column]


def _runs(column: list[int], keys: Sequence[Hashable]) -> list[list[int]]:
    """Split a column where its keys change, if the runs are large enough.

    They are of one length; or each length comes several times, for loops around them, and what is short stays alone.
    """
    starts = [0, *[k for k in range(1, len(keys)) if keys[k] != keys[k - 1]]]
    size = len(column) // len(starts)
    if size < LEAST:
        return [column]
    runs = [column[start:end] for start, end in itertools.pairwise([*starts, len(column)])]
    if starts == list(range(0, len(column), size)):
        return runs
    long = [run for run in runs if len(run) >= LEAST]
    is_nested = len(long) >= LEAST and min(Counter(map(len, long)).values()) > 1
    return long if is_nested and sum(map(len, long)) >= _MOST * len(column) else [column]
