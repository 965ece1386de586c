// The chain rule of one weight at one sample: what is written of the forward pass, of the way back, and of the update.

// Words and numbers of the links from the loss to a weight. The network has seen the sample, forward and backward.
function chain_of(network, labels, target, weight, rate) {
  const { l, j, i, at, name } = weight;
  const { sizes, weights, sums, outputs, back, inner, curves } = network;
  const last = weights.length - 1;
  const width = sizes[l] + 1;
  const z = (m, k) => `z${m + 1}[${k + 1}]`;
  const a = (m, k) => (m < 0 ? labels[k] : m === last ? "p" : `a${m + 1}[${k + 1}]`);
  const w = (m, k, n) => (n === sizes[m] ? `b${m + 1}[${k + 1}]` : `w${m + 1}[${k + 1},${n + 1}]`);
  const function_of = (m, inside_text) => fill(language.forms[curves[m].key].text, (place) => (place === 0 ? inside_text : show(language.functions[curves[m].key.split("/")[0]].defaults[place - 1])));
  const is_bias = i === sizes[l];
  const came_in = is_bias ? 1 : outputs[l][i];
  const slope = curves[l].slope(outputs[l + 1][j], sums[l][j]);
  const grad = inner[l][j] * came_in + 0; // a zero without its sign
  // Four digits, so that lines stay short.
  const brief = (x) => (x < 0 ? `(${show(x, 4)})` : show(x, 4));
  const { text, slope: loss_rule } = LOSSES[network.kind];
  const [p, L] = [outputs[last + 1][0], network.loss(outputs[last + 1][0], target)[0]];
  const put = (rule) => rule.replace(/\(p\)/g, `(${show(p, 4)})`).replace(/\b[pt]\b/g, (letter) => brief(letter === "p" ? p : target));

  // Terms of a sum, of which no more than four are spelled out.
  const sum = (terms) => (terms.length <= 4 ? terms : [...terms.slice(0, 3), "…", terms.at(-1)]).join(" + ");

  const products = (numbers) => sum([
    ...outputs[l].map((_, n) => n).reduce((list, n) => [...list, numbers ? `${brief(weights[l][j * width + n])}*${brief(outputs[l][n])}` : `${w(l, j, n)}*${a(l - 1, n)}`], []),
    numbers ? brief(weights[l][j * width + width - 1]) : w(l, j, width - 1),
  ]);
  const has_curve = (m) => curves[m].key !== "pos/1";
  const forward = [
    `${z(l, j)} = ${products(false)}`, `      = ${products(true)} = ${show(sums[l][j], 4)}`,
    ...(has_curve(l) ? [`${a(l, j)} = ${function_of(l, z(l, j))} = ${show(outputs[l + 1][j], 4)}`] : [`${a(l, j)} = ${z(l, j)} = ${show(outputs[l + 1][j], 4)}`]),
    ...(l < last ? [`… through ${last - l === 1 ? "the layer" : `${last - l} layers`} after it: p = ${show(p, 4)}`] : []),
    `L = ${text} = ${put(text)} = ${show(L, 4)}`,
  ];

  const backward = [loss_rule ? `dL/dp = ${loss_rule} = ${put(loss_rule)} = ${show(back[last][0], 4)}` : `dL/dp = ${show(back[last][0], 4)}`];
  for (let m = last; m > l; m -= 1) {
    const name_of = sizes[m + 1] === 1 ? z(m, 0) : `z${m + 1}[1…${sizes[m + 1]}]`;
    const numbers = Array.from(inner[m], (g) => show(g, 4)).join(", ");
    const how = m === last ? ` = dL/dp * dp/d${z(m, 0)} = ${brief(back[m][0])} * ${brief(curves[m].slope(outputs[m + 1][0], sums[m][0]))}` : "";
    backward.push(`dL/d${name_of}${how} = ${numbers}`);
  }
  if (l < last) {
    const terms = Array.from(inner[l + 1], (g, k) => k);
    const next_width = sizes[l + 1] + 1;
    backward.push(`dL/d${a(l, j)} = ${sum(terms.map((k) => `${w(l + 1, k, j)}*dL/d${z(l + 1, k)}`))}`);
    backward.push(`      = ${sum(terms.map((k) => `${brief(weights[l + 1][k * next_width + j])}*${brief(inner[l + 1][k])}`))} = ${show(back[l][j], 4)}`);
  }
  const rule = language.forms[curves[l].key]?.rules[0];
  const slope_text = !has_curve(l) ? "" : rule ? fill(rule, (place) => (place === -1 ? a(l, j) : z(l, j))) : `slope of ${curves[l].key.split("/")[0]}`;

  const factors = [
    { top: `dL/d${a(l, j)}`, value: back[l][j], why: l === last ? "how the loss feels the output" : "what comes back from the layers after it" },
    { top: `d${a(l, j)}/d${z(l, j)}`, value: slope, why: has_curve(l) ? slope_text : "no activation: 1" },
    { top: `d${z(l, j)}/d${name}`, value: came_in, why: is_bias ? "a bias is added: 1" : `what came in, ${a(l - 1, i)}` },
  ];
  const before = weights[l][at];
  return {
    factors, grad, forward, backward,
    update: [`${name} = ${show(before)} - ${show(rate)} * ${inside(grad)} = ${show(before - rate * grad)}`],
  };
}

// Show the chain: until a phase, or all of it.
function tell_chain(box, chain, name, phase) {
  const make = (tag, kind, ...children) => {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    made.append(...children);
    return made;
  };
  const lines = (texts) => texts.map((text) => line(text, "code"));
  const part = (title, ...children) => make("div", "link", make("h3", "", title), ...children);
  const shown = [part("1 Forward: from the inputs to the loss", ...lines(chain.forward))];
  if (phase !== "forward") {
    const boxes = chain.factors.flatMap(({ top, value, why }, k) => [
      ...(k > 0 ? [make("span", "times", "×")] : []),
      make("div", "factor", make("span", "top", top), make("strong", "", show(value, 5)), make("span", "why", why)),
    ]);
    const product = make("div", "factors", ...boxes, make("span", "times", "="), make("div", "factor result", make("span", "top", `dL/d${name}`), make("strong", "", show(chain.grad, 5)),
      make("span", "why", chain.grad > 0 ? "raising it raises the loss" : chain.grad < 0 ? "raising it lowers the loss" : "nothing changes")));
    const whole = part("The gradient: the slopes on the way, multiplied", product);
    whole.classList.add("product");
    shown.push(part("2 Backward: from the loss to this neuron", ...lines(chain.backward)), whole);
  }
  if (phase !== "forward" && phase !== "backward") shown.push(part("3 Update: a little against the gradient", ...lines(chain.update)));
  box.replaceChildren(...shown);
}
