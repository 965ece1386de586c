// Draw a graph as SVG: a card for each value, lines from arguments to results, and on the lines the local derivatives
// once the backward pass has used them.

const SVG = "http://www.w3.org/2000/svg";

function shape(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const CARD = { width: 106, height: 64 };
const round = (x) => Math.round(10 * x) / 10;

// A curve through points that leaves and arrives along the direction of the graph.
function curve(points, is_down) {
  const parts = [`M${round(points[0].x)} ${round(points[0].y)}`];
  for (let k = 1; k < points.length; k += 1) {
    const [a, b] = [points[k - 1], points[k]];
    const [dx, dy] = is_down ? [0, (b.y - a.y) / 2] : [(b.x - a.x) / 2, 0];
    parts.push(`C${round(a.x + dx)} ${round(a.y + dy)} ${round(b.x - dx)} ${round(b.y - dy)} ${round(b.x)} ${round(b.y)}`);
  }
  return parts.join("");
}

// Return the SVG of nodes; `painted` fills in what a step shows.
function graph_of(nodes, is_down) {
  const size = (node) => (is_number(node) ? { width: Math.max(34, 9 * node.short.length + 18), height: 30 } : CARD);
  const boxes = nodes.map(size);
  const edges = nodes.flatMap((node, k) => node.args.map((arg) => [arg, k]));
  const { places, routes, size: whole } = laid_out(boxes, edges, is_down);
  const svg = shape("svg", {
    viewBox: `-8 -8 ${round(whole.width + 16)} ${round(whole.height + 16)}`, role: "img",
    width: round(whole.width + 16), height: round(whole.height + 16), "aria-labelledby": "graph-title",
  });
  svg.append(shape("title", { id: "graph-title" }, `Graph of ${nodes.length} values`));
  const labels = shape("g", {});
  let index = 0;
  nodes.forEach((node, k) => node.args.forEach((arg, place) => {
    const points = spread(routes[index], place, node.args.length, boxes[k], is_down);
    index += 1;
    const end = points.at(-1);
    const tip = is_down ? `M${end.x - 4} ${end.y - 8}L${end.x} ${end.y}L${end.x + 4} ${end.y - 8}Z` : `M${end.x - 8} ${end.y - 4}L${end.x} ${end.y}L${end.x - 8} ${end.y + 4}Z`;
    svg.append(shape("g", { class: "edge", id: `a${k}.${place}` }, shape("path", { d: curve(points, is_down), fill: "none" }), shape("path", { d: tip, class: "tip" })));
    const [a, b] = points.slice(-2);
    labels.append(shape("g", { class: "slope", id: `s${k}.${place}`, transform: `translate(${round((a.x + b.x) / 2)} ${round((a.y + b.y) / 2)})` },
      shape("rect", { rx: 9, y: -10, height: 20 }), shape("text", { "text-anchor": "middle", y: 4 })));
  }));
  nodes.forEach((node, k) => {
    const { x, y } = places[k];
    const { width, height } = boxes[k];
    const kind = is_number(node) ? "number" : k === nodes.length - 1 ? "result" : node.key === null ? "input" : "step";
    const card = shape("g", { class: `node ${kind}`, id: `v${k}`, transform: `translate(${round(x)} ${round(y)})` },
      shape("title", {}), shape("rect", { x: -width / 2, y: -height / 2, width, height, rx: 9 }));
    if (kind === "number") card.append(shape("text", { "text-anchor": "middle", y: 5 }, node.short));
    else {
      const head = shape("text", { class: "head", x: -width / 2 + 10, y: -13 }, node.short);
      card.append(head, shape("text", { class: "value", x: -width / 2 + 10, y: 6 }), shape("text", { class: "grad", x: -width / 2 + 10, y: 23 }));
      if (node.key !== null) {
        const wide = Math.max(22, 7.4 * node.symbol.length + 12);
        card.append(shape("rect", { class: "sign", x: width / 2 - wide - 5, y: -height / 2 + 5, width: wide, height: 20, rx: 10 }),
          shape("text", { class: "sign", "text-anchor": "middle", x: width / 2 - wide / 2 - 5, y: -height / 2 + 19.5 }, node.symbol));
      }
    }
    svg.append(card);
  });
  svg.append(labels);
  return svg;
}

const is_number = (node) => node.key === null && !node.editable;

// Several arguments arrive beside one another, in their order.
function spread(points, place, count, box, is_down) {
  const along = is_down ? "x" : "y";
  const room = Math.min(16, (is_down ? box.width : box.height) / (count + 1));
  const end = { ...points.at(-1), [along]: points.at(-1)[along] + (place - (count - 1) / 2) * room };
  return [...points.slice(0, -1), end];
}

// Show one step: what is computed so far, where it is now, and the local derivatives met on the way back.
function painted(frame, { nodes, values, partials, steps }, now, grads) {
  const step = steps[now];
  const past = steps.slice(0, now + 1);
  const known = new Set(past.filter((s) => s.pass === "forward").map((s) => s.at));
  const back = new Set(past.filter((s) => s.pass === "backward").map((s) => s.at));
  const part = (id) => frame.querySelector(`[id="${id}"]`);
  nodes.forEach((node, k) => {
    const card = part(`v${k}`);
    const is_known = node.key === null || known.has(k);
    const [value, grad] = [is_known ? show(values[k], 5) : "?", grads[k] === null ? "" : show(grads[k], 5)];
    card.classList.toggle("now", step.at === k);
    card.classList.toggle("from", step.at !== undefined && step.pass !== "seed" && nodes[step.at].args.includes(k) && (step.pass === "forward" || node.wanted));
    card.classList.toggle("known", is_known);
    if (!is_number(node)) {
      card.querySelector(".value").textContent = `= ${value}`;
      card.querySelector(".grad").textContent = grad && `∂ ${grad}`;
    }
    card.querySelector("title").textContent =
      `${node.name}: ${is_known ? `value ${show(values[k], 17)}` : "not computed yet"}${grad && `, gradient ${show(grads[k], 17)}`}`;
    node.args.forEach((arg, place) => {
      part(`a${k}.${place}`).classList.toggle("now", step.at === k && step.pass !== "seed" && (step.pass === "forward" || nodes[arg].wanted));
      part(`a${k}.${place}`).classList.toggle("back", back.has(k) && nodes[arg].wanted);
      const slope = part(`s${k}.${place}`);
      const is_shown = back.has(k) && nodes[arg].wanted;
      slope.classList.toggle("shown", is_shown);
      if (!is_shown) return;
      const text = `× ${show(partials[k][place], 3)}`;
      slope.querySelector("text").textContent = text;
      const wide = 7.2 * text.length + 10;
      for (const [key, value] of [["x", -wide / 2], ["width", wide]]) slope.querySelector("rect").setAttribute(key, value);
    });
  });
}
