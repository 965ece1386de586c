const { nodes, locked, backwards } = JSON.parse(document.getElementById("data").textContent);
const graph = passes_over(nodes, backwards, rows);
const { values, steps, compute, gradients } = graph;
const told = teller(graph);

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
  keep_in_view(element("graph"), element(`v${step.at}`));
}

// ---- a step ----

let now = 0;

// Paint a step and tell what it is.
function show_step(to) {
  now = to;
  const step = steps[now];
  const { grads, added } = gradients(now);
  const [heading, lines] = told(step, added, grads);
  tell(heading, lines);
  paint(step, added, grads);
  for (const [k, output] of outputs) {
    output.textContent = !nodes[k].wanted ? "constant" : grads[k] === null ? "no gradient yet" : `gradient ${show(grads[k])}`;
    output.dataset.gradient = grads[k] === null ? "" : String(grads[k]);
  }
  return heading;
}

// ---- the inputs ----

const outputs = new Map();

function offer() {
  const heading = document.createElement("h2");
  heading.textContent = locked === null ? "Inputs: change a number and see everything recomputed" : "Inputs";
  element("leaves").append(heading);
  if (locked !== null) element("leaves").append(line(locked));
  nodes.forEach((node, k) => {
    if (!node.editable) return;
    const { box, input, output } = number_field(`input${k}`, node.name, values[k], (value) => {
      values[k] = value;
      compute();
      go(now);
    });
    input.disabled = locked !== null;
    outputs.set(k, output);
    element("leaves").append(box);
  });
}

offer();
const go = player(steps.length, show_step, 1500);
