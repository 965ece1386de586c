// The network as people draw it: a column for each layer, a picture in every neuron, lines as thick as weights.

const TITLES = 22; // height of the words above the columns

// Where everything stands, for a canvas of this width and about `room` pixels high.
function scene_of(sizes, width, room) {
  const most = Math.max(...sizes);
  const side = Math.max(26, Math.min(84, width / (2.1 * sizes.length), room / most - 20));
  const step = side + 20; // a number has room below each neuron
  const height = TITLES + most * step + 6;
  const left = 8;
  const gap = (width - 2 * left - side) / (sizes.length - 1);
  const columns = sizes.map((count, l) => Array.from({ length: count }, (_, k) => ({
    x: left + l * gap, y: TITLES + ((most - count) * step) / 2 + k * step,
  })));
  const edges = weight_names(sizes).map((weight) => {
    const to = columns[weight.l + 1][weight.j];
    const end = { x: to.x, y: to.y + side / 2 };
    if (weight.i === sizes[weight.l]) return { ...weight, bias: { x: to.x + 5, y: to.y + side - 5 } };
    const from = columns[weight.l][weight.i];
    // Arrivals spread over the side of the neuron.
    end.y += (((weight.i + 0.5) / sizes[weight.l]) - 0.5) * side * 0.6;
    return { ...weight, from: { x: from.x + side, y: from.y + side / 2 }, to: end };
  });
  return { sizes, width, height, side, columns, edges };
}

const bent = ({ from, to }, t) => {
  // A cubic curve whose handles are level.
  const middle = (from.x + to.x) / 2;
  const [a, b, c, d] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3];
  return [a * from.x + (b + c) * middle + d * to.x, (a + b) * from.y + (c + d) * to.y];
};

// The weight whose line, or the bias whose neuron, is nearest to a place; null where there is none near.
function weight_at(scene, x, y) {
  const { side, columns, edges } = scene;
  let best = null;
  let least = 9;
  edges.forEach((edge, k) => {
    if (edge.bias) {
      const { x: left, y: top } = columns[edge.l + 1][edge.j];
      if (x >= left && x <= left + side && y >= top && y <= top + side) [best, least] = [k, 0];
      return;
    }
    if (x < edge.from.x - 4 || x > edge.to.x + 4) return;
    for (let t = 0; t <= 1; t += 1 / 24) {
      const [a, b] = bent(edge, t);
      const distance = Math.hypot(a - x, b - y);
      if (distance < least) [best, least] = [k, distance];
    }
  });
  return best;
}

// Draw weights and neurons. `notes` has a text for each neuron by layer, or is null.
function draw_scene(canvas, scene, network, field, side, chosen, labels, notes, kept) {
  const { sizes, columns, edges, width, height } = scene;
  const ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.height = `${height}px`;
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.lineCap = "butt";
  const [blue, orange, ink, quiet, page, pink] = ["--one", "--two", "--ink", "--quiet", "--page", "--three"].map(colour);
  const path = ({ from, to }) => {
    const middle = (from.x + to.x) / 2;
    pen.beginPath();
    pen.moveTo(from.x, from.y);
    pen.bezierCurveTo(middle, from.y, middle, to.y, to.x, to.y);
  };
  const thickness = (w) => 0.6 + 5 * Math.min(1, Math.abs(w) / 3);
  edges.forEach((edge, k) => {
    if (edge.bias || k === chosen) return;
    const w = network.weights[edge.l][edge.at];
    path(edge);
    pen.globalAlpha = Math.min(1, 0.3 + Math.abs(w) / 2);
    pen.strokeStyle = w < 0 ? blue : orange;
    pen.lineWidth = thickness(w);
    pen.stroke();
  });
  pen.globalAlpha = 1;
  const picked = edges[chosen];
  // On the way back: the lines through which the gradient has come to the weight.
  for (const edge of scene.is_back && picked ? edges : []) {
    if (edge.bias || edge.l <= picked.l || (edge.l === picked.l + 1 && edge.i !== picked.j)) continue;
    path(edge);
    pen.globalAlpha = edge.l === picked.l + 1 ? 0.8 : 0.3;
    pen.strokeStyle = pink;
    pen.lineWidth = 2;
    pen.stroke();
  }
  pen.globalAlpha = 1;
  if (picked && !picked.bias) {
    const w = network.weights[picked.l][picked.at];
    path(picked);
    pen.strokeStyle = pink;
    pen.lineWidth = thickness(w) + 5;
    pen.stroke();
    pen.strokeStyle = w < 0 ? blue : orange;
    pen.lineWidth = thickness(w);
    pen.stroke();
  }
  const cells = sizes[0] === 2 ? side * side : side;
  let sheet = 0;
  pen.imageSmoothingEnabled = true;
  pen.font = "12px Helvetica, Arial, sans-serif";
  columns.forEach((column, l) => {
    pen.textAlign = l === 0 ? "left" : l === columns.length - 1 ? "right" : "center";
    pen.textBaseline = "alphabetic";
    pen.fillStyle = quiet;
    const title = l === 0 ? "inputs" : l === columns.length - 1 ? "output" : scene.width < 420 ? `${l}` : `layer ${l}`;
    pen.fillText(title, column[0].x + (l === 0 ? 0 : l === columns.length - 1 ? scene.side : scene.side / 2), Math.min(...column.map(({ y }) => y)) - 6);
    column.forEach(({ x, y }, k) => {
      pen.fillStyle = page;
      pen.fillRect(x, y, scene.side, scene.side);
      if (sizes[0] === 2) {
        kept.tiles[sheet] = tile(kept.tiles[sheet], side, field, sheet);
        pen.drawImage(kept.tiles[sheet].canvas, x, y, scene.side, scene.side);
      } else {
        const most = field.subarray(sheet * cells, (sheet + 1) * cells).reduce((a, b) => Math.max(a, Math.abs(b)), 1);
        pen.beginPath();
        for (let cell = 0; cell < side; cell += 1) {
          const value = field[sheet * cells + cell] / most;
          pen.lineTo(x + (cell / (side - 1)) * scene.side, y + (0.5 - 0.42 * value) * scene.side);
        }
        pen.strokeStyle = orange;
        pen.lineWidth = 2;
        pen.stroke();
      }
      const is_own = picked && picked.l + 1 === l && picked.j === k;
      pen.strokeStyle = is_own ? pink : quiet;
      pen.lineWidth = is_own ? 3 : 1;
      pen.strokeRect(x, y, scene.side, scene.side);
      if (l > 0) {
        const bias = network.weights[l - 1][k * (sizes[l - 1] + 1) + sizes[l - 1]];
        pen.beginPath();
        pen.arc(x + 6, y + scene.side - 6, 1.5 + 3 * Math.min(1, Math.abs(bias) / 2), 0, 2 * Math.PI);
        pen.fillStyle = bias < 0 ? blue : orange;
        pen.fill();
        pen.strokeStyle = page;
        pen.lineWidth = 1;
        pen.stroke();
      }
      const note = notes === null ? (l === 0 ? labels[k] : "") : notes[l][k];
      pen.fillStyle = ink;
      pen.textAlign = l === 0 ? "left" : l === columns.length - 1 ? "right" : "center";
      pen.fillText(note, x + (l === 0 ? 0 : l === columns.length - 1 ? scene.side : scene.side / 2), y + scene.side + 13);
      sheet += 1;
    });
  });
}
