const { nodes, locked, backwards } = JSON.parse(document.getElementById("data").textContent);
const root = nodes.length - 1;

// ---- numbers ----

// As Python writes them: JSON has no infinities.
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

// ---- the computation ----

let values = nodes.map((node) => read(node.value));
let partials = nodes.map((node) => node.partials.map(read));
const computed = nodes.map((_, k) => k).filter((k) => nodes[k].key !== null);

const steps = [
  { pass: "start" },
  ...computed.map((at) => ({ pass: "forward", at })),
  { pass: "seed", at: root },
  ...backwards.map((at) => ({ pass: "backward", at })),
  { pass: "end" },
];

function compute() {
  for (const k of computed) {
    const xs = nodes[k].args.map((arg) => values[arg]);
    const row = rows[nodes[k].key];
    values[k] = row.value(xs);
    const found = row.partials(values[k], xs);
    // A constant takes no derivative.
    partials[k] = found.map((d, place) => (nodes[nodes[k].args[place]].wanted ? d : 0));
  }
}

// The gradients after a step, and what its own additions were.
function gradients(last) {
  const grads = nodes.map(() => null);
  let added = [];
  for (const { pass, at } of steps.slice(0, last + 1)) {
    added = [];
    if (pass === "seed") grads[at] = 1;
    if (pass !== "backward") continue;
    const g = grads[at] ?? 0;
    nodes[at].args.forEach((arg, place) => {
      if (!nodes[arg].wanted) return;
      const d = partials[at][place];
      const before = grads[arg] ?? 0;
      const nothing = g === 0 || d === 0;
      grads[arg] = nothing ? before : before + g * d;
      added.push({ arg, place, before, g, d, nothing, after: grads[arg] });
    });
  }
  return { grads, added };
}

// ---- what is told ----

const result = nodes[root].name;
const total = (k) => `d${result}/d${nodes[k].name}`;
// By one of several arguments, the others are held fixed.
function local(k, arg) {
  const d = nodes[k].args.filter((at) => nodes[at].wanted).length > 1 ? "∂" : "d";
  return `${d}${nodes[k].name}/${d}${nodes[arg].name}`;
}

function equation(k) {
  const { name, args, text } = nodes[k];
  const names = fill(text, (place) => nodes[args[place]].name);
  const numbers = fillNumbers(text, (place) => values[args[place]]);
  return [name, names, ...(names === numbers ? [] : [numbers]), show(values[k])].join(" = ");
}

function derivative(k, place) {
  const { args, rules } = nodes[k];
  const end = show(partials[k][place]);
  const rule = rules[place];
  const parts = [local(k, args[place])];
  if (rule !== null) {
    const names = fill(rule, (p) => nodes[p < 0 ? k : args[p]].name);
    const numbers = fillNumbers(rule, (p) => values[p < 0 ? k : args[p]]);
    parts.push(names);
    if (numbers !== end && numbers !== names) parts.push(numbers);
  }
  const twice = args.filter((arg) => arg === args[place]).length > 1;
  return `${[...parts, end].join(" = ")}${twice ? `   (place ${place + 1})` : ""}`;
}

function line(text, kind = "") {
  const p = document.createElement("p");
  if (kind === "code") {
    const code = document.createElement("code");
    code.textContent = text;
    p.append(code);
  } else {
    p.textContent = text;
    p.className = kind;
  }
  return p;
}

function told(step, added, grads) {
  const k = step.at;
  const inputs = nodes.map((_, at) => at).filter((at) => nodes[at].wanted && nodes[at].key === null);
  if (step.pass === "start") {
    const known = nodes.map((_, at) => at).filter((at) => nodes[at].editable);
    return ["Start: the inputs have their numbers", [
      ...known.map((at) => line(`${nodes[at].name} = ${show(values[at])}`, "code")),
      line("The forward pass computes every value from those before it.", "quiet"),
    ]];
  }
  if (step.pass === "forward") {
    const wanted = nodes[k].args.map((_, place) => place).filter((place) => nodes[nodes[k].args[place]].wanted);
    return [`Forward: compute ${nodes[k].name}`, [
      line(equation(k), "code"),
      line(wanted.length > 1 ? "Its local derivatives:" : "Its local derivative:", "quiet"),
      ...wanted.map((place) => line(derivative(k, place), "code")),
    ]];
  }
  if (step.pass === "seed") {
    return ["Backward: start at the result", [
      line(`${total(root)} = 1`, "code"),
      line("The backward pass visits the values in reverse. Each hands its gradient, times the local derivative, " +
        "to the values it was computed from, where such parts add up.", "quiet"),
    ]];
  }
  if (step.pass === "backward") {
    const lines = [line(equation(k), "code")];
    for (const { arg, place, before, g, d, nothing, after } of added) {
      if (nothing) {
        const zero = g === 0 ? total(k) : local(k, arg);
        lines.push(line(`${total(arg)} = ${show(after)}   (${zero} is exactly 0 and adds nothing)`, "code"));
        continue;
      }
      lines.push(line(derivative(k, place), "code"));
      const first = before === 0 ? "" : `${show(before)} + `;
      const name = before === 0 ? "" : "before + ";
      lines.push(line(`${total(arg)} = ${name}${total(k)} * ${local(k, arg)} = ${first}${inside(g)} * ${inside(d)} = ${show(after)}`, "code"));
    }
    const constants = nodes[k].args.some((arg) => !nodes[arg].wanted);
    if (constants) lines.push(line("Constants take no gradient.", "quiet"));
    return [`Backward: through ${nodes[k].name}, whose gradient ${total(k)} is ${show(grads[k] ?? 0)}`, lines];
  }
  return ["Done: all gradients", inputs.map((at) => line(`${total(at)} = ${show(grads[at] ?? 0, 17)}`, "code"))];
}

// ---- the picture ----

function paint(step, added, grads) {
  const forward = steps.slice(1, now + 1).filter((s) => s.pass === "forward").map((s) => s.at);
  const known = new Set(nodes.map((_, k) => k).filter((k) => nodes[k].key === null).concat(forward));
  for (const part of document.querySelectorAll("#graph .now, #graph .from")) part.classList.remove("now", "from");
  nodes.forEach((node, k) => {
    const value = known.has(k) ? show(values[k]) : "";
    const grad = grads[k] === null ? "" : show(grads[k]);
    const lines = element(`v${k}`).querySelectorAll("text");
    const texts = lines.length === 1 ? [node.short] : [node.short, `value ${value || "—"}`, node.wanted ? `grad ${grad || "—"}` : "constant"];
    lines.forEach((text, n) => { text.textContent = texts[n]; });
    element(`v${k}`).querySelector("title").textContent =
      `${node.name}${value && `: value ${value}`}${grad && `, gradient ${grad}`}`;
    if (node.key !== null) {
      element(`op${k}`).querySelector("text").textContent = node.symbol;
      element(`op${k}`).querySelector("title").textContent = node.key.split("/")[0];
    }
  });
  if (step.at === undefined) return;
  element(`v${step.at}`).classList.add("now");
  if (step.pass !== "seed") {
    element(`op${step.at}`).classList.add("now");
    element(`r${step.at}`).classList.add("now");
    nodes[step.at].args.forEach((arg, place) => {
      if (step.pass === "backward" && !nodes[arg].wanted) return;
      element(`v${arg}`).classList.add("from");
      element(`a${step.at}.${place}`).classList.add("now");
    });
  }
  // Brought into view inside its frame; the page itself stays where it is.
  const frame = element("graph").getBoundingClientRect();
  const boxes = [...document.querySelectorAll("#graph .node.now, #graph .node.from")].map((g) => g.getBoundingClientRect());
  for (const [start, end, scroll] of [["left", "right", "scrollLeft"], ["top", "bottom", "scrollTop"]]) {
    const low = Math.min(...boxes.map((box) => box[start]));
    const high = Math.max(...boxes.map((box) => box[end]));
    if (low >= frame[start] && high <= frame[end]) continue;
    // Where not all have room, the step itself counts.
    const all = high - low <= frame[end] - frame[start];
    const box = element(`v${step.at}`).getBoundingClientRect();
    const middle = all ? low + high : box[start] + box[end];
    element("graph")[scroll] += (middle - frame[start] - frame[end]) / 2;
  }
}

// ---- a step ----

let now = 0;

// Paint a step and tell what it is.
function show_step(to) {
  now = to;
  const step = steps[now];
  const { grads, added } = gradients(now);
  const [heading, lines] = told(step, added, grads);
  const h2 = document.createElement("h2");
  h2.textContent = heading;
  element("told").replaceChildren(h2, ...lines);
  paint(step, added, grads);
  for (const [k, output] of outputs) {
    output.textContent = !nodes[k].wanted ? "constant" : grads[k] === null ? "no gradient yet" : `gradient ${show(grads[k])}`;
    output.dataset.gradient = grads[k] === null ? "" : String(grads[k]);
  }
  return heading;
}

// ---- the inputs ----

const outputs = new Map();

function parse(text) {
  const plain = text.trim().toLowerCase().replace(/^([+-]?)inf$/, "$1Infinity").replace("infinity", "Infinity");
  if (plain === "nan") return NaN;
  // Number("") is 0 and Number("0x1") is 1; neither was meant.
  return /^[+-]?(\d+\.?\d*(e[+-]?\d+)?|\.\d+(e[+-]?\d+)?|Infinity)$/.test(plain) ? Number(plain) : null;
}

function offer() {
  const heading = document.createElement("h2");
  heading.textContent = locked === null ? "Inputs: change a number and see everything recomputed" : "Inputs";
  element("leaves").append(heading);
  if (locked !== null) element("leaves").append(line(locked));
  nodes.forEach((node, k) => {
    if (!node.editable) return;
    const box = document.createElement("div");
    const label = document.createElement("label");
    const input = document.createElement("input");
    const output = document.createElement("output");
    box.className = "leaf";
    label.textContent = node.name;
    label.htmlFor = input.id = `input${k}`;
    input.type = "text";
    input.inputMode = "decimal";
    input.autocomplete = "off";
    input.spellcheck = false;
    input.value = show(values[k], 17);
    input.disabled = locked !== null;
    input.addEventListener("input", () => {
      const value = parse(input.value);
      input.setAttribute("aria-invalid", String(value === null));
      input.title = value === null ? "A number is wanted, such as -0.5, 1e3 or inf" : "";
      if (value === null) return;
      values[k] = value;
      compute();
      go(now);
    });
    outputs.set(k, output);
    box.append(label, input, output);
    element("leaves").append(box);
  });
}

offer();
const go = player(steps.length, show_step, 1500);
