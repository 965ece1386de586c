// The two passes over a graph, and what is told of each step. `nodes` are in order, arguments before results;
// `backwards` is the order in which gradients are handed on; `rows` holds what each operation computes.
function passes_over(nodes, backwards, rows) {
  const root = nodes.length - 1;
  const values = nodes.map((node) => read(node.value));
  const partials = nodes.map((node) => node.partials.map(read));
  const computed = nodes.map((_, k) => k).filter((k) => nodes[k].key !== null);
  const steps = [
    { pass: "start" },
    ...computed.map((at) => ({ pass: "forward", at })),
    ...(nodes[root].wanted ? [{ pass: "seed", at: root }, ...backwards.map((at) => ({ pass: "backward", at }))] : []),
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

  return { nodes, root, values, partials, computed, steps, compute, gradients };
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

// Return a function that tells of a step: its heading, and paragraphs below.
function teller({ nodes, root, values, partials }) {
  const total = (k) => `d${nodes[root].name}/d${nodes[k].name}`;

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
      if (names !== end) parts.push(names);
      if (numbers !== end && numbers !== names) parts.push(numbers);
    }
    const twice = args.filter((arg) => arg === args[place]).length > 1;
    return `${[...parts, end].join(" = ")}${twice ? `   (place ${place + 1})` : ""}`;
  }

  return function told(step, added, grads) {
    const k = step.at;
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
        ...(wanted.length ? [line(wanted.length > 1 ? "Its local derivatives:" : "Its local derivative:", "quiet")] : []),
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
    const inputs = nodes.map((_, at) => at).filter((at) => nodes[at].wanted && nodes[at].key === null);
    return ["Done: all gradients", inputs.map((at) => line(`${total(at)} = ${show(grads[at] ?? 0, 17)}`, "code"))];
  };
}

function tell(heading, lines) {
  const h2 = document.createElement("h2");
  h2.textContent = heading;
  element("told").replaceChildren(h2, ...lines);
}

// Bring a step, whose own card is `card`, into view inside the frame of the graph; the page itself stays where it is.
function keep_in_view(frame, card) {
  const box = frame.getBoundingClientRect();
  const own = card.getBoundingClientRect();
  const cards = [...frame.querySelectorAll(".node.now, .node.from")].map((g) => g.getBoundingClientRect());
  for (const [start, end, scroll] of [["left", "right", "scrollLeft"], ["top", "bottom", "scrollTop"]]) {
    const low = Math.min(...cards.map((g) => g[start]));
    const high = Math.max(...cards.map((g) => g[end]));
    if (low >= box[start] && high <= box[end]) continue;
    // Where not all have room, the step itself counts.
    const middle = high - low <= box[end] - box[start] ? low + high : own[start] + own[end];
    frame[scroll] += (middle - box[start] - box[end]) / 2;
  }
}

// Return a field for a number with its label and an output beside it; `take` is given each number that is typed.
function number_field(id, name, number, take) {
  const [box, label, input, output] = ["div", "label", "input", "output"].map((tag) => document.createElement(tag));
  box.className = "leaf";
  label.textContent = name;
  label.htmlFor = input.id = id;
  Object.assign(input, { type: "text", inputMode: "decimal", autocomplete: "off", spellcheck: false, value: show(number, 17) });
  input.addEventListener("input", () => {
    const value = parse(input.value);
    input.setAttribute("aria-invalid", String(value === null));
    input.title = value === null ? "A number is wanted, such as -0.5, 1e3 or inf" : "";
    if (value !== null) take(value);
  });
  box.append(label, input, output);
  return { box, input, output };
}
