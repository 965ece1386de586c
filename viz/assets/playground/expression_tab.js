// The tab on which an expression is typed, drawn, stepped through and walked downhill.

const language = JSON.parse(element("data").textContent);
for (const part of ["functions", "forms", "constants", "others"]) language[part] = names_of(language[part]);

const FORMULAS = [
  { name: "(x² + 3)² + y", text: "(x**2 + 3)**2 + y", at: { x: 2, y: 3 }, rate: 0.001 },
  { name: "One neuron", text: "tanh(w*x + b)", at: { w: 0.9, x: 0.7, b: -0.2 }, hold: ["x"], rate: 0.1 },
  { name: "AND, one sample", text: "(sigmoid(w1*a + w2*b + bias) - 1)**2", at: { w1: 0.4, a: 1, w2: -0.3, b: 1, bias: 0.1 }, hold: ["a", "b"], rate: 1 },
  { name: "Celsius, one sample", text: "(w*celsius + b - fahrenheit)**2", at: { w: 0.5, celsius: 0.43, b: 0, fahrenheit: 1.09 }, hold: ["celsius", "fahrenheit"], rate: 0.5 },
  { name: "x used twice", text: "x*sin(x)", at: { x: 2 }, rate: 0.1 },
];

function expression_tab(changed) {
  let graph = null;
  let told = null;
  let numbers = names_of({}); // of the variables
  let held = new Set();
  let start = {};
  let history = [];
  let now = 0;
  let go = null;
  let is_down = false;

  // ---- what is shown ----

  function show_step(to) {
    now = to;
    if (graph === null) return "";
    const { grads, added } = graph.gradients(now);
    const [heading, lines] = told(graph.steps[now], added, grads);
    tell(heading, lines);
    painted(element("graph"), graph, now, grads);
    const card = element("graph").querySelector(".node.now");
    if (card) keep_in_view(element("graph"), card);
    const end = graph.gradients(graph.steps.length - 1).grads;
    for (const output of document.querySelectorAll("#fields output")) {
      const k = Number(output.dataset.place);
      output.dataset.gradient = String(end[k] ?? 0);
      output.textContent = grads[k] === null ? "gradient: go on stepping" : `gradient ${show(grads[k])}`;
    }
    changed();
    return heading;
  }

  function draw() {
    const frame = element("graph");
    is_down = frame.clientWidth < 620;
    const svg = graph_of(graph.nodes, is_down);
    // As large as there is room for, but never too small to be read: then the frame scrolls.
    const [wide, high] = ["width", "height"].map((side) => Number(svg.getAttribute(side)));
    const height = is_down ? 0.7 * window.innerHeight : frame.clientHeight;
    const scale = Math.max(0.7, Math.min(1.8, (frame.clientWidth - 12) / wide, (height - 12) / high));
    svg.setAttribute("width", round(wide * scale));
    svg.setAttribute("height", round(high * scale));
    frame.replaceChildren(svg);
  }

  // Read the text again; a fault leaves the last graph as it was.
  function typed() {
    const text = element("text").value;
    try {
      const tree = tree_of(text, language);
      const names = variables_of(tree, language);
      const values = names_of(Object.fromEntries(names.map((name, k) => [name, numbers[name] ?? k + 1])));
      const nodes = grown(tree, values, language);
      if (nodes.length > 150) throw new Fault(`expected at most 150 values, so that they can be drawn, but got ${nodes.length}`, 0);
      Object.assign(numbers, values);
      const order = nodes.map((_, k) => k).filter((k) => nodes[k].key !== null).reverse();
      graph = passes_over(nodes, order, rows);
      graph.compute();
      told = teller(graph);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      tell_fault(text, error);
      return false;
    }
    tell_fault(text, null);
    start = names_of(Object.fromEntries(graph.nodes.filter((node) => node.editable).map((node) => [node.name, numbers[node.name]])));
    history = [];
    fields();
    draw();
    moved([]);
    return true;
  }

  function tell_fault(text, error) {
    element("text").setAttribute("aria-invalid", String(error !== null));
    element("fault").replaceChildren();
    if (error === null) return;
    const mark = document.createElement("mark");
    mark.textContent = text.slice(error.at, error.at + 1).trim() || "␣";
    const code = document.createElement("code");
    code.append(text.slice(0, error.at), mark, text.slice(error.at + 1));
    element("fault").append(code, `${error.message} (column ${error.at + 1})`);
    element("fault").dataset.at = error.at;
  }

  function fields() {
    element("fields").replaceChildren(...graph.nodes.flatMap((node, k) => {
      if (!node.editable) return [];
      const { box, input, output } = number_field(`input-${node.name}`, node.name, numbers[node.name], (value) => {
        start[node.name] = value;
        history = [];
        set({ [node.name]: value });
        moved([]);
      });
      const [hold, check] = ["label", "input"].map((tag) => document.createElement(tag));
      input.dataset.name = node.name;
      output.dataset.place = k;
      check.type = "checkbox";
      check.checked = held.has(node.name);
      check.addEventListener("change", () => {
        held[check.checked ? "add" : "delete"](node.name);
        changed();
      });
      hold.className = "hold";
      hold.append(check, "hold");
      hold.title = `Keep ${node.name} as it is when walking downhill`;
      check.setAttribute("aria-label", `Hold ${node.name}`);
      output.before(hold);
      return [box];
    }));
    element("descent").hidden = element("leaves").hidden = !graph.nodes.some((node) => node.editable);
  }

  function set(values) {
    Object.assign(numbers, values);
    graph.nodes.forEach((node, k) => { if (node.editable) graph.values[k] = numbers[node.name]; });
    graph.compute();
    go(now);
  }

  // ---- downhill ----

  const slopes = () => graph.gradients(graph.steps.length - 1).grads;

  function descend(count) {
    const rate = parse(element("rate").value);
    element("rate").setAttribute("aria-invalid", String(rate === null));
    if (rate === null) return;
    let lines = [];
    if (history.length === 0) history = [graph.values[graph.root]];
    for (let k = 0; k < count; k += 1) {
      const grads = slopes();
      const next = {};
      lines = [];
      graph.nodes.forEach((node, at) => {
        if (!node.editable || held.has(node.name)) return;
        const g = grads[at] ?? 0;
        next[node.name] = numbers[node.name] - rate * g;
        lines.push(`${node.name} = ${show(numbers[node.name])} - ${show(rate)} * ${inside(g)} = ${show(next[node.name])}`);
      });
      Object.assign(numbers, next);
      graph.nodes.forEach((node, at) => { if (node.editable) graph.values[at] = numbers[node.name]; });
      graph.compute();
      history.push(graph.values[graph.root]);
    }
    for (const input of document.querySelectorAll("#fields input[type=text]")) input.value = show(numbers[input.dataset.name], 17);
    go(graph.steps.length - 1);
    moved(lines);
  }

  function moved(lines) {
    const name = graph.nodes[graph.root].name;
    const told = history.length > 1 ? [line(`After ${history.length - 1} step${history.length > 2 ? "s" : ""}: ${name} = ${show(history[0])} → ${show(history.at(-1))}`)] : [];
    element("moved").replaceChildren(...told, ...lines.map((text) => line(text, "code")));
    element("fall").hidden = history.length < 2;
    if (history.length > 1) draw_curve(element("fall"), history, "step", name);
  }

  // ---- what people do ----

  function take(example) {
    element("text").value = example.text;
    numbers = names_of(example.at);
    held = new Set(example.hold ?? []);
    element("rate").value = String(example.rate ?? 0.01);
    if (typed()) go(example.step ?? 0, graph.steps.length);
  }

  for (const example of FORMULAS) {
    const chip = document.createElement("button");
    chip.textContent = example.name;
    chip.addEventListener("click", () => take(example));
    element("formulas").append(chip);
  }
  element("typed").addEventListener("submit", (event) => event.preventDefault());
  element("text").addEventListener("input", () => { if (typed()) go(0, graph.steps.length); });
  element("descend").addEventListener("click", () => descend(1));
  element("descend-many").addEventListener("click", () => descend(20));
  element("return").addEventListener("click", () => {
    history = [];
    set(start);
    fields();
    go(now);
    moved([]);
  });
  go = player(1, show_step, 1500);

  function shown() {
    if (graph === null) return;
    draw();
    go(now);
    moved([]);
  }
  window.addEventListener("resize", () => { if (!element("expression").hidden) shown(); });

  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (!element("expression").hidden) shown(); });

  return {
    shown,
    open(state) {
      const at = (state.at ?? "").split(",").map((pair) => pair.split(":")).filter((pair) => pair.length === 2 && parse(pair[1]) !== null);
      if (!state.text) return take(FORMULAS[0]);
      return take({
        text: state.text, at: Object.fromEntries(at.map(([name, value]) => [name, parse(value)])),
        hold: (state.hold ?? "").split(","), rate: parse(state.rate ?? "") ?? 0.01, step: Number(state.step) || 0,
      });
    },
    state: () => ({
      text: element("text").value,
      at: graph.nodes.filter((node) => node.editable).map((node) => `${node.name}:${show(numbers[node.name], 17)}`).join(","),
      hold: [...held].join(","), rate: element("rate").value, step: now || "",
    }),
  };
}
