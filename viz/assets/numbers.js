// How numbers are read and written, as Python writes them.

// JSON has no infinities.
const read = (x) => (typeof x === "number" ? x : { inf: Infinity, "-inf": -Infinity, nan: NaN }[x]);

function show(x, digits = 6) {
  if (x !== x) return "nan";
  if (Math.abs(x) === Infinity) return x > 0 ? "inf" : "-inf";
  const near = Number(x.toPrecision(digits));
  const size = Math.abs(near);
  if (size >= 10 ** Math.min(digits, 16) || (size < 1e-4 && size > 0)) return near.toExponential();
  return Object.is(x, -0) ? "-0" : String(near);
}

const inside = (x) => (x < 0 || Object.is(x, -0) ? `(${show(x)})` : show(x));

// What somebody typed; null if it is no number: Number("") is 0 and Number("0x1") is 1, and neither was meant.
function parse(text) {
  const plain = text.trim().toLowerCase().replace(/^([+-]?)inf$/, "$1Infinity").replace("infinity", "Infinity");
  if (plain === "nan") return NaN;
  return /^[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|Infinity)$/.test(plain) ? Number(plain) : null;
}

// A template is a list of texts and of places, whose name or number is written there.
const fill = (template, write) => template.map((part) => (typeof part === "string" ? part : write(part))).join("");

// With numbers in their places: a negative one needs parentheses, but not where it stands alone between some.
function fillNumbers(template, value) {
  return template.map((part, n) => {
    if (typeof part === "string") return part;
    const x = value(part);
    const alone = /(^|[([]|, )$/.test(template[n - 1] ?? "") && /^([)\],]|$)/.test(template[n + 1] ?? "");
    return alone ? show(x) : inside(x);
  }).join("");
}
