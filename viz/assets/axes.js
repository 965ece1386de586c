// Pictures on a canvas: colours of the theme, axes with round numbers, lines.

// Colours of the style sheet, asked for once a theme.
const colours = new Map();
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => colours.clear());
function colour(name) {
  if (!colours.has(name)) colours.set(name, getComputedStyle(document.documentElement).getPropertyValue(name).trim());
  return colours.get(name);
}
const channels = (name) => [1, 3, 5].map((k) => parseInt(colour(name).slice(k, k + 2), 16));
const mix = (a, b, share) => a.map((x, k) => x + (b[k] - x) * share);

// ---- axes ----

// About so many round numbers from one end to the other.
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k += 1) found.push(Number((k * step).toPrecision(12)));
  return found;
}

// Fit a canvas to its place on the page and to the pixels of the screen; return what draws in units of the data.
function plot(canvas, [[x0, x1], [y0, y1]], [xlabel, ylabel], margin, write = String, even = false) {
  const { clientWidth: width, clientHeight: height } = canvas;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  pen.fillStyle = colour("--page");
  pen.fillRect(0, 0, width, height);
  const box = { left: margin.left, top: margin.top, width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
  if (even) {
    const scale = Math.min(box.width / (x1 - x0), box.height / (y1 - y0));
    box.left += (box.width - scale * (x1 - x0)) / 2;
    box.top += (box.height - scale * (y1 - y0)) / 2;
    box.width = scale * (x1 - x0);
    box.height = scale * (y1 - y0);
  }
  const at = (x, y) => [
    box.left + ((x - x0) / (x1 - x0)) * box.width,
    box.top + ((y1 - y) / (y1 - y0)) * box.height,
  ];
  pen.font = "13px Helvetica, Arial, sans-serif";
  pen.lineWidth = 1;
  pen.strokeStyle = colour("--grid");
  pen.fillStyle = colour("--quiet");
  pen.textAlign = "center";
  pen.textBaseline = "top";
  for (const x of ticks(x0, x1, Math.max(4, box.width / 80))) {
    const [px] = at(x, y0);
    pen.strokeRect(px, box.top, 0, box.height);
    pen.fillText(String(x), px, box.top + box.height + 5);
  }
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const y of ticks(y0, y1, Math.max(3, box.height / 45))) {
    const [, py] = at(x0, y);
    pen.strokeRect(box.left, py, box.width, 0);
    pen.fillText(write(y), box.left - 6, py);
  }
  pen.fillStyle = colour("--ink");
  pen.textAlign = "center";
  pen.textBaseline = "bottom";
  pen.fillText(xlabel, box.left + box.width / 2, height - 4);
  pen.save();
  pen.translate(4, box.top + box.height / 2);
  pen.rotate(-Math.PI / 2);
  pen.textBaseline = "top";
  pen.fillText(ylabel, 0, 0);
  pen.restore();
  pen.save();
  pen.beginPath();
  pen.rect(box.left, box.top, box.width, box.height);
  pen.clip();
  return { pen, at, box };
}

// The line where a number for each place of a grid is 0: straight across each cell between places.
function border({ pen, box }, width, height, number) {
  const point = (i, j) => [box.left + (i / (width - 1)) * box.width, box.top + (1 - j / (height - 1)) * box.height];
  pen.beginPath();
  for (let j = 0; j < height - 1; j += 1) {
    for (let i = 0; i < width - 1; i += 1) {
      const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
      const signs = corners.map(([a, b]) => number(a, b));
      if (signs.every((x) => x < 0) || signs.every((x) => !(x < 0))) continue;
      const crossings = [];
      corners.forEach(([a, b], k) => {
        const [c, d] = corners[(k + 1) % 4];
        const [from, to] = [signs[k], signs[(k + 1) % 4]];
        if ((from < 0) === (to < 0)) return;
        const share = from / (from - to);
        crossings.push(point(a + (c - a) * share, b + (d - b) * share));
      });
      for (let k = 0; k + 1 < crossings.length; k += 2) {
        pen.moveTo(...crossings[k]);
        pen.lineTo(...crossings[k + 1]);
      }
    }
  }
  pen.strokeStyle = colour("--ink");
  pen.lineWidth = 2;
  pen.stroke();
}

function stroke({ pen, at }, xs, ys, name, width) {
  pen.beginPath();
  xs.forEach((x, k) => { if (ys[k] !== null) pen.lineTo(...at(x, ys[k])); });
  pen.strokeStyle = colour(name);
  pen.lineWidth = width;
  pen.lineJoin = "round";
  pen.stroke();
}
