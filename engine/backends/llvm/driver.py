"""Write the LLVM IR around a program's segments: the loop over samples and its tail."""

from __future__ import annotations

from collections.abc import Sequence

from ..layout import Layout
from . import watch
from .frame import POINTER, Frame
from .sums import ADDED, add_up, finish, without_copies
from .turns import at, in_strips, item, loop, table, watched


def driver(
    layout: Layout,
    frame: Frame,
    shared: list[str],
    sample: list[str],
    single: list[str],
    slots: dict[int, int],
    products: Sequence[str] = (),
) -> str:
    """Return the module with the entries ``run``, ``prepare``, ``part`` and ``finish``.

    Of the functions that it calls the `shared` ones run once, those of `sample` on a step of samples, those of `single`
    on one vector of them. After these come `products`, one function for a step and one for a vector, that add to sums
    without lanes what so many samples give.

    ``run(arguments, n, out, work)`` does all; `arguments` points to the addresses of the arrays. To share the work,
    ``prepare(arguments, n, out, work)`` comes first, then ``part(work, t, first, last, n, out)`` for each worker t,
    then ``finish(work, workers, n, out)``.
    """
    count = len(layout.sizes)
    parameters = "ptr %arguments, i64 %n, ptr %out, ptr %work"
    declared = "".join(
        f"declare void @{name}(ptr, ptr, ptr, ptr)\n" for name in dict.fromkeys([*shared, *sample, *single])
    )
    declared += "".join(f"declare void @{name}(ptr, ptr, ptr, i64)\n" for name in dict.fromkeys(products))
    prepare = at("cursors", "%work", frame.cursors) + at("shared", "%work", frame.shared)
    for k in range(count):
        prepare += at(f"g{k}", "%arguments", POINTER * k) + f"%a{k} = load ptr, ptr %g{k}\n"
        prepare += at(f"s{k}", "%work", frame.arguments + POINTER * k) + f"store ptr %a{k}, ptr %s{k}\n"
        prepare += at(f"c{k}", "%cursors", POINTER * k) + f"store ptr %a{k}, ptr %c{k}\n"
    prepare += "".join(f"call void @{name}(ptr %cursors, ptr %shared, ptr %work, ptr %out)\n" for name in shared)
    text = (
        watch.poll()
        + (watch.share() if layout.program.has_loops else "")
        + declared
        + f"define void @prepare({parameters}) #0 {{\n{prepare}ret void\n}}\n"
    )
    run = f"call void @prepare({parameters})\n"
    if layout.has_batch:
        text += _part(layout, frame, sample, single, products)
        run += "call void @part(ptr %work, i64 0, i64 0, i64 %n, i64 %n, ptr %out)\n"
    if layout.reduce:
        text += finish(layout, frame, slots)
        run += "call void @finish(ptr %work, i64 1, i64 %n, ptr %out)\n"
    return text + f"define void @run({parameters}) #0 {{\n{run}ret void\n}}\n"


def _part(layout: Layout, frame: Frame, sample: list[str], single: list[str], products: Sequence[str]) -> str:
    count, units = len(layout.sizes), len(layout.units)
    lanes, step, vector = frame.lanes, frame.step, frame.single
    width = frame.machine.size
    rows = [width * size if flag else 0 for size, flag in zip(layout.sizes, layout.batched, strict=True)]
    scattered = [] if layout.reduce else layout.units
    text = table("strides", [*rows, *[width * size for _, size in scattered]])
    text += table("starts", [width * start for start, _ in scattered])
    text += (
        "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)\ndeclare void @llvm.memset.p0.i64(ptr, i8, i64, i1)\n"
    )

    def calls(names: list[str], sink: str) -> str:
        return "".join(f"call void @{name}(ptr %cursors, ptr %shared, ptr %scratch, ptr {sink})\n" for name in names)

    def with_products(names: list[str], count: str) -> str:
        """Call functions, and then that of their products; it is the second one for a vector of samples."""
        text = calls(names, "%sums")
        if not products:
            return text
        product = products[names is not sample]
        return text + f"call void @{product}(ptr %cursors, ptr %scratch, ptr %plain, i64 {count})\n"

    def target(name: str, sample_index: str) -> str:
        """Compute the address of a unit's row for one sample in the result."""
        return (
            item(f"{name}.i", "@starts", f"%{name}")
            + f"%{name}.start = load i64, ptr %{name}.i\n%{name}.block = mul i64 %n, %{name}.start\n"
            + f"%{name}.place = add i64 {count}, %{name}\n"
            + item(f"{name}.j", "@strides", f"%{name}.place")
            + f"%{name}.stride = load i64, ptr %{name}.j\n%{name}.row = mul i64 {sample_index}, %{name}.stride\n"
            + f"%{name}.offset = add i64 %{name}.block, %{name}.row\n"
            + at(f"{name}.target", "%out", f"%{name}.offset")
            + item(f"{name}.cursor", "%cursors", f"%{name}.place")
        )

    body = f"%size = mul i64 %t, {frame.total}\n" + at("mine", "%work", "%size")
    body += at("shared", "%work", frame.shared) + at("watch", "%mine", 0)
    for name in ("cursors", "scratch", "sums", "partial", "plain"):
        body += at(name, "%mine", getattr(frame, name))
    for k in range(count):
        body += at(f"s{k}", "%work", frame.arguments + POINTER * k) + f"%a{k} = load ptr, ptr %s{k}\n"
        body += f"%f{k} = mul i64 %first, {rows[k]}\n" + at(f"b{k}", f"%a{k}", f"%f{k}")
        body += at(f"c{k}", "%cursors", POINTER * k) + f"store ptr %b{k}, ptr %c{k}\n"
    if scattered:
        body += loop("u", "0", str(units), 1, target("u", "%first") + "store ptr %u.target, ptr %u.cursor")
    if layout.reduce:
        clear = "call void @llvm.memset.p0.i64(ptr {}, i8 0, i64 {}, i1 false)\n"
        body += clear.format("%sums", width * lanes * frame.padded)
        if frame.narrow:
            body += clear.format("%partial", frame.double.size * frame.totals)
        elif products:
            body += clear.format("%plain", frame.double.size * (frame.totals - frame.padded))
    cursors, cost = count + len(scattered), watch.cost(layout.program, layout.sample_steps, 1)

    def through(name: str, first: str, stop: str, span: int, inside: str, turns: int, cost: int) -> str:
        """Run over samples; sums that lanes have few digits for are added up every so often, but at the end."""
        if not frame.narrow:
            return watched(name, first, stop, span, inside, turns, cost)
        own = f"{name}.sums"

        def strip(start: str, end: str) -> str:
            text = watched(name, start, end, span, inside, turns, cost)
            text += f"%{own}.all = icmp eq i64 {end}, {stop}\nbr i1 %{own}.all, label %{own}.kept, label %{own}.up\n"
            text += f"{own}.up:\n" + add_up(f"{own}.j", frame) + clear.format("%sums", width * lanes * frame.padded)
            return text + f"br label %{own}.kept\n{own}.kept:\n"

        return in_strips(own, first, stop, span, strip, max(1, ADDED * lanes // span), 0)

    body += f"%length = sub i64 %last, %first\n%rest = srem i64 %length, {vector}\n%even = sub i64 %last, %rest\n"
    body += f"%loose = srem i64 %length, {step}\n%end = sub i64 %last, %loose\n"
    body += "%ragged = icmp sgt i64 %rest, 0\n"
    filled = ""
    for k in range(count):
        if layout.batched[k]:
            filled += at(f"to{k}", "%mine", frame.tail_in + width * vector * layout.starts[k]) + _filled(
                k, rows[k], vector
            )
    if layout.reduce:
        # The vector that holds copies comes first, while there are no other sums to keep apart from it.
        body += f"br i1 %ragged, label %tail, label %whole\ntail:\n{filled}"
        body += with_products(single, "%rest") + without_copies(frame)
        body += "".join(f"store ptr %b{k}, ptr %c{k}\n" for k in range(count)) + "br label %whole\nwhole:\n"
    start, blocks = "%first", cost * (step // vector)
    if frame.groups > 1:
        span = step * frame.groups
        body += f"%full = sub i64 %end, %first\n%odd = srem i64 %full, {span}\n%blocks = sub i64 %end, %odd\n"
        body += at("group_cursors", "%mine", frame.group_cursors)
        body += through("b", "%first", "%blocks", span, _block(frame, cursors, sample), 1, frame.groups * blocks)
        start = "%blocks"
    whole = with_products(sample, str(step)) + loop("k", "0", str(cursors), 1, _advance("k", step))
    body += through("i", start, "%end", step, whole, watch.turns(blocks, None), blocks)
    if step > vector:
        one = with_products(single, str(vector)) + loop("o", "0", str(cursors), 1, _advance("o", vector))
        body += watched("s", "%end", "%even", vector, one, watch.turns(cost, None), cost)
    if layout.reduce:
        body += add_up("j", frame)
    else:
        body += f"br i1 %ragged, label %tail, label %over\ntail:\n{filled}" + at("tail_out", "%mine", frame.tail_out)
        aside = target("v", "%even") + f"%v.aside = mul i64 %v.start, {vector}\n"
        aside += at("v.buffer", "%tail_out", "%v.aside")
        body += loop("v", "0", str(units), 1, aside + "store ptr %v.buffer, ptr %v.cursor")
        body += calls(single, "%tail_out")
        back = target("w", "%even") + f"%w.aside = mul i64 %w.start, {vector}\n"
        back += at("w.buffer", "%tail_out", "%w.aside") + "%w.bytes = mul i64 %w.stride, %rest\n"
        back += "call void @llvm.memcpy.p0.p0.i64(ptr %w.target, ptr %w.buffer, i64 %w.bytes, i1 false)"
        body += loop("w", "0", str(units), 1, back) + "br label %over\nover:\n"
    head = "define void @part(ptr %work, i64 %t, i64 %first, i64 %last, i64 %n, ptr %out) #0"
    return text + f"{head} {{\n{body}ret void\n}}\n"


def _filled(k: int, row: int, lanes: int) -> str:
    """Copy the left-over rows of an argument to a place where a full vector can be read, beside copies of the first."""
    copy = "call void @llvm.memcpy.p0.p0.i64(ptr {}, ptr {}, i64 {}, i1 false)"
    text = f"%te{k} = mul i64 %even, {row}\n" + at(f"tc{k}", f"%a{k}", f"%te{k}") + f"%tn{k} = mul i64 %rest, {row}\n"
    text += copy.format(f"%to{k}", f"%tc{k}", f"%tn{k}") + "\n"
    one = f"%r{k}.n = mul i64 %r{k}, {row}\n" + at(f"r{k}.to", f"%to{k}", f"%r{k}.n")
    text += loop(f"r{k}", "%rest", str(lanes), 1, one + copy.format(f"%r{k}.to", f"%to{k}", row))
    return text + f"store ptr %to{k}, ptr %c{k}\n"


def _advance(name: str, samples: int) -> str:
    """Advance a cursor by some samples."""
    return (
        item(f"{name}.i", "@strides", f"%{name}")
        + f"%{name}.stride = load i64, ptr %{name}.i\n%{name}.step = mul i64 %{name}.stride, {samples}\n"
        + item(f"{name}.cursor", "%cursors", f"%{name}")
        + f"%{name}.old = load ptr, ptr %{name}.cursor\n"
        + at(f"{name}.new", f"%{name}.old", f"%{name}.step")
        + f"store ptr %{name}.new, ptr %{name}.cursor"
    )


def _block(frame: Frame, cursors: int, sample: list[str]) -> str:
    """Run each function for all groups of a block before the next; each group has its own cursors and scratch."""
    copy = f"%g.first = mul i64 %g, {cursors}\n" + item("g.row", "%group_cursors", "%g.first")
    copy += f"%g.samples = mul i64 %g, {frame.step}\n"
    one = item("m.i", "@strides", "%m") + "%m.stride = load i64, ptr %m.i\n"
    one += "%m.step = mul i64 %m.stride, %g.samples\n"
    one += item("m.cursor", "%cursors", "%m") + "%m.old = load ptr, ptr %m.cursor\n"
    one += at("m.new", "%m.old", "%m.step") + item("m.to", "%g.row", "%m") + "store ptr %m.new, ptr %m.to"
    text = loop("g", "0", str(frame.groups), 1, copy + loop("m", "0", str(cursors), 1, one))
    for place, function in enumerate(sample):
        name = f"h{place}"
        call = f"%{name}.first = mul i64 %{name}, {cursors}\n"
        call += item(f"{name}.cursors", "%group_cursors", f"%{name}.first")
        call += f"%{name}.offset = mul i64 %{name}, {frame.scratch_size}\n"
        call += at(f"{name}.scratch", "%scratch", f"%{name}.offset")
        call += f"call void @{function}(ptr %{name}.cursors, ptr %shared, ptr %{name}.scratch, ptr %sums)"
        text += loop(name, "0", str(frame.groups), 1, call)
    return text + loop("l", "0", str(cursors), 1, _advance("l", frame.step * frame.groups))
