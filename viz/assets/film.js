
const film = JSON.parse(element("data").textContent);
if (film.size) [element("picture").style.maxWidth, element("picture").style.height] = film.size.map((side) => `${side}px`);
const isMap = film.names.length > 0;
// Two digits are a score for a place, from -MOST to MOST with the border at 0.
const MOST = 64 ** 2 / 2 - 1;
function scores(text) {
  const digits = Array.from(text, (digit) => film.digits.indexOf(digit));
  return Int16Array.from({ length: digits.length / 2 }, (_, k) => 64 * digits[2 * k] + digits[2 * k + 1] - MOST);
}

const frames = isMap ? film.frames.map(scores) : film.frames;
const COLOURS = ["--one", "--two", "--three", "--four", "--five", "--six"];
const SHEETS = film.several ? film.names.length : 1;
const HEIGHT = isMap ? frames[0].length / film.width / SHEETS : 0;
let now = 0;

// ---- what is drawn ----

// Where a colour comes a second time, another shape goes with it.
const shape_of = (kind) => (kind + Math.floor(kind / COLOURS.length)) % 3;

function mark(pen, [x, y], kind, size) {
  const shape = shape_of(kind);
  pen.beginPath();
  if (shape === 0) pen.arc(x, y, size, 0, 2 * Math.PI);
  else if (shape === 1) pen.rect(x - 0.9 * size, y - 0.9 * size, 1.8 * size, 1.8 * size);
  else {
    pen.moveTo(x, y - 1.3 * size);
    for (const [dx, dy] of [[1.3, 0], [0, 1.3], [-1.3, 0]]) pen.lineTo(x + dx * size, y + dy * size);
    pen.closePath();
  }
  pen.fill();
  pen.stroke();
}

// The score of a place; between places it is interpolated. `sheet` is the class, of several.
const number = (frame, i, j, sheet = 0) => frame[(sheet * HEIGHT + j) * film.width + i];

function between(frame, x, y, sheet) {
  const [i, j] = [Math.min(Math.floor(x), film.width - 2), Math.min(Math.floor(y), HEIGHT - 2)];
  const [a, b] = [x - i, y - j];
  return (1 - b) * ((1 - a) * number(frame, i, j, sheet) + a * number(frame, i + 1, j, sheet)) +
    b * ((1 - a) * number(frame, i, j + 1, sheet) + a * number(frame, i + 1, j + 1, sheet));
}

// Colour a small image of the map, and stretch it over the axes.
function shade({ pen, box }, frame) {
  const size = 160;
  const small = document.createElement("canvas");
  small.width = small.height = size;
  const ink = small.getContext("2d");
  const image = ink.createImageData(size, size);
  const [low, middle, high, page] = ["--low", "--middle", "--high", "--page"].map(channels);
  const tints = film.names.map((_, k) => mix(page, channels(COLOURS[k % COLOURS.length]), 0.3));
  for (let row = 0; row < size; row += 1) {
    for (let column = 0; column < size; column += 1) {
      const [x, y] = [(column / (size - 1)) * (film.width - 1), (1 - row / (size - 1)) * (HEIGHT - 1)];
      let tint;
      if (film.several) {
        const found = film.names.map((_, k) => between(frame, x, y, k));
        tint = tints[found.indexOf(Math.max(...found))];
      } else {
        const share = between(frame, x, y, 0) / MOST;
        tint = mix(middle, share < 0 ? low : high, Math.abs(share));
      }
      image.data.set([...tint, 255], (row * size + column) * 4);
    }
  }
  ink.putImageData(image, 0, 0);
  pen.drawImage(small, box.left, box.top, box.width, box.height);
}

function paint_map(space, frame) {
  shade(space, frame);
  for (let sheet = 0; sheet < SHEETS; sheet += 1) border(space, film.width, HEIGHT, (i, j) => number(frame, i, j, sheet));
  space.pen.strokeStyle = colour("--page");
  space.pen.lineWidth = 1;
  for (const [x, y, kind] of film.samples) {
    space.pen.fillStyle = colour(COLOURS[kind % COLOURS.length]);
    mark(space.pen, space.at(x, y), kind, 4.5);
  }
}

function paint_curve(space, values) {
  space.pen.strokeStyle = colour("--page");
  space.pen.fillStyle = colour("--line");
  for (const [x, y] of film.samples) mark(space.pen, space.at(x, y), 0, film.samples.length > 300 ? 2 : 4);
  stroke(space, film.places, values, "--one", 3);
}

// Losses may spread over decades: where they do, their logarithms are drawn.
function paint_losses() {
  const known = film.losses.filter((loss) => loss !== null);
  if (known.length < 2) { element("losses").parentElement.hidden = true; return; }
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const isLog = least > 0 && most > 20 * least;
  const height = (loss) => (loss === null ? null : isLog ? Math.log10(loss) : loss);
  const ends = [height(least), height(most)];
  const margin = 0.08 * (ends[1] - ends[0]) || 1;
  const sides = [[0, 1.02 * film.epochs.at(-1)], [ends[0] - margin, ends[1] + margin]];
  const write = (y) => (isLog ? String(Number((10 ** y).toPrecision(1))) : String(y));
  const space = plot(element("losses"), sides, ["epoch", "loss"], { left: 62, right: 12, top: 8, bottom: 42 }, write);
  stroke(space, film.epochs, film.losses.map(height), "--quiet", 2);
  if (film.losses[now] === null) return;
  space.pen.fillStyle = colour("--one");
  space.pen.strokeStyle = colour("--page");
  mark(space.pen, space.at(film.epochs[now], height(film.losses[now])), 0, 6);
}

function paint() {
  const space = plot(element("picture"), film.sides, film.labels, { left: 62, right: 12, top: 12, bottom: 46 }, String, film.even);
  (isMap ? paint_map : paint_curve)(space, frames[now]);
  space.pen.restore();
  space.pen.strokeStyle = colour("--line");
  space.pen.strokeRect(space.box.left, space.box.top, space.box.width, space.box.height);
  paint_losses();
}

function show_frame(to) {
  now = to;
  element("caption").textContent = film.captions[now];
  element("picture").setAttribute("aria-label", `${isMap ? "Map of the classes" : "Curve and data"}, ${film.captions[now]}`);
  paint();
  return film.captions[now];
}

// ---- the legend ----

function explain_mark(name, kind, text) {
  const item = document.createElement("li");
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  for (const [key, value] of Object.entries({ width: 22, height: 14, viewBox: "-11 -7 22 14", "aria-hidden": true })) svg.setAttribute(key, value);
  const shape = document.createElementNS(space, "path");
  const circle = "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0";
  shape.setAttribute("d", kind === "line" ? "M-10 -1.5H10V1.5H-10Z" : [circle, "M-4.5 -4.5H4.5V4.5H-4.5Z", "M0 -6L6 0L0 6L-6 0Z"][shape_of(kind)]);
  shape.setAttribute("fill", `var(${name})`);
  svg.append(shape);
  item.append(svg, text);
  element("legend").append(item);
}

if (isMap) {
  film.names.forEach((name, k) => explain_mark(COLOURS[k % COLOURS.length], k, name));
  explain_mark("--ink", "line", "border");
} else {
  explain_mark("--line", 0, "data");
  explain_mark("--one", "line", "prediction");
}

player(frames.length, show_frame, 1000 / film.fps);
window.addEventListener("resize", paint);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
