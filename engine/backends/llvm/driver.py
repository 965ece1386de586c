"""Write the LLVM IR around a program's segments: the loop over samples, its tail, and the sums over the batch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from ...programs import size_of
from ..layout import Layout
from . import watch
from .machine import Machine

_FUNCTIONS = 4  # and more are longer than the cache for instructions
_GROUPS = 8
_POINTER = 8  # bytes
_SCRATCH = 200_000  # bytes for the values of all groups, which have to stand in the cache


class Frame:
    """Lay out one worker's memory, in bytes: everything that native code writes apart from the result.

    `total` is what each worker needs; the first worker's holds the arguments' addresses and the shared values, too.
    Functions run `step` samples at a time. A sum over samples has `lanes` lanes, to which a longer vector's parts are
    added one after another. `groups` is how many groups of samples go through one function before the next: code that
    is longer than the processor's cache for instructions is then read once for all of them.
    """

    def __init__(
        self,
        layout: Layout,
        machine: Machine,
        lanes: int,
        shared_slots: int,
        sample_slots: int,
        functions: int = 0,
        vectors: int = 1,
    ) -> None:
        size = machine.size
        width = size * lanes
        self.machine, self.lanes, self.step = machine, lanes, lanes * vectors
        self.scratch_size = -(-width * sample_slots // 64) * 64
        fitting = _SCRATCH // max(1, self.scratch_size)
        self.groups = max(1, min(_GROUPS, fitting)) if functions >= _FUNCTIONS else 1
        outputs = layout.outputs
        self.padded = -(-outputs // lanes) * lanes
        self.total = 0
        self._take(watch.SIZE)
        # Right behind the watch, which functions find that way.
        self.cursors = self._take(_POINTER * (len(layout.sizes) + len(layout.units)))
        self.arguments = self._take(_POINTER * len(layout.sizes))
        self.shared = self._take(size * shared_slots)
        self.tail_in = self._take(size * self.step * layout.numbers if layout.has_batch else 0)
        self.tail_out = self._take(size * self.step * outputs if layout.per_sample else 0)
        self.scratch = self._take(self.scratch_size * self.groups)
        self.group_cursors = self._take(_POINTER * (len(layout.sizes) + len(layout.units)) * self.groups)
        rows = self.padded if layout.reduce else 0
        self.sums = self._take(width * rows)
        self.tail_sums = self._take(width * rows)
        self.partial = self._take(size * rows)

    def _take(self, size: int) -> int:
        place = self.total
        self.total += -(-size // 64) * 64
        return place


def watched(name: str, start: str, stop: str, step: int, body: str, turns: int, cost: int) -> str:
    """Write a counted loop that can be stopped after so many turns of this cost each; 0 turns never look."""
    return in_strips(name, start, stop, step, lambda first, end: loop(name, first, end, step, body), turns, cost)


def in_strips(
    name: str, start: str, stop: str, step: int, inside: Callable[[str, str], str], turns: int, cost: int
) -> str:
    """Write what runs over %name from one number to another so that it can be stopped after so many turns."""
    if not turns:
        return inside(start, stop)
    strip = f"{name}.strip"
    text = watch.look(strip, f"{strip}.done", turns * cost)
    text += f"%{name}.far = add i64 %{strip}, {turns * step}\n%{name}.last = icmp sgt i64 %{name}.far, {stop}\n"
    text += f"%{name}.end = select i1 %{name}.last, i64 {stop}, i64 %{name}.far\n"
    return loop(strip, start, stop, turns * step, text + inside(f"%{strip}", f"%{name}.end"))


def loop(name: str, start: str, stop: str, step: int, body: str, phis: str = "") -> str:
    """Write a counted loop over %name; `phis` are what else it hands on from one turn to the next."""
    return f"""br label %{name}.enter
{name}.enter:
br label %{name}.head
{name}.head:
%{name} = phi i64 [ {start}, %{name}.enter ], [ %{name}.next, %{name}.latch ]
{phis}%{name}.more = icmp slt i64 %{name}, {stop}
br i1 %{name}.more, label %{name}.body, label %{name}.done
{name}.body:
{body}
br label %{name}.latch
{name}.latch:
%{name}.next = add i64 %{name}, {step}
br label %{name}.head
{name}.done:
"""


def at(name: str, base: str, offset: int | str) -> str:
    return f"%{name} = getelementptr i8, ptr {base}, i64 {offset}\n"


def _item(name: str, base: str, index: str) -> str:
    return f"%{name} = getelementptr i64, ptr {base}, i64 {index}\n"


def _table(name: str, numbers: Sequence[int]) -> str:
    return f"@{name} = internal constant [{len(numbers)} x i64] [{', '.join(f'i64 {n}' for n in numbers)}]\n"


def driver(layout: Layout, frame: Frame, shared: list[str], sample: list[str], slots: dict[int, int]) -> str:
    """Return the module with the entries ``run``, ``prepare``, ``part`` and ``finish``.

    ``run(arguments, n, out, work)`` does all; `arguments` points to the addresses of the arrays. To share the work,
    ``prepare(arguments, n, out, work)`` comes first, then ``part(work, t, first, last, n, out)`` for each worker t,
    then ``finish(work, workers, n, out)``.
    """
    count = len(layout.sizes)
    parameters = "ptr %arguments, i64 %n, ptr %out, ptr %work"
    declared = "".join(f"declare void @{name}(ptr, ptr, ptr, ptr)\n" for name in shared + sample)
    prepare = at("cursors", "%work", frame.cursors) + at("shared", "%work", frame.shared)
    for k in range(count):
        prepare += at(f"g{k}", "%arguments", _POINTER * k) + f"%a{k} = load ptr, ptr %g{k}\n"
        prepare += at(f"s{k}", "%work", frame.arguments + _POINTER * k) + f"store ptr %a{k}, ptr %s{k}\n"
        prepare += at(f"c{k}", "%cursors", _POINTER * k) + f"store ptr %a{k}, ptr %c{k}\n"
    prepare += "".join(f"call void @{name}(ptr %cursors, ptr %shared, ptr %work, ptr %out)\n" for name in shared)
    text = watch.poll() + declared + f"define void @prepare({parameters}) #0 {{\n{prepare}ret void\n}}\n"
    run = f"call void @prepare({parameters})\n"
    if layout.has_batch:
        text += _part(layout, frame, sample)
        run += "call void @part(ptr %work, i64 0, i64 0, i64 %n, i64 %n, ptr %out)\n"
    if layout.reduce:
        text += _finish(layout, frame, slots)
        run += "call void @finish(ptr %work, i64 1, i64 %n, ptr %out)\n"
    return text + f"define void @run({parameters}) #0 {{\n{run}ret void\n}}\n"


def _part(layout: Layout, frame: Frame, sample: list[str]) -> str:
    count, units = len(layout.sizes), len(layout.units)
    lanes, step, outputs, width = frame.lanes, frame.step, layout.outputs, frame.machine.size
    rows = [width * size if flag else 0 for size, flag in zip(layout.sizes, layout.batched, strict=True)]
    scattered = [] if layout.reduce else layout.units
    text = _table("strides", [*rows, *[width * size for _, size in scattered]])
    text += _table("starts", [width * start for start, _ in scattered])
    text += (
        "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\ndeclare void @llvm.memset.p0.i64(ptr, i8, i64, i1)\n"
    )

    def calls(sink: str) -> str:
        return "".join(f"call void @{name}(ptr %cursors, ptr %shared, ptr %scratch, ptr {sink})\n" for name in sample)

    def target(name: str, sample_index: str) -> str:
        """Compute the address of a unit's row for one sample in the result."""
        return (
            _item(f"{name}.i", "@starts", f"%{name}")
            + f"%{name}.start = load i64, ptr %{name}.i\n%{name}.block = mul i64 %n, %{name}.start\n"
            + f"%{name}.place = add i64 {count}, %{name}\n"
            + _item(f"{name}.j", "@strides", f"%{name}.place")
            + f"%{name}.stride = load i64, ptr %{name}.j\n%{name}.row = mul i64 {sample_index}, %{name}.stride\n"
            + f"%{name}.offset = add i64 %{name}.block, %{name}.row\n"
            + at(f"{name}.target", "%out", f"%{name}.offset")
            + _item(f"{name}.cursor", "%cursors", f"%{name}.place")
        )

    body = f"%size = mul i64 %t, {frame.total}\n" + at("mine", "%work", "%size")
    body += at("shared", "%work", frame.shared) + at("watch", "%mine", 0)
    for name in ("cursors", "scratch", "sums", "tail_sums", "partial"):
        body += at(name, "%mine", getattr(frame, name))
    for k in range(count):
        body += at(f"s{k}", "%work", frame.arguments + _POINTER * k) + f"%a{k} = load ptr, ptr %s{k}\n"
        body += f"%f{k} = mul i64 %first, {rows[k]}\n" + at(f"b{k}", f"%a{k}", f"%f{k}")
        body += at(f"c{k}", "%cursors", _POINTER * k) + f"store ptr %b{k}, ptr %c{k}\n"
    if scattered:
        body += loop("u", "0", str(units), 1, target("u", "%first") + "store ptr %u.target, ptr %u.cursor")
    if layout.reduce:
        body += f"call void @llvm.memset.p0.i64(ptr %sums, i8 0, i64 {width * lanes * frame.padded}, i1 false)\n"
    cursors, cost = count + len(scattered), watch.cost(layout.program, layout.sample_steps, step // lanes)
    body += f"%length = sub i64 %last, %first\n%rest = srem i64 %length, {step}\n%end = sub i64 %last, %rest\n"
    start = "%first"
    if frame.groups > 1:
        span = step * frame.groups
        body += f"%even = sub i64 %end, %first\n%odd = srem i64 %even, {span}\n%blocks = sub i64 %end, %odd\n"
        body += at("group_cursors", "%mine", frame.group_cursors)
        body += watched("b", "%first", "%blocks", span, _block(frame, cursors, sample), 1, frame.groups * cost)
        start = "%blocks"
    whole = calls("%sums") + loop("k", "0", str(cursors), 1, _advance("k", step))
    body += watched("i", start, "%end", step, whole, watch.turns(cost, None), cost)
    body += "%ragged = icmp sgt i64 %rest, 0\nbr i1 %ragged, label %tail, label %folding\ntail:\n"
    group = lanes if layout.reduce else step
    for k in range(count):
        body += f"%tc{k} = load ptr, ptr %c{k}\n" if layout.batched[k] else ""
    fill = f"%over = sub i64 %rest, %t0\n%full = icmp sgt i64 %over, {group}\n"
    fill += f"%live = select i1 %full, i64 {group}, i64 %over\n"
    for k in range(count):
        if layout.batched[k]:
            fill += at(f"to{k}", "%mine", frame.tail_in + width * step * layout.starts[k])
            fill += _filled(k, rows[k], group, step)
    if layout.reduce:
        fill += f"call void @llvm.memset.p0.i64(ptr %tail_sums, i8 0, i64 {width * lanes * outputs}, i1 false)\n"
        body += loop("t0", "0", "%rest", group, fill + calls("%tail_sums") + _merge_tail(frame, outputs))
    else:
        body += "%t0 = add i64 0, 0\n" + fill + at("tail_out", "%mine", frame.tail_out)
        aside = target("v", "%end") + f"%v.aside = mul i64 %v.start, {step}\n" + at("v.buffer", "%tail_out", "%v.aside")
        body += loop("v", "0", str(units), 1, aside + "store ptr %v.buffer, ptr %v.cursor") + calls("%tail_out")
        back = target("w", "%end") + f"%w.aside = mul i64 %w.start, {step}\n" + at("w.buffer", "%tail_out", "%w.aside")
        back += "%w.bytes = mul i64 %w.stride, %rest\n"
        back += "call void @llvm.memcpy.p0.p0.i64(ptr %w.target, ptr %w.buffer, i64 %w.bytes, i1 false)"
        body += loop("w", "0", str(units), 1, back)
    body += "br label %folding\nfolding:\n"
    if layout.reduce:
        body += loop("j", "0", str(frame.padded), lanes, _fold(frame))
    head = "define void @part(ptr %work, i64 %t, i64 %first, i64 %last, i64 %n, ptr %out) #0"
    return text + f"{head} {{\n{body}ret void\n}}\n"


def _filled(k: int, row: int, group: int, step: int) -> str:
    """Copy the left-over rows of an argument to a place where full vectors can be read.

    Beside those that are live stand copies of the first, up to a group; then copies of the group, up to a step.
    """
    copy = "call void @llvm.memcpy.p0.p0.i64(ptr {}, ptr {}, i64 {}, i1 false)"
    text = f"%tp{k} = mul i64 %t0, {row}\n" + at(f"tf{k}", f"%tc{k}", f"%tp{k}") + f"%tn{k} = mul i64 %live, {row}\n"
    text += copy.format(f"%to{k}", f"%tf{k}", f"%tn{k}") + "\n"
    one = f"%r{k}.n = mul i64 %r{k}, {row}\n" + at(f"r{k}.to", f"%to{k}", f"%r{k}.n")
    text += loop(f"r{k}", "%live", str(group), 1, one + copy.format(f"%r{k}.to", f"%to{k}", row))
    for place in range(group, step, group):
        text += (
            at(f"ts{k}.{place}", f"%to{k}", place * row) + copy.format(f"%ts{k}.{place}", f"%to{k}", group * row) + "\n"
        )
    return text + f"store ptr %to{k}, ptr %c{k}\n"


def _advance(name: str, samples: int) -> str:
    """Advance a cursor by some samples."""
    return (
        _item(f"{name}.i", "@strides", f"%{name}")
        + f"%{name}.stride = load i64, ptr %{name}.i\n%{name}.step = mul i64 %{name}.stride, {samples}\n"
        + _item(f"{name}.cursor", "%cursors", f"%{name}")
        + f"%{name}.old = load ptr, ptr %{name}.cursor\n"
        + at(f"{name}.new", f"%{name}.old", f"%{name}.step")
        + f"store ptr %{name}.new, ptr %{name}.cursor"
    )


def _block(frame: Frame, cursors: int, sample: list[str]) -> str:
    """Run each function for all groups of a block before the next; each group has its own cursors and scratch."""
    copy = f"%g.first = mul i64 %g, {cursors}\n" + _item("g.row", "%group_cursors", "%g.first")
    copy += f"%g.samples = mul i64 %g, {frame.step}\n"
    one = _item("m.i", "@strides", "%m") + "%m.stride = load i64, ptr %m.i\n"
    one += "%m.step = mul i64 %m.stride, %g.samples\n"
    one += _item("m.cursor", "%cursors", "%m") + "%m.old = load ptr, ptr %m.cursor\n"
    one += at("m.new", "%m.old", "%m.step") + _item("m.to", "%g.row", "%m") + "store ptr %m.new, ptr %m.to"
    text = loop("g", "0", str(frame.groups), 1, copy + loop("m", "0", str(cursors), 1, one))
    for place, function in enumerate(sample):
        name = f"h{place}"
        call = f"%{name}.first = mul i64 %{name}, {cursors}\n"
        call += _item(f"{name}.cursors", "%group_cursors", f"%{name}.first")
        call += f"%{name}.offset = mul i64 %{name}, {frame.scratch_size}\n"
        call += at(f"{name}.scratch", "%scratch", f"%{name}.offset")
        call += f"call void @{function}(ptr %{name}.cursors, ptr %shared, ptr %{name}.scratch, ptr %sums)"
        text += loop(name, "0", str(frame.groups), 1, call)
    return text + loop("l", "0", str(cursors), 1, _advance("l", frame.step * frame.groups))


def _merge_tail(frame: Frame, outputs: int) -> str:
    """Add only the lanes that hold samples, not copies, to the sums; of repeated ones, a share."""
    lanes, copies, machine = frame.lanes, frame.step // frame.lanes, frame.machine
    type_, width = machine.type(lanes), machine.size * lanes
    text = f"%ri = insertelement <{lanes} x i64> poison, i64 %live, i64 0\n"
    text += f"%rs = shufflevector <{lanes} x i64> %ri, <{lanes} x i64> poison, <{lanes} x i32> zeroinitializer\n"
    text += f"%alive = icmp slt <{lanes} x i64> <{', '.join(f'i64 {k}' for k in range(lanes))}>, %rs\n"
    body = f"%q.b = mul i64 %q, {width}\n" + at("q.x", "%sums", "%q.b") + at("q.y", "%tail_sums", "%q.b")
    body += f"%q.s = load {type_}, ptr %q.x\n%q.t = load {type_}, ptr %q.y\n"
    body += f"%q.d = fmul {type_} %q.t, splat ({machine.scalar} {1.0 / copies})\n"
    body += f"%q.m = select <{lanes} x i1> %alive, {type_} %q.d, {type_} splat ({machine.scalar} 0.0)\n"
    body += f"%q.n = fadd {type_} %q.s, %q.m\nstore {type_} %q.n, ptr %q.x"
    return text + loop("q", "0", str(outputs), 1, body)


def _fold(frame: Frame) -> str:
    """Add up the lanes of as many sums as there are lanes: halves of pairs at a time, so that no lane idles."""
    lanes, size = frame.lanes, frame.machine.size
    type_, width = frame.machine.type(lanes), size * lanes
    text = f"%j.b = mul i64 %j, {width}\n" + at("j.x", "%sums", "%j.b")
    names = []
    for k in range(lanes):
        text += at(f"j.p{k}", "%j.x", width * k) + f"%j.v{k} = load {type_}, ptr %j.p{k}\n"
        names.append(f"%j.v{k}")
    block = 1
    while len(names) > 1:
        merged: list[str] = []
        # Within blocks of this many lanes stand sums of different outputs; even blocks meet odd ones.
        even = [lane for start in range(0, lanes, 2 * block) for lane in range(start, start + block)]
        low = []
        for place in range(0, lanes // 2, block):
            low += even[place : place + block] + [lanes + lane for lane in even[place : place + block]]
        first = ", ".join(f"i32 {lane}" for lane in low)
        second = ", ".join(f"i32 {lane + block}" for lane in low)
        for a, b in zip(names[::2], names[1::2], strict=True):
            name = f"%j.f{block}_{len(merged)}"
            text += f"{name}x = shufflevector {type_} {a}, {type_} {b}, <{lanes} x i32> <{first}>\n"
            text += f"{name}y = shufflevector {type_} {a}, {type_} {b}, <{lanes} x i32> <{second}>\n"
            text += f"{name} = fadd {type_} {name}x, {name}y\n"
            merged.append(name)
        names = merged
        block *= 2
    text += f"%j.w = mul i64 %j, {size}\n" + at("j.to", "%partial", "%j.w")
    return text + f"store {type_} {names[0]}, ptr %j.to"


def _finish(layout: Layout, frame: Frame, slots: dict[int, int]) -> str:
    lanes, scalar, size = frame.lanes, frame.machine.scalar, frame.machine.size
    type_, mean = frame.machine.type(lanes), layout.reduce == "mean"
    shapes = layout.program.output_shapes
    shared = [
        (size * start, size * slots[value], size_of(shape))
        for start, value, shape in zip(layout.output_starts, layout.program.outputs, shapes, strict=True)
        if not layout.varying[value]
    ]
    text = "".join(
        _table(f"shared_{name}", [row[k] for row in shared]) for k, name in enumerate(("places", "slots", "sizes"))
    )
    body = at("partial", "%work", frame.partial) + f"%count = sitofp i64 %n to {scalar}\n"
    body += f"%ci = insertelement {type_} poison, {scalar} %count, i64 0\n"
    body += f"%cs = shufflevector {type_} %ci, {type_} poison, <{lanes} x i32> zeroinitializer\n"
    more = f"%t.b = mul i64 %t, {frame.total}\n" + at("t.x", "%j.x", "%t.b") + f"%t.v = load {type_}, ptr %t.x\n"
    more += f"%t.o = load {type_}, ptr %j.x\n%t.n = fadd {type_} %t.o, %t.v\nstore {type_} %t.n, ptr %j.x"
    each = f"%j.w = mul i64 %j, {size}\n" + at("j.x", "%partial", "%j.w") + loop("t", "1", "%workers", 1, more)
    if mean:
        each += f"%j.s = load {type_}, ptr %j.x\n%j.m = fdiv {type_} %j.s, %cs\nstore {type_} %j.m, ptr %j.x"
    body += loop("j", "0", str(frame.padded), lanes, each)
    body += f"call void @llvm.memcpy.p0.p0.i64(ptr %out, ptr %partial, i64 {size * layout.outputs}, i1 false)\n"
    body += at("shared", "%work", frame.shared) + "%none = icmp eq i64 %n, 0\n"
    fix = f"%e.b = mul i64 %e, {size}\n" + at("e.x", "%s.from", "%e.b") + f"%e.v = load {scalar}, ptr %e.x\n"
    if mean:
        fix += f"%e.r = select i1 %none, {scalar} {frame.machine.literal(math.nan)}, {scalar} %e.v\n"
    else:
        fix += f"%e.p = fmul {scalar} %e.v, %count\n%e.r = select i1 %none, {scalar} 0.0, {scalar} %e.p\n"
    fix += at("e.to", "%s.to", "%e.b") + f"store {scalar} %e.r, ptr %e.to"
    each = "".join(
        _item(f"s.{name}", f"@shared_{name}", "%s") + f"%s.{name}.k = load i64, ptr %s.{name}\n"
        for name in ("places", "slots", "sizes")
    )
    each += at("s.from", "%shared", "%s.slots.k") + at("s.to", "%out", "%s.places.k")
    each += loop("e", "0", "%s.sizes.k", 1, fix)
    if shared:
        body += loop("s", "0", str(len(shared)), 1, each)
    return text + f"define void @finish(ptr %work, i64 %workers, i64 %n, ptr %out) #0 {{\n{body}ret void\n}}\n"
