"""Write the LLVM IR that adds up a batch: lanes without copies of samples, then those of all threads."""

from __future__ import annotations

import math

from ...programs import size_of
from ..layout import Layout
from .frame import Frame
from .turns import at, item, loop, table

ADDED = 64  # numbers that a lane adds up with fewer digits than doubles have


def without_copies(frame: Frame) -> str:
    """Set to 0 the lanes of sums that hold copies of samples."""
    lanes, machine = frame.single, frame.machine
    type_ = machine.type(lanes)
    text = f"%ri = insertelement <{lanes} x i64> poison, i64 %rest, i64 0\n"
    text += f"%rs = shufflevector <{lanes} x i64> %ri, <{lanes} x i64> poison, <{lanes} x i32> zeroinitializer\n"
    text += f"%alive = icmp slt <{lanes} x i64> <{', '.join(f'i64 {k}' for k in range(lanes))}>, %rs\n"
    body = f"%q.b = mul i64 %q, {machine.size * frame.lanes}\n" + at("q.x", "%sums", "%q.b")
    body += f"%q.s = load {type_}, ptr %q.x\n"
    body += f"%q.m = select <{lanes} x i1> %alive, {type_} %q.s, {type_} splat ({machine.scalar} 0.0)\n"
    return text + loop("q", "0", str(frame.wide), 1, body + f"store {type_} %q.m, ptr %q.x")


def add_up(name: str, frame: Frame) -> str:
    """Add up the lanes of all sums."""
    return loop(name, "0", str(frame.padded), frame.lanes, _fold(name, frame))


def _fold(j: str, frame: Frame) -> str:
    """Add up the lanes of as many sums as there are lanes: halves of pairs at a time, so that no lane idles."""
    machine, double, lanes = frame.machine, frame.double, frame.lanes
    type_, width = machine.type(lanes), machine.size * lanes
    text = f"%{j}.b = mul i64 %{j}, {width}\n" + at(f"{j}.x", "%sums", f"%{j}.b")
    names = []
    for k in range(lanes):
        text += at(f"{j}.p{k}", f"%{j}.x", width * k) + f"%{j}.v{k} = load {type_}, ptr %{j}.p{k}\n"
        names.append(f"%{j}.v{k}")
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
            name = f"%{j}.f{block}_{len(merged)}"
            text += f"{name}x = shufflevector {type_} {a}, {type_} {b}, <{lanes} x i32> <{first}>\n"
            text += f"{name}y = shufflevector {type_} {a}, {type_} {b}, <{lanes} x i32> <{second}>\n"
            text += f"{name} = fadd {type_} {name}x, {name}y\n"
            merged.append(name)
        names = merged
        block *= 2
    found, wide = names[0], double.type(lanes)
    text += f"%{j}.w = mul i64 %{j}, {double.size}\n" + at(f"{j}.to", "%partial", f"%{j}.w")
    if frame.narrow:
        text += f"%{j}.e = fpext {type_} {found} to {wide}\n%{j}.o = load {wide}, ptr %{j}.to\n"
        text += f"%{j}.n = fadd {wide} %{j}.o, %{j}.e\n"
        found = f"%{j}.n"
    return text + f"store {wide} {found}, ptr %{j}.to"


def finish(layout: Layout, frame: Frame, slots: dict[int, int]) -> str:
    """Write the function that adds up what all workers found; values that samples share count once for each."""
    lanes, scalar, size = frame.lanes, frame.machine.scalar, frame.machine.size
    mean = layout.reduce == "mean"
    shapes = layout.program.output_shapes
    shared = [
        (size * start, size * slots[value], size_of(shape))
        for start, value, shape in zip(layout.output_starts, layout.program.outputs, shapes, strict=True)
        if not layout.varying[value]
    ]
    text = "".join(
        table(f"shared_{name}", [row[k] for row in shared]) for k, name in enumerate(("places", "slots", "sizes"))
    )
    body = at("partial", "%work", frame.partial) + "%count = sitofp i64 %n to double\n"
    for k, (place, position, count) in enumerate(frame.runs()):
        body += at(f"r{k}.from", "%partial", frame.double.size * place) + at(f"r{k}.to", "%out", size * position)
        whole = count - count % lanes
        body += loop(f"r{k}v", "0", str(whole), lanes, _total(f"r{k}", f"r{k}v", frame, lanes, mean))
        if whole < count:
            body += loop(f"r{k}s", str(whole), str(count), 1, _total(f"r{k}", f"r{k}s", frame, 1, mean))
    body += at("shared", "%work", frame.shared) + "%none = icmp eq i64 %n, 0\n"
    fix = f"%e.b = mul i64 %e, {size}\n" + at("e.x", "%s.from", "%e.b") + f"%e.v = load {scalar}, ptr %e.x\n"
    value, none = "%e.v", frame.machine.literal(math.nan if mean else 0.0)
    if not mean:
        value = "%e.p"
        if frame.narrow:
            fix += f"%e.w = fpext {scalar} %e.v to double\n%e.m = fmul double %e.w, %count\n"
            fix += f"%e.p = fptrunc double %e.m to {scalar}\n"
        else:
            fix += "%e.p = fmul double %e.v, %count\n"
    fix += f"%e.r = select i1 %none, {scalar} {none}, {scalar} {value}\n"
    fix += at("e.to", "%s.to", "%e.b") + f"store {scalar} %e.r, ptr %e.to"
    each = "".join(
        item(f"s.{name}", f"@shared_{name}", "%s") + f"%s.{name}.k = load i64, ptr %s.{name}\n"
        for name in ("places", "slots", "sizes")
    )
    each += at("s.from", "%shared", "%s.slots.k") + at("s.to", "%out", "%s.places.k")
    each += loop("e", "0", "%s.sizes.k", 1, fix)
    if shared:
        body += loop("s", "0", str(len(shared)), 1, each)
    return text + f"define void @finish(ptr %work, i64 %workers, i64 %n, ptr %out) #0 {{\n{body}ret void\n}}\n"


def _total(run: str, name: str, frame: Frame, lanes: int, mean: bool) -> str:
    """Write to the result what all workers have found of some numbers, or the mean of it."""
    machine, double = frame.machine, frame.double
    type_ = double.type(lanes)
    text = f"%{name}.b = mul i64 %{name}, {double.size}\n" + at(f"{name}.x", f"%{run}.from", f"%{name}.b")
    text += f"%{name}.v = load {type_}, ptr %{name}.x, align {double.size}\n"
    one = f"%{name}t.b = mul i64 %{name}t, {frame.total}\n" + at(f"{name}t.x", f"%{name}.x", f"%{name}t.b")
    one += f"%{name}t.v = load {type_}, ptr %{name}t.x, align {double.size}\n"
    one += f"%{name}.n = fadd {type_} %{name}.a, %{name}t.v"
    phi = f"%{name}.a = phi {type_} [ %{name}.v, %{name}t.enter ], [ %{name}.n, %{name}t.latch ]\n"
    text += loop(f"{name}t", "1", "%workers", 1, one, phi)
    found = f"%{name}.a"
    if mean:
        count = "%count"
        if lanes > 1:
            text += f"%{name}.ci = insertelement {type_} poison, double %count, i64 0\n"
            text += f"%{name}.c = shufflevector {type_} %{name}.ci, {type_} poison, <{lanes} x i32> zeroinitializer\n"
            count = f"%{name}.c"
        text += f"%{name}.m = fdiv {type_} {found}, {count}\n"
        found = f"%{name}.m"
    if frame.narrow:
        text += f"%{name}.r = fptrunc {type_} {found} to {machine.type(lanes)}\n"
        found = f"%{name}.r"
    text += f"%{name}.o = mul i64 %{name}, {machine.size}\n" + at(f"{name}.to", f"%{run}.to", f"%{name}.o")
    return text + f"store {machine.type(lanes)} {found}, ptr %{name}.to, align {machine.size}"
