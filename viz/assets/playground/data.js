// Data to learn from. A set has `inputs` (rows of one or two numbers) and `targets`, in the units the network sees, and
// says how its axes are called and scaled; `is_classes` if the targets are 0 and 1.

// Numbers from 0 to 1 that are the same for a seed everywhere (Marsaglia 2003, "Xorshift RNGs").
function random_from(seed) {
  let state = (Math.imul(seed + 1, 2654435761) >>> 0) || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state / 4294967296;
  };
  for (let k = 0; k < 10; k += 1) next(); // the first ones still show the seed
  return next;
}

// A normal deviate (Box and Muller 1958).
const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const PLANE = { labels: ["x1", "x2"], is_classes: true, names: ["blue", "orange"], inputs_scale: [[1, 0], [1, 0]], target_scale: [1, 0] };

function two_classes(count, noise, seed, point) {
  const random = random_from(seed);
  const inputs = [];
  const targets = [];
  for (let k = 0; k < count; k += 1) {
    const kind = k % 2;
    const [x, y] = point(kind, random, Math.floor(k / 2) / Math.max(1, Math.ceil(count / 2) - 1));
    inputs.push([x + noise * normal(random), y + noise * normal(random)]);
    targets.push(kind);
  }
  return { ...PLANE, inputs, targets };
}

function gate(answers) {
  return { ...PLANE, labels: ["a", "b"], names: ["0", "1"], inputs: [[0, 0], [0, 1], [1, 0], [1, 1]], targets: answers, is_fixed: true };
}

const DATA = {
  moons: {
    title: "Two moons",
    make: (count, noise, seed) => two_classes(count, noise, seed, (kind, random, share) => {
      const angle = Math.PI * share;
      return kind === 0 ? [1.2 * Math.cos(angle) - 0.6, 1.2 * Math.sin(angle) - 0.3] : [0.6 - 1.2 * Math.cos(angle), 0.3 - 1.2 * Math.sin(angle)];
    }),
  },
  circles: {
    title: "Circles",
    make: (count, noise, seed) => two_classes(count, noise, seed, (kind, random) => {
      const angle = 2 * Math.PI * random();
      const radius = kind === 0 ? 0.6 * Math.sqrt(random()) : 1.2 + 0.3 * random();
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    }),
  },
  clouds: {
    title: "XOR, four clouds",
    make: (count, noise, seed) => two_classes(count, noise, seed, (kind, random) => {
      const x = (0.15 + 1.2 * random()) * (random() < 0.5 ? -1 : 1);
      const y = (0.15 + 1.2 * random()) * Math.sign(x) * (kind === 0 ? 1 : -1);
      return [x, y];
    }),
  },
  spiral: {
    title: "Spiral",
    make: (count, noise, seed) => two_classes(count, noise / 2, seed, (kind, random, share) => {
      const angle = 3.5 * Math.PI * share + Math.PI * kind;
      const radius = 0.1 + 1.4 * share;
      return [radius * Math.cos(angle), radius * Math.sin(angle)];
    }),
  },
  and: { title: "AND gate", make: () => gate([0, 0, 0, 1]) },
  xor: { title: "XOR gate", make: () => gate([0, 1, 1, 0]) },
  celsius: {
    title: "Celsius to Fahrenheit",
    // In units of 50 °C and 100 °F: descent needs numbers of about the size of 1.
    make: (count, noise, seed) => {
      const random = random_from(seed);
      const degrees = Array.from({ length: count }, (_, k) => -50 + (100 * k) / (count - 1));
      return {
        inputs: degrees.map((c) => [c / 50]), targets: degrees.map((c) => (1.8 * c + 32) / 100 + noise * normal(random)),
        labels: ["°C", "°F"], is_classes: false, names: [], inputs_scale: [[50, 0]], target_scale: [100, 0],
      };
    },
  },
  wave: {
    title: "A wave",
    make: (count, noise, seed) => {
      const random = random_from(seed);
      const places = Array.from({ length: count }, (_, k) => -1.5 + (3 * k) / (count - 1));
      return {
        inputs: places.map((x) => [x]), targets: places.map((x) => 0.8 * Math.sin(3 * x) + noise * normal(random)),
        labels: ["x", "y"], is_classes: false, names: [], inputs_scale: [[1, 0]], target_scale: [1, 0],
      };
    },
  },
  own: { title: "Own data" },
};

const MOST_SAMPLES = 2000;

// Read lines of numbers, separated by commas, semicolons, tabs or spaces; a Fault's place is the line's number.
function read_csv(text) {
  const lines = text.split(/\r?\n/).map((written, k) => ({ cells: cells_of(written), k })).filter(({ cells }) => cells.length > 0);
  if (lines.length === 0) throw new Fault("expected numbers, one sample a line, but there are none", 0);
  const is_head = lines[0].cells.every((cell) => parse(cell) === null);
  const head = is_head ? lines.shift().cells : null;
  const width = lines[0]?.cells.length ?? 0;
  if (lines.length < 2) throw new Fault("expected at least two samples; write one a line", 0);
  if (lines.length > MOST_SAMPLES) throw new Fault(`expected at most ${MOST_SAMPLES} samples but got ${lines.length}; paste a part of them`, lines[MOST_SAMPLES].k);
  if (width < 2 || width > 3) throw new Fault(`expected two or three columns, the inputs and then the answer, but got ${width}`, lines[0].k);
  const answers = [];
  const inputs = [];
  for (const { cells, k } of lines) {
    if (cells.length !== width) throw new Fault(`expected ${width} columns, as in the lines before, but got ${cells.length}`, k);
    const numbers = cells.slice(0, -1).map(parse);
    const wrong = numbers.findIndex((x) => x === null || !Number.isFinite(x));
    if (wrong >= 0) throw new Fault(`expected a number but got ${cells[wrong]}; write decimals with a point and separate columns by commas`, k);
    inputs.push(numbers);
    answers.push(cells.at(-1));
  }
  const kinds = [...new Set(answers)];
  const is_classes = kinds.length === 2 && width === 3;
  const words = answers.findIndex((answer) => !Number.isFinite(parse(answer) ?? NaN));
  if (!is_classes && words >= 0) {
    const { k } = lines[words];
    throw new Fault(kinds.length === 1 ? "expected two different answers, or numbers, but all are the same" : `expected a number or one of two classes as the answer but got ${answers[words]}`, k);
  }
  kinds.sort((a, b) => (parse(a) ?? 0) - (parse(b) ?? 0) || (a < b ? -1 : 1));
  const scales = inputs[0].map((_, k) => scale_of(inputs.map((row) => row[k])));
  const targets = is_classes ? answers.map((answer) => kinds.indexOf(answer)) : answers.map(Number);
  const target_scale = is_classes ? [1, 0] : scale_of(targets);
  return {
    inputs: inputs.map((row) => row.map((x, k) => (x - scales[k][1]) / scales[k][0])),
    targets: targets.map((t) => (t - target_scale[1]) / target_scale[0]),
    labels: head ? head.slice(0, 2) : width === 3 ? ["x1", "x2"] : ["x", "y"],
    is_classes, names: is_classes ? kinds : [], inputs_scale: scales, target_scale, is_fixed: true,
  };
}

function cells_of(written) {
  const text = written.trim();
  if (text === "") return [];
  const sign = [",", ";", "\t"].find((candidate) => text.includes(candidate)) ?? /\s+/;
  return text.split(sign).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1"));
}

// Mean and deviation, so that what the network sees is about as large as 1.
function scale_of(numbers) {
  const mean = numbers.reduce((a, b) => a + b, 0) / numbers.length;
  const deviation = Math.sqrt(numbers.reduce((sum, x) => sum + (x - mean) ** 2, 0) / numbers.length);
  return [deviation || 1, mean];
}
