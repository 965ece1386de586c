// A training that can be stopped anywhere: what is learnt from, the network, and how far it is. Nothing is drawn here.

const DEFAULTS = {
  data: "moons", noise: "0.1", samples: "200", layer1: "8", layer2: "8", layer3: "0", activation: "tanh",
  loss: "cross_entropy", rate: "0.1", batch: "10", speed: "1", seed: "1",
};

class Training {
  constructor(options, own = null) {
    this.options = { ...DEFAULTS, ...options };
    const { data, noise, samples, seed } = this.options;
    this.set = data === "own" && own ? own : (DATA[data].make ?? DATA.moons.make)(Number(samples), Number(noise), 1);
    this.kind = this.set.is_classes ? this.options.loss : "squared";
    const hidden = ["layer1", "layer2", "layer3"].map((name) => Number(this.options[name])).filter((count) => count > 0);
    this.sizes = [this.set.inputs[0].length, ...hidden, 1];
    this.network = new Network(this.sizes, this.options.activation, this.kind, this.set.is_classes, Number(seed));
    this.epochs = 0;
    this.losses = [this.network.mean_loss(this.set.inputs, this.set.targets)];
    this.random = random_from(Number(seed) + 1000);
    this.order = this.set.inputs.map((_, k) => k);
    const [low, high] = extent(this.set.inputs.map((row) => row[0]));
    const second = this.sizes[0] === 2 ? this.set.inputs.map((row) => row[1]) : this.set.targets;
    this.sides = [[low, high], extent(second)];
  }

  // All samples once, in steps of a batch, in a new order each time.
  epoch() {
    const { inputs, targets } = this.set;
    const { batch, rate } = this.options;
    const size = batch === "all" ? inputs.length : Number(batch);
    if (size < inputs.length) {
      for (let k = this.order.length - 1; k > 0; k -= 1) {
        const other = Math.floor(this.random() * (k + 1));
        [this.order[k], this.order[other]] = [this.order[other], this.order[k]];
      }
    }
    let total = 0;
    for (let k = 0; k < this.order.length; k += size) total += this.network.step(inputs, targets, this.order.slice(k, k + size), Number(rate));
    this.epochs += 1;
    this.losses.push(total / inputs.length);
  }

  one_sample(k) {
    this.network.step(this.set.inputs, this.set.targets, [k], Number(this.options.rate));
  }

  // The pass of one sample, kept in the network for whoever reads it.
  look_at(k) {
    this.network.grads.forEach((layer) => layer.fill(0));
    this.network.forward(this.set.inputs[k]);
    return this.network.backward(this.set.targets[k], 1);
  }

  get loss() {
    return this.network.mean_loss(this.set.inputs, this.set.targets);
  }

  get accuracy() {
    if (!this.set.is_classes) return null;
    const { inputs, targets } = this.set;
    const right = inputs.filter((row, k) => (opinion(this.kind, true, this.network.forward(row)) > 0) === (targets[k] === 1));
    return right.length / inputs.length;
  }

  get is_lost() {
    return this.network.weights.some((layer) => !layer.every(Number.isFinite));
  }

  get weights() {
    return this.network.weights.flatMap((layer) => [...layer]);
  }

  // Take over weights of a link; others than belong here are not taken.
  set_weights(numbers, epochs) {
    if (numbers.length !== this.weights.length) return;
    let at = 0;
    for (const layer of this.network.weights) for (let k = 0; k < layer.length; k += 1) layer[k] = numbers[at++];
    this.epochs = epochs;
    this.losses = [this.loss];
  }
}

// The range of numbers, with some room.
function extent(numbers) {
  const [low, high] = [numbers.reduce((a, b) => Math.min(a, b)), numbers.reduce((a, b) => Math.max(a, b))];
  const room = 0.15 * (high - low) || 1;
  return [low - room, high + room];
}
