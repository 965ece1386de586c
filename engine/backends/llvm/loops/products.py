"""Write sums of outer products over samples as products of matrices: blocks of the result stay in registers.

One factor lies sample by sample beside each other for each row of the result. The other, that the columns are of, is
brought to tiles that hold a few vectors of it for every sample: of all samples' rows in memory, or of what lies as the
first factor does, by turns of squares.
"""

from __future__ import annotations

from typing import NamedTuple

from ..squares import turned
from ..turns import loop
from .module import Module

_ROWS = 4  # of a tile's columns, in registers at once


class Shape(NamedTuple):
    """What a sum of outer products is of: its rows and columns, the samples, and how the second factor lies.

    `stride` is the bytes from one sample's columns to the next's; 0 where these lie side by side for all samples.
    """

    rows: int
    columns: int
    samples: int
    stride: int


def tile(module: Module, samples: int) -> int:
    """Return how many bytes the tile of so many samples takes."""
    return module.size * samples * module.machine.lanes * _vectors(module)


def _vectors(module: Module) -> int:
    return 4 if module.machine.registers >= 32 else 2


def product(module: Module, shape: Shape) -> str:
    """Return the name of the function of (rows, columns, sums, tile, samples) that adds up outer products."""
    key = "outer", shape

    def write(name: str) -> str:
        return _Product(module, shape).function(name)

    return module.walk(key, write)


class _Product:
    def __init__(self, module: Module, shape: Shape) -> None:
        self.module, self.shape = module, shape
        self.machine = machine = module.machine
        self.lanes, self.size, self.double = machine.lanes, machine.size, machine.double or machine
        self.type = machine.type(self.lanes)

    def function(self, name: str) -> str:
        """Write the function."""
        columns, each = self.shape.columns, self.lanes * _vectors(self.module)
        whole, rest = divmod(columns, each)
        text = loop("t", "0", f"{whole * each}", each, self._tile("t", "%t", each)) if whole else ""
        if rest:
            text += f"%e = add i64 0, {whole * each}\n" + self._tile("e", "%e", rest)
        parameters = "ptr %rows, ptr %columns, ptr %sums, ptr %tile, i64 %count"
        return f"define internal void @{name}({parameters}) #2 {{\nbegin:\n{text}ret void\n}}\n"

    def _tile(self, name: str, first: str, columns: int) -> str:
        """Bring together so many columns from the first on, and multiply them by all rows."""
        vectors = -(-columns // self.lanes)
        text = (
            self._packed(f"{name}p", first, columns) if self.shape.stride else self._turned(f"{name}p", first, columns)
        )
        text += f"%{name}.c = mul i64 {first}, {self.double.size}\n"
        text += f"%{name}.sums = getelementptr i8, ptr %sums, i64 %{name}.c\n"
        side = _ROWS * _vectors(self.module) // vectors  # as many sums as in a whole tile: none waits for itself
        whole, rest = divmod(self.shape.rows, side)
        if whole:
            inside = self._block(f"{name}b", f"%{name}r", f"%{name}.sums", side, vectors, columns)
            text += loop(f"{name}r", "0", f"{whole * side}", side, inside)
        if rest:
            text += f"%{name}l = add i64 0, {whole * side}\n"
            text += self._block(f"{name}o", f"%{name}l", f"%{name}.sums", rest, vectors, columns)
        return text

    def _packed(self, name: str, first: str, columns: int) -> str:
        """Copy columns of all samples to the tile."""
        vectors = -(-columns // self.lanes)
        text = f"%{name}.s = mul i64 %{name}, {self.shape.stride}\n%{name}.f = mul i64 {first}, {self.size}\n"
        text += f"%{name}.p = getelementptr i8, ptr %columns, i64 %{name}.s\n"
        text += f"%{name}.q = getelementptr i8, ptr %{name}.p, i64 %{name}.f\n"
        text += f"%{name}.w = mul i64 %{name}, {self.size * self.lanes * vectors}\n"
        text += f"%{name}.to = getelementptr i8, ptr %tile, i64 %{name}.w\n"
        for v in range(vectors):
            live, far = columns - v * self.lanes, v * self.lanes * self.size
            text += f"%{name}.p{v} = getelementptr i8, ptr %{name}.q, i64 {far}\n"
            text += self._loaded(f"%{name}.x{v}", f"%{name}.p{v}", live)
            text += f"%{name}.t{v} = getelementptr i8, ptr %{name}.to, i64 {far}\n"
            text += f"store {self.type} %{name}.x{v}, ptr %{name}.t{v}, align {self.size}\n"
        return loop(name, "0", "%count", 1, text)

    def _turned(self, name: str, first: str, columns: int) -> str:
        """Bring columns that lie sample by sample to the tile, a square of as many of both as lanes at a time."""
        lanes, size, vectors = self.lanes, self.size, -(-columns // self.lanes)
        text = f"%{name}.f = mul i64 {first}, {size * self.shape.samples}\n%{name}.s = mul i64 %{name}, {size}\n"
        text += f"%{name}.p = getelementptr i8, ptr %columns, i64 %{name}.f\n"
        text += f"%{name}.q = getelementptr i8, ptr %{name}.p, i64 %{name}.s\n"
        text += f"%{name}.w = mul i64 %{name}, {size * lanes * vectors}\n"
        text += f"%{name}.to = getelementptr i8, ptr %tile, i64 %{name}.w\n"
        for v in range(vectors):
            names = []
            for k in range(lanes):
                place = v * lanes + k
                if place >= columns:
                    names.append("zeroinitializer")
                    continue
                own = f"%{name}.x{place}"
                text += f"{own}p = getelementptr i8, ptr %{name}.q, i64 {place * size * self.shape.samples}\n"
                text += f"{own} = load {self.type}, ptr {own}p, align {size}\n"
                names.append(own)
            more, names = turned(f"{name}.v{v}", names, self.type)
            text += more
            for k, own in enumerate(names):
                text += f"%{name}.t{v}.{k} = getelementptr i8, ptr %{name}.to, i64 {size * lanes * (k * vectors + v)}\n"
                text += f"store {self.type} {own}, ptr %{name}.t{v}.{k}, align {size}\n"
        return loop(name, "0", "%count", lanes, text)

    def _block(self, name: str, row: str, sums: str, rows: int, vectors: int, columns: int) -> str:
        """Add up a few rows of a tile's columns over the samples, in registers."""
        size, lanes = self.size, self.lanes
        operations = self.module.operations(lanes)
        fused = operations.fused()
        index = f"{name}s"
        text = f"%{name}.w = mul i64 {row}, {size * self.shape.samples}\n"
        text += f"%{name}.rows = getelementptr i8, ptr %rows, i64 %{name}.w\n"
        phis, body = "", f"%{name}.so = mul i64 %{index}, {size}\n"
        body += f"%{name}.d = getelementptr i8, ptr %{name}.rows, i64 %{name}.so\n"
        body += f"%{name}.xo = mul i64 %{index}, {size * lanes * vectors}\n"
        body += f"%{name}.x = getelementptr i8, ptr %tile, i64 %{name}.xo\n"
        for v in range(vectors):
            body += f"%{name}.p{v} = getelementptr i8, ptr %{name}.x, i64 {size * lanes * v}\n"
            body += f"%{name}.x{v} = load {self.type}, ptr %{name}.p{v}, align {size}\n"
        for j in range(rows):
            own = f"%{name}.d{j}"
            body += f"{own}p = getelementptr i8, ptr %{name}.d, i64 {size * self.shape.samples * j}\n"
            body += f"{own} = load {self.machine.scalar}, ptr {own}p, align {size}\n"
            body += f"{own}i = insertelement {self.type} poison, {self.machine.scalar} {own}, i64 0\n"
            body += f"{own}s = shufflevector {self.type} {own}i, {self.type} poison, "
            body += f"<{lanes} x i32> zeroinitializer\n"
            for v in range(vectors):
                total = f"{name}.a{j}.{v}"
                phis += (
                    f"%{total} = phi {self.type} [ zeroinitializer, %{index}.enter ], [ %v{total}, %{index}.latch ]\n"
                )
                body += fused.format(f"{own}s", f"%{name}.x{v}", f"%{total}", v=total) + "\n"
        text += f"%{name}.to = mul i64 {row}, {self.double.size * self.shape.columns}\n"
        text += f"%{name}.sums = getelementptr i8, ptr {sums}, i64 %{name}.to\n"
        # What is added to in the end comes from far while the loop runs.
        self.module.declare("declare void @llvm.prefetch.p0(ptr, i32, i32, i32)\n")
        for k in range(rows * vectors):
            place = self.double.size * (self.shape.columns * (k // vectors) + k % vectors * lanes)
            text += f"%{name}.f{k} = getelementptr i8, ptr %{name}.sums, i64 {place}\n"
            text += f"call void @llvm.prefetch.p0(ptr %{name}.f{k}, i32 1, i32 3, i32 1)\n"
        text += loop(index, "0", "%count", 1, body, phis)
        for j in range(rows):
            for v in range(vectors):
                place = self.double.size * (self.shape.columns * j + v * lanes)
                text += self._added(f"{name}.a{j}.{v}", f"%{name}.sums", place, columns - v * lanes)
        return text

    def _added(self, total: str, sums: str, place: int, live: int) -> str:
        """Add a vector, or the first lanes of one, to sums in doubles."""
        double, text = self.double, ""
        each = double.lanes
        wide = double.type(each)
        for part in range(0, min(live, self.lanes), each):
            own, name = f"%{total}", f"%{total}.{part}"
            if double is not self.machine:
                chosen = ", ".join(f"i32 {k}" for k in range(part, part + each))
                text += f"{name}h = shufflevector {self.type} {own}, {self.type} poison, <{each} x i32> <{chosen}>\n"
                text += f"{name}e = fpext {self.machine.type(each)} {name}h to {wide}\n"
                own = f"{name}e"
            text += f"{name}p = getelementptr i8, ptr {sums}, i64 {place + double.size * part}\n"
            text += self._loaded(f"{name}o", f"{name}p", live - part, True)
            text += f"{name}n = fadd {wide} {name}o, {own}\n"
            mask = _mask(each, live - part)
            if not mask:
                text += f"store {wide} {name}n, ptr {name}p, align {double.size}\n"
                continue
            symbol = f"llvm.masked.store.{double.suffix(each)}.p0"
            self.module.declare(f"declare void @{symbol}({wide}, ptr, i32, <{each} x i1>)\n")
            text += f"call void @{symbol}({wide} {name}n, ptr {name}p, i32 {double.size}, {mask})\n"
        return text

    def _loaded(self, name: str, pointer: str, live: int, double: bool = False) -> str:
        """Load a vector of which only the first lanes may stand in memory."""
        machine = self.double if double else self.machine
        type_, lanes = machine.type(machine.lanes), machine.lanes
        mask = _mask(lanes, live)
        if not mask:
            return f"{name} = load {type_}, ptr {pointer}, align {machine.size}\n"
        symbol = f"llvm.masked.load.{machine.suffix(lanes)}.p0"
        self.module.declare(f"declare {type_} @{symbol}(ptr, i32, <{lanes} x i1>, {type_})\n")
        operands = f"ptr {pointer}, i32 {machine.size}, {mask}, {type_} zeroinitializer"
        return f"{name} = call {type_} @{symbol}({operands})\n"


def _mask(lanes: int, live: int) -> str:
    """Write the mask of the first lanes; of all it is empty."""
    if live >= lanes:
        return ""
    return f"<{lanes} x i1> <{', '.join(f'i1 {int(k < live)}' for k in range(lanes))}>"
