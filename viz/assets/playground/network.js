// A network of at most three hidden layers: its numbers, and what one sample makes of them. Activations and losses
// are the operations of the table, and so are their slopes.

const ACTIVATIONS = { tanh: "tanh/1", relu: "relu/1", sigmoid: "sigmoid/1", leaky_relu: "leaky_relu/2", gelu: "gelu/1", linear: "pos/1" };
// Of the output p and the target t; `squash` is what follows the last neuron where there are classes.
const LOSSES = {
  squared: { title: "squared error", text: "(p - t)**2", slope: "2*(p - t)", squash: "sigmoid/1" },
  cross_entropy: { title: "cross-entropy", text: "softplus(p) - t*p", slope: "sigmoid(p) - t", squash: "pos/1", share: "sigmoid/1" },
  hinge: { title: "hinge", text: "relu(1 - p*(2*t - 1))", squash: "pos/1" },
};

// A row of one number as two functions; further arguments have their defaults.
function curve_of(key) {
  const row = rows[key];
  const more = language.functions[key.split("/")[0]].defaults;
  if (key === "pos/1") return { key, value: (x) => x, slope: () => 1 };
  if (more.length) return { key, value: (x) => row.value([x, ...more]), slope: (y, x) => row.partials(y, [x, ...more])[0] };
  return { key, value: (x) => row.value([x]), slope: (y, x) => row.partials(y, [x])[0] };
}

// The loss of one output as nodes, like any expression that is typed.
function loss_of(kind) {
  const nodes = grown(tree_of(LOSSES[kind].text, language), names_of({ p: 0, t: 0 }), language);
  const graph = passes_over(nodes, nodes.map((_, k) => k).filter((k) => nodes[k].key !== null).reverse(), rows);
  const place = (name) => nodes.findIndex((node) => node.name === name);
  const [p, t] = [place("p"), place("t")];
  // Forward, and one sweep back to p.
  const grads = new Float64Array(nodes.length);
  return function loss(output, target) {
    graph.values[p] = output;
    graph.values[t] = target;
    graph.compute();
    grads.fill(0);
    grads[graph.root] = 1;
    for (let k = graph.root; k >= 0; k -= 1) {
      const g = grads[k];
      if (g !== 0) nodes[k].args.forEach((arg, at) => { if (graph.partials[k][at] !== 0) grads[arg] += g * graph.partials[k][at]; });
    }
    return [graph.values[graph.root], grads[p]];
  };
}

class Network {
  // `sizes` are inputs, neurons of each layer, outputs; weights of a neuron stand in a row with its bias at the end.
  constructor(sizes, activation, loss, is_classes, seed) {
    Object.assign(this, { sizes, activation, kind: loss });
    this.curves = sizes.slice(1).map((_, k) => curve_of(k < sizes.length - 2 ? ACTIVATIONS[activation] : is_classes ? LOSSES[loss].squash : "pos/1"));
    this.loss = loss_of(loss);
    const random = random_from(seed);
    const is_cut = ["relu", "leaky_relu", "gelu"].includes(activation);
    this.weights = sizes.slice(1).map((count, k) => {
      const before = sizes[k];
      // Glorot's bound; He's where half of the sums are cut away.
      const bound = Math.sqrt(is_cut && k < sizes.length - 2 ? 6 / before : 6 / (before + count));
      return Float64Array.from({ length: count * (before + 1) }, (_, at) => (at % (before + 1) === before ? 0 : bound * (2 * random() - 1)));
    });
    this.grads = this.weights.map((layer) => new Float64Array(layer.length));
    this.sums = sizes.slice(1).map((count) => new Float64Array(count)); // z of each neuron
    this.outputs = sizes.map((count) => new Float64Array(count)); // a of each neuron; the first are the inputs
    this.back = sizes.slice(1).map((count) => new Float64Array(count)); // dL/da of each neuron
    this.inner = sizes.slice(1).map((count) => new Float64Array(count)); // dL/dz
  }

  forward(inputs) {
    this.outputs[0].set(inputs);
    for (let l = 0; l < this.weights.length; l += 1) {
      const [before, weights, sums, after] = [this.outputs[l], this.weights[l], this.sums[l], this.outputs[l + 1]];
      const width = before.length + 1;
      const { value } = this.curves[l];
      for (let j = 0; j < sums.length; j += 1) {
        let sum = weights[j * width + width - 1];
        for (let i = 0; i < width - 1; i += 1) sum += weights[j * width + i] * before[i];
        sums[j] = sum;
        after[j] = value(sum);
      }
    }
    return this.outputs.at(-1)[0];
  }

  // After `forward`: the loss; its gradients are added to `grads`, times `share`.
  backward(target, share) {
    const last = this.weights.length - 1;
    const [loss, slope] = this.loss(this.outputs[last + 1][0], target);
    this.back[last][0] = slope;
    for (let l = last; l >= 0; l -= 1) {
      const [before, weights, grads] = [this.outputs[l], this.weights[l], this.grads[l]];
      const width = before.length + 1;
      if (l > 0) this.back[l - 1].fill(0);
      for (let j = 0; j < this.sums[l].length; j += 1) {
        const g = this.back[l][j] * this.curves[l].slope(this.outputs[l + 1][j], this.sums[l][j]);
        this.inner[l][j] = g;
        for (let i = 0; i < width - 1; i += 1) {
          grads[j * width + i] += share * g * before[i];
          if (l > 0) this.back[l - 1][i] += g * weights[j * width + i];
        }
        grads[j * width + width - 1] += share * g;
      }
    }
    return loss;
  }

  // One step of gradient descent with the mean loss of some samples; returns the sum of their losses.
  step(inputs, targets, places, rate) {
    this.grads.forEach((layer) => layer.fill(0));
    let total = 0;
    for (const k of places) {
      this.forward(inputs[k]);
      total += this.backward(targets[k], 1 / places.length);
    }
    this.weights.forEach((layer, l) => { for (let k = 0; k < layer.length; k += 1) layer[k] -= rate * this.grads[l][k]; });
    return total;
  }

  mean_loss(inputs, targets) {
    return inputs.reduce((sum, row, k) => sum + this.loss(this.forward(row), targets[k])[0], 0) / inputs.length;
  }
}

// What the output says between -1 (the first class) and 1 (the second), for colours.
function opinion(kind, is_classes, output) {
  if (!is_classes) return Math.max(-1, Math.min(1, output));
  if (kind === "hinge") return Math.max(-1, Math.min(1, output));
  return 2 * (kind === "cross_entropy" ? rows["sigmoid/1"].value([output]) : output) - 1;
}

// The weights in order, as nn names them.
function weight_names(sizes) {
  return sizes.slice(1).flatMap((count, l) => Array.from({ length: count }, (_, j) => Array.from({ length: sizes[l] + 1 }, (_, i) => ({
    l, j, i, at: j * (sizes[l] + 1) + i, name: i === sizes[l] ? `b${l + 1}[${j + 1}]` : `w${l + 1}[${j + 1},${i + 1}]`,
  })))).flat(2);
}
