// The tab on which networks learn.

const PROBLEMS = [
  { name: "Two moons", data: "moons" },
  { name: "Circles", data: "circles", layer1: "4", layer2: "0" },
  { name: "AND gate", data: "and", layer1: "0", layer2: "0", loss: "squared", rate: "3", batch: "all" },
  { name: "XOR gate", data: "xor", layer1: "2", layer2: "0", activation: "sigmoid", loss: "squared", rate: "10", batch: "all" },
  { name: "Spiral", data: "spiral", noise: "0.05", layer3: "8", speed: "5" },
  { name: "Celsius", data: "celsius", noise: "0", samples: "100", layer1: "2", layer2: "0", activation: "linear", loss: "squared", batch: "all" },
  { name: "A wave", data: "wave", samples: "100", layer1: "8", layer2: "0", loss: "squared" },
];
const CHOICES = {
  data: Object.entries(DATA).map(([value, { title }]) => [value, title]),
  activation: Object.keys(ACTIVATIONS).map((name) => [name, name.replace("_", " ")]),
  loss: Object.entries(LOSSES).map(([value, { title }]) => [value, title]),
  rate: ["0.001", "0.003", "0.01", "0.03", "0.1", "0.3", "1", "3", "10"].map((rate) => [rate, rate]),
};
for (const layer of ["layer1", "layer2", "layer3"]) CHOICES[layer] = [["0", "none"], ..."12345678".split("").map((count) => [count, count])];

function network_tab(changed) {
  let training = null;
  let own = null;
  let scene = null;
  let field = null;
  let is_playing = false;
  let chosen = 0; // the weight
  let sample = 0;
  let phase = null; // of one sample
  let chain = null;
  let space = null; // of the map
  let frames = 0;
  const kept = { tiles: [], image: null };
  const form = element("settings");

  // ---- what is drawn ----

  function draw() {
    const side = is_playing ? 40 : training.sizes[0] === 2 ? 72 : 120;
    const { network, set, sides } = training;
    field = fields_of(network, sides, side, set.is_classes, field);
    const notes = is_playing ? null : notes_of();
    draw_scene(element("scene"), { ...scene, is_back: phase === "backward" || phase === "update" }, network, field, side, chosen, set.labels, notes, kept);
    space = draw_map(element("map"), set, sides, field, side, is_playing ? -1 : sample, kept);
    if (frames % 6 === 0 || !is_playing) draw_curve(element("losses"), training.losses, "epoch", "loss");
    const is_back = phase === "backward" || phase === "update";
    element("note").textContent = is_playing ? "" : is_back ? "∂ the loss by each neuron's sum, at the chosen sample" : "numbers: what each neuron gives for the chosen sample";
    element("epochs").textContent = String(training.epochs);
    element("loss").textContent = show(training.losses.at(-1), 4);
    if (frames % 12 === 0 || !is_playing) {
      const { accuracy } = training;
      element("right").hidden = accuracy === null;
      if (accuracy !== null) element("accuracy").textContent = `${show(100 * accuracy, 3)} %`;
      tell();
    }
  }

  // Below each neuron its output, or on the way back the gradient of its sum.
  function notes_of() {
    training.look_at(sample);
    const { outputs, inner } = training.network;
    const is_back = phase === "backward" || phase === "update";
    return outputs.map((layer, l) => Array.from(layer, (a, k) => (is_back && l > 0 ? `∂ ${show(inner[l - 1][k], 2)}` : show(a, 2))));
  }

  function tell() {
    const weight = scene.edges[chosen];
    if (phase !== "update" || chain === null) {
      training.look_at(sample);
      chain = chain_of(training.network, training.set.labels, training.set.targets[sample], weight, Number(training.options.rate));
    }
    element("links").setAttribute("aria-live", is_playing ? "off" : "polite");
    tell_chain(element("links"), chain, weight.name, phase);
    const at = ["forward", "backward", "update"].indexOf(phase);
    [...element("phases").children].forEach((part, k) => part.classList.toggle("on", phase === null || k <= at));
  }

  function fit() {
    const width = element("scene").parentElement.clientWidth;
    const room = Math.max(340, Math.min(640, 0.48 * window.innerHeight));
    scene = scene_of(training.sizes, width, room);
  }

  function shown() {
    fit();
    draw();
  }

  // ---- training ----

  function play(wanted) {
    if (wanted === is_playing) return;
    is_playing = wanted;
    element("train").textContent = is_playing ? "⏸ Pause" : "▶ Train";
    element("train").setAttribute("aria-pressed", String(is_playing));
    if (is_playing) {
      phase = null;
      element("message").textContent = "";
      requestAnimationFrame(frame);
    } else {
      draw();
      changed();
    }
  }

  function frame() {
    if (!is_playing) return;
    // So much as a frame has time for, and at least one.
    const start = performance.now();
    for (let k = 0; k < Number(training.options.speed) && (k === 0 || performance.now() - start < 7); k += 1) training.epoch();
    frames += 1;
    if (lost()) return;
    draw();
    requestAnimationFrame(frame);
  }

  function lost() {
    if (!training.is_lost) return false;
    play(false);
    element("message").textContent = "The numbers have grown beyond all bounds: the rate is too large. Choose a smaller one, then New weights.";
    return true;
  }

  function renew(weights = null, epochs = 0) {
    training = new Training({ ...options_of(), seed: form.dataset.seed }, own);
    if (weights) training.set_weights(weights, epochs);
    phase = chain = null;
    sample = Math.min(sample, training.set.inputs.length - 1);
    fit();
    element("weight").replaceChildren(...scene.edges.map(({ name }, k) => new Option(name, k)));
    choose(Math.min(chosen, scene.edges.length - 1));
    element("which").max = training.set.inputs.length;
    element("of").textContent = `of ${training.set.inputs.length}`;
    for (const option of form.elements.loss.options) option.disabled = !training.set.is_classes && option.value !== "squared";
    if (!training.set.is_classes) form.elements.loss.value = "squared";
    for (const name of ["noise", "samples"]) form.elements[name].disabled = training.set.is_fixed === true;
    element("map-title").textContent = training.set.is_classes ? `${training.set.names[0]} or ${training.set.names[1]}?` : `The ${training.sizes[0] === 2 ? "surface" : "curve"} it has learnt`;
    element("scene").setAttribute("aria-label", `A network ${training.sizes.join("-")}; weights are chosen in the field below`);
    element("message").textContent = "";
    if (form.elements.data.value === "own" && own === null) element("message").textContent = "Paste your own data below, under Own data; until then these are the two moons.";
    go_to(sample);
    draw();
  }

  const options_of = () => Object.fromEntries([...form.elements].filter((field) => field.name).map((field) => [field.name, field.value]));

  function choose(k) {
    chosen = k;
    chain = null;
    element("weight").value = String(k);
  }

  function go_to(k) {
    sample = k;
    chain = null;
    element("which").value = String(k + 1);
  }

  function step_sample() {
    play(false);
    if (phase === "update") go_to((sample + 1) % training.set.inputs.length);
    phase = { forward: "backward", backward: "update" }[phase] ?? "forward";
    if (phase === "update") {
      tell_before_update();
      training.one_sample(sample);
      if (lost()) return;
    }
    draw();
    changed();
  }

  // What is told of an update are the numbers before it.
  function tell_before_update() {
    training.look_at(sample);
    chain = chain_of(training.network, training.set.labels, training.set.targets[sample], scene.edges[chosen], Number(training.options.rate));
  }

  // ---- what people do ----

  function take(problem) {
    const { name, ...options } = problem;
    for (const [key, value] of Object.entries({ ...DEFAULTS, ...options })) {
      if (key === "seed") form.dataset.seed = value;
      else if (form.elements[key] && [...form.elements[key].options].some((option) => option.value === value)) form.elements[key].value = value;
    }
  }

  const repaint = () => { phase = null; draw(); changed(); };

  function click(id, action) {
    element(id).addEventListener("click", () => { action(); });
  }

  for (const [name, choices] of Object.entries(CHOICES)) form.elements[name].replaceChildren(...choices.map(([value, title]) => new Option(title, value)));
  for (const problem of PROBLEMS) {
    const chip = document.createElement("button");
    chip.textContent = problem.name;
    chip.addEventListener("click", () => { play(false); take(problem); renew(); changed(); });
    element("problems").append(chip);
  }
  const message = line("", "message");
  message.id = "message";
  message.setAttribute("role", "status");
  element("problems").parentElement.querySelector(".bar").after(message);

  click("train", () => play(!is_playing));
  click("epoch", () => { play(false); phase = null; training.epoch(); if (!lost()) draw(); changed(); });
  click("sample", step_sample);
  click("reset", () => { play(false); form.dataset.seed = String(Number(form.dataset.seed) + 1); renew(); changed(); });
  click("other", () => { go_to((sample + 1) % training.set.inputs.length); repaint(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("change", (event) => {
    const { name, value } = event.target;
    if (!name) return;
    // These go on with the same weights.
    if (["rate", "batch", "speed"].includes(name)) training.options[name] = value;
    else { play(false); renew(); }
    draw();
    changed();
  });
  element("weight").addEventListener("change", () => { choose(Number(element("weight").value)); repaint(); });
  element("which").addEventListener("change", () => {
    const k = Math.round(Number(element("which").value)) - 1;
    go_to(Math.max(0, Math.min(training.set.inputs.length - 1, Number.isFinite(k) ? k : 0)));
    repaint();
  });
  element("scene").addEventListener("click", (event) => {
    const found = weight_at(scene, event.offsetX, event.offsetY);
    if (found === null) return;
    choose(found);
    if (is_playing) draw(); else repaint();
  });
  element("scene").addEventListener("pointermove", (event) => {
    element("scene").style.cursor = weight_at(scene, event.offsetX, event.offsetY) === null ? "default" : "pointer";
  });
  element("map").addEventListener("click", (event) => {
    if (space === null || is_playing) return;
    const { set } = training;
    const distances = set.inputs.map((row, k) => {
      const y = row.length === 2 ? row[1] * set.inputs_scale[1][0] + set.inputs_scale[1][1] : set.targets[k] * set.target_scale[0] + set.target_scale[1];
      const [a, b] = space.at(row[0] * set.inputs_scale[0][0] + set.inputs_scale[0][1], y);
      return Math.hypot(a - event.offsetX, b - event.offsetY);
    });
    go_to(distances.indexOf(Math.min(...distances)));
    repaint();
  });
  click("use", () => {
    play(false);
    const text = element("csv").value;
    try {
      own = read_csv(text);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      element("csv").setAttribute("aria-invalid", "true");
      element("csv-fault").textContent = `Line ${error.at + 1}: ${error.message}`;
      return;
    }
    element("csv").setAttribute("aria-invalid", "false");
    element("csv-fault").textContent = "";
    form.elements.data.value = "own";
    sample = 0;
    renew();
    changed();
  });
  document.addEventListener("keydown", (event) => {
    if (element("network").hidden || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("input, select, textarea, summary, [role=tab]")) return;
    const key = event.key.toLowerCase();
    const button = { " ": "train", e: "epoch", s: "sample", r: "reset" }[key];
    if (!button || (key === " " && event.target.tagName === "BUTTON")) return;
    event.preventDefault();
    element(button).click();
  });
  window.addEventListener("resize", () => { if (!element("network").hidden) shown(); });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { if (!element("network").hidden) draw(); });

  return {
    shown,
    hidden: () => play(false),
    open(state) {
      const { weights, epochs, csv, sample: k, weight, ...options } = state;
      take({ ...options });
      form.dataset.seed = String(Math.max(1, Math.floor(Number(options.seed) || 1)));
      if (csv) {
        element("csv").value = csv;
        try { own = read_csv(csv); } catch (error) { if (!(error instanceof Fault)) throw error; }
      }
      chosen = 0;
      sample = Math.max(0, Math.floor(Number(k) || 1) - 1);
      renew(weights ? unpacked(weights) : null, Math.max(0, Math.floor(Number(epochs) || 0)));
      const place = scene.edges.findIndex(({ name }) => name === weight);
      choose(Math.max(0, place));
      draw();
    },
    state: () => ({
      ...Object.fromEntries(Object.entries({ ...options_of(), seed: form.dataset.seed }).filter(([name, value]) => DEFAULTS[name] !== value)),
      weight: chosen ? scene.edges[chosen].name : "", sample: sample ? sample + 1 : "",
      // More than a few thousand characters are no link any more.
      csv: training.options.data === "own" && element("csv").value.length < 4000 ? element("csv").value : "",
      epochs: training.epochs || "", weights: training.epochs || phase === "update" ? packed(training.weights) : "",
    }),
  };
}
