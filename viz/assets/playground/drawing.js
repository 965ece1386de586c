// Maps and curves: what a network makes of every place, and how the loss falls.

const LEVELS = 128;
let inks = null; // colours from the lowest to the highest, as pixels

function ramp() {
  if (inks !== null) return inks;
  const [low, middle, high] = ["--low", "--middle", "--high"].map(channels);
  inks = Uint32Array.from({ length: 2 * LEVELS + 1 }, (_, k) => {
    const share = k / LEVELS - 1;
    const [r, g, b] = mix(middle, share < 0 ? low : high, Math.abs(share)).map(Math.round);
    return (255 << 24) | (b << 16) | (g << 8) | r; // as the bytes lie in memory
  });
  return inks;
}
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { inks = null; });

// A small picture of numbers from -1 to 1, to be stretched; kept and filled again.
function tile(kept, side, field, sheet) {
  if (!kept || kept.canvas.width !== side) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = side;
    const pen = canvas.getContext("2d");
    const image = pen.createImageData(side, side);
    kept = { canvas, pen, image, pixels: new Uint32Array(image.data.buffer) };
  }
  const pixels = ramp();
  const start = sheet * side * side;
  for (let row = 0; row < side; row += 1) {
    for (let column = 0; column < side; column += 1) {
      const x = field[start + (side - 1 - row) * side + column];
      kept.pixels[row * side + column] = pixels[Math.round((x < -1 ? -1 : x > 1 ? 1 : x) * LEVELS) + LEVELS];
    }
  }
  kept.pen.putImageData(kept.image, 0, 0);
  return kept;
}

// The numbers of all neurons, inputs first, at every place of a grid over the data, scaled to -1 ... 1.
function fields_of(network, sides, side, is_classes, kept) {
  const { sizes } = network;
  const cells = sizes[0] === 2 ? side * side : side;
  const count = sizes.reduce((a, b) => a + b);
  const field = kept && kept.length === cells * count ? kept : new Float32Array(cells * count);
  const point = new Float64Array(sizes[0]);
  const at = ([low, high], k) => low + ((high - low) * k) / (side - 1);
  for (let cell = 0; cell < cells; cell += 1) {
    point[0] = at(sides[0], cell % side);
    if (sizes[0] === 2) point[1] = at(sides[1], Math.floor(cell / side));
    network.forward(point);
    let sheet = 0;
    for (const layer of network.outputs) {
      for (let k = 0; k < layer.length; k += 1) {
        field[sheet * cells + cell] = layer[k];
        sheet += 1;
      }
    }
  }
  const last = count - 1;
  for (let sheet = 0; sheet < last; sheet += 1) {
    const is_sigmoid = network.activation === "sigmoid" && sheet >= sizes[0];
    let most = 1;
    for (let k = sheet * cells; k < (sheet + 1) * cells; k += 1) {
      if (is_sigmoid) field[k] = 2 * field[k] - 1;
      else if (Math.abs(field[k]) > most) most = Math.abs(field[k]);
    }
    if (most > 1) for (let k = sheet * cells; k < (sheet + 1) * cells; k += 1) field[k] /= most;
  }
  if (is_classes) for (let k = last * cells; k < count * cells; k += 1) field[k] = opinion(network.kind, true, field[k]);
  return field;
}

// The colour of a number from -1 to 1, for numbers in the plane.
function tint(x) {
  const share = Math.max(-1, Math.min(1, x));
  return `rgb(${mix(channels("--middle"), channels(share < 0 ? "--low" : "--high"), Math.abs(share)).map(Math.round)})`;
}

// Data as circles and squares, so that colour is not all that tells.
function draw_samples(space, set, chosen) {
  const { pen, at } = space;
  const many = set.inputs.length > 250;
  const [scale_x, scale_y] = set.inputs_scale;
  set.inputs.forEach((row, k) => {
    const x = row[0] * scale_x[0] + scale_x[1];
    const y = row.length === 2 ? row[1] * scale_y[0] + scale_y[1] : set.targets[k] * set.target_scale[0] + set.target_scale[1];
    const kind = set.is_classes ? set.targets[k] : 0;
    const place = at(x, y);
    const size = k === chosen ? 8 : many ? 3 : set.inputs.length < 10 ? 7 : 4.5;
    pen.beginPath();
    if (kind === 0) pen.arc(...place, size, 0, 2 * Math.PI);
    else pen.rect(place[0] - 0.88 * size, place[1] - 0.88 * size, 1.76 * size, 1.76 * size);
    if (set.is_classes) pen.fillStyle = colour(kind === 0 ? "--one" : "--two");
    else pen.fillStyle = row.length === 1 ? colour("--line") : tint(set.targets[k]);
    pen.strokeStyle = colour(k === chosen || (!set.is_classes && row.length === 2) ? "--ink" : "--page");
    pen.lineWidth = k === chosen ? 3 : 1;
    pen.fill();
    pen.stroke();
  });
}

const MARGIN = { left: 46, right: 16, top: 8, bottom: 40 };

// The output for every place, or the curve that it is where there is one input. Returns what places samples.
function draw_map(canvas, set, sides, field, side, chosen, kept) {
  const cells = set.inputs[0].length === 2 ? side * side : side;
  const last = field.length / cells - 1;
  const own = sides.map(([low, high], k) => {
    const [scale, shift] = k < set.inputs[0].length ? set.inputs_scale[k] : set.target_scale;
    return [low * scale + shift, high * scale + shift];
  });
  const space = plot(canvas, own, set.labels, MARGIN);
  if (set.inputs[0].length === 2) {
    kept.image = tile(kept.image, side, field, last);
    space.pen.imageSmoothingEnabled = true;
    space.pen.drawImage(kept.image.canvas, space.box.left, space.box.top, space.box.width, space.box.height);
    if (set.is_classes) border(space, side, side, (i, j) => field[last * cells + j * side + i]);
    draw_samples(space, set, chosen);
  } else {
    draw_samples(space, set, chosen);
    const places = Array.from({ length: side }, (_, k) => own[0][0] + ((own[0][1] - own[0][0]) * k) / (side - 1));
    stroke(space, places, places.map((_, k) => field[last * cells + k] * set.target_scale[0] + set.target_scale[1]), "--two", 3);
  }
  space.pen.restore();
  return space;
}

// A line over steps; where it spreads over decades, its logarithm.
function draw_curve(canvas, numbers, xlabel, ylabel) {
  const known = numbers.filter(Number.isFinite);
  if (known.length < 2) { canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height); return; }
  const [least, most] = [known.reduce((a, b) => Math.min(a, b)), known.reduce((a, b) => Math.max(a, b))];
  const is_log = least > 0 && most > 20 * least;
  const height = (x) => (!Number.isFinite(x) ? null : is_log ? Math.log10(Math.max(x, least)) : x);
  const ends = [height(least), height(most)];
  const room = 0.08 * (ends[1] - ends[0]) || 0.1 * Math.abs(ends[0]) || 1;
  const write = (y) => (is_log ? (y < -3 ? (10 ** y).toExponential(0) : String(Number((10 ** y).toPrecision(1)))) : show(y, 3));
  const sides = [[0, numbers.length - 1], [ends[0] - room, ends[1] + room]];
  const space = plot(canvas, sides, [xlabel, ylabel], { ...MARGIN, left: 62 }, write);
  // No more points than pixels.
  const every = Math.max(1, Math.floor(numbers.length / 600));
  const places = numbers.map((_, k) => k).filter((k) => k % every === 0 || k === numbers.length - 1);
  stroke(space, places, places.map((k) => height(numbers[k])), "--one", 2);
  space.pen.restore();
}
