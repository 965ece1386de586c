// Lay out a graph in layers: results to the right of (or below) what they are computed from, few crossings, and every
// node as near as can be to the middle of its neighbours. `boxes` have a width and a height, `edges` are pairs of
// places; the answer has the middle of each box, the points of each edge, and the size of the whole.

const GAP = { layer: 54, node: 20, through: 14 };

function laid_out(boxes, edges, is_down) {
  const wide = is_down ? "height" : "width"; // the size along the direction of the graph
  const high = is_down ? "width" : "height";
  const items = boxes.map((box) => ({ along: box[wide], across: box[high], layer: 0, before: [], after: [] }));
  rank(items, edges);
  // An edge over several layers goes through a point in each between.
  const routes = edges.map(([from, to]) => {
    const route = [from];
    for (let layer = items[from].layer + 1; layer < items[to].layer; layer += 1) {
      route.push(items.push({ along: 0, across: 0, layer, before: [], after: [], through: true }) - 1);
    }
    route.push(to);
    for (let k = 1; k < route.length; k += 1) {
      items[route[k - 1]].after.push(route[k]);
      items[route[k]].before.push(route[k - 1]);
    }
    return route;
  });
  const layers = [];
  items.forEach((item, k) => (layers[item.layer] ??= []).push(k));
  order(items, layers);
  place(items, layers);
  // Layers follow one another, each as long as its longest box.
  let along = 0;
  for (const layer of layers) {
    const longest = Math.max(...layer.map((k) => items[k].along));
    for (const k of layer) items[k].middle = along + longest / 2;
    along += longest + GAP.layer;
  }
  const low = Math.min(...items.map((item) => item.at - item.across / 2));
  const top = Math.max(...items.map((item) => item.at + item.across / 2));
  const point = (a, b) => (is_down ? { x: b, y: a } : { x: a, y: b });
  const ends = (route, k) => {
    const item = items[route[k]];
    const half = items[route[k]].along / 2;
    const first = k === 0 ? item.middle + half : item.middle - half;
    return point(first, item.at - low);
  };
  return {
    places: boxes.map((_, k) => point(items[k].middle, items[k].at - low)),
    routes: routes.map((route) => route.map((_, k) => ends(route, k))),
    size: { [wide]: along - GAP.layer, [high]: top - low },
  };
}

// Computed values come one layer after the last of their arguments, inputs one layer before they are first used.
function rank(items, edges) {
  const uses = items.map(() => []);
  const needs = items.map(() => []);
  for (const [from, to] of edges) {
    uses[from].push(to);
    needs[to].push(from);
  }
  // Arguments stand before results.
  items.forEach((item, k) => { item.layer = Math.max(0, ...needs[k].map((from) => items[from].layer + 1)); });
  items.forEach((item, k) => {
    if (needs[k].length === 0 && uses[k].length > 0) item.layer = Math.min(...uses[k].map((to) => items[to].layer)) - 1;
  });
}

function crossings(items, layers) {
  let count = 0;
  for (const layer of layers.slice(1)) {
    const ends = [];
    layer.forEach((k) => items[k].before.forEach((from) => ends.push([items[from].index, items[k].index])));
    for (let a = 0; a < ends.length; a += 1) {
      for (let b = 0; b < a; b += 1) count += (ends[a][0] - ends[b][0]) * (ends[a][1] - ends[b][1]) < 0;
    }
  }
  return count;
}

// Sort each layer by the mean place of its neighbours, forwards and backwards, and keep the best that was met.
function order(items, layers) {
  const number = (layer) => layer.forEach((k, index) => { items[k].index = index; });
  layers.forEach(number);
  const kept = () => layers.map((layer) => [...layer]);
  let best = kept();
  let least = crossings(items, layers);
  for (let sweep = 0; sweep < 12 && least > 0; sweep += 1) {
    const side = sweep % 2 ? "after" : "before";
    for (const layer of sweep % 2 ? [...layers].reverse() : layers) {
      const wish = new Map(layer.map((k) => {
        const places = items[k][side].map((other) => items[other].index);
        return [k, places.length ? places.reduce((a, b) => a + b) / places.length : items[k].index];
      }));
      layer.sort((a, b) => wish.get(a) - wish.get(b));
      number(layer);
    }
    const found = crossings(items, layers);
    if (found < least) [best, least] = [kept(), found];
  }
  best.forEach((layer, k) => { layers[k].splice(0, layer.length, ...layer); number(layers[k]); });
}

function place(items, layers) {
  const room = (a, b) => (items[a].across + items[b].across) / 2 + (items[a].through && items[b].through ? GAP.through : GAP.node);
  for (const layer of layers) {
    let at = 0;
    layer.forEach((k, index) => {
      if (index > 0) at += room(layer[index - 1], k);
      items[k].at = at;
    });
    layer.forEach((k) => { items[k].at -= at / 2; });
  }
  const sides = ["before", "after", "before", "after", "both", "both", "both"];
  for (const side of sides) {
    for (const layer of side === "after" ? [...layers].reverse() : layers) {
      const wishes = layer.map((k) => {
        const near = side === "both" ? [...items[k].before, ...items[k].after] : items[k][side];
        return near.length ? near.reduce((sum, other) => sum + items[other].at, 0) / near.length : items[k].at;
      });
      settle(layer.map((k, index) => (index > 0 ? room(layer[index - 1], k) : 0)), wishes)
        .forEach((at, index) => { items[layer[index]].at = at; });
    }
  }
}

// The places nearest to the wishes (least squares) that keep their order and distances: neighbours that would be too
// near are moved as one block, to the mean of what its members wish.
function settle(distances, wishes) {
  let offset = 0;
  const blocks = [];
  const offsets = distances.map((distance) => (offset += distance));
  wishes.forEach((wish, k) => {
    let block = { sum: wish - offsets[k], count: 1 };
    while (blocks.length && blocks.at(-1).sum / blocks.at(-1).count > block.sum / block.count) {
      const other = blocks.pop();
      block = { sum: other.sum + block.sum, count: other.count + block.count };
    }
    blocks.push(block);
  });
  return blocks.flatMap(({ sum, count }) => Array(count).fill(sum / count)).map((at, k) => at + offsets[k]);
}
