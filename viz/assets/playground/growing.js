// Make nodes of an expression's tree: what explain's page has, but made here. `language` is what Python knows of the
// operations: their arguments, their formulas, and names that other libraries have for them.

const REFUSED = "expected numbers, names, + - * / // % ** and calls but got ";

// The name that was probably meant: of all known ones that with the fewest changes, if they are few.
function nearest(name, known) {
  let best = "";
  let least = 1 + Math.floor(name.length / 3);
  for (const other of known) {
    let row = Array.from({ length: other.length + 1 }, (_, k) => k);
    for (let i = 1; i <= name.length; i += 1) {
      const above = row;
      row = [i];
      for (let j = 1; j <= other.length; j += 1) {
        row.push(Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (name[i - 1] !== other[j - 1])));
      }
    }
    if (row.at(-1) < least) [best, least] = [other, row.at(-1)];
  }
  return best;
}

const is_free = (name, language) => !(name in language.functions) && !(name in language.constants);

// The variables of a tree, in order.
function variables_of(tree, language) {
  const found = [];
  (function visit(part) {
    if (part.kind === "name" && is_free(part.name, language)) found.push(part);
    if (part.kind === "call" && part.target.kind !== "name") visit(part.target);
    for (const inner of [part.left, part.right, part.inner, ...(part.items ?? []), ...(part.args ?? [])]) if (inner) visit(inner);
  })(tree);
  return [...new Set(found.sort((a, b) => a.at - b.at).map((part) => part.name))];
}

// Return the nodes of a tree, arguments before results, where `numbers` maps variables to their values. Equal names
// are one node; everything else is a node each time it is written.
function grown(tree, numbers, language) {
  const { functions, constants, others } = language;
  const nodes = [];
  const places = new Map();
  let given = names_of({}); // the arguments of a function that is written out

  const leaf = (name, value, editable) => nodes.push({
    name, value, wanted: editable, editable, key: null, symbol: "", args: [], partials: [], text: [], rules: [],
  }) - 1;
  // A number, which becomes a node where it is used.
  const place_of = (part) => (typeof part === "number" ? leaf(show(part), part, false) : part.place);

  function applied(name, args, at) {
    const key = `${name}/${args.length}`;
    if (functions[name].missing) {
      throw new Fault(`${name} cannot be computed on this page; the command chainrule explain shows it`, at);
    }
    if (!(key in language.forms)) throw new Fault(`${name} takes at most 8 numbers on this page`, at);
    const taken = args.map(place_of);
    const { text, rules } = language.forms[key];
    const node = {
      name: null, value: NaN, wanted: taken.some((k) => nodes[k].wanted), editable: false, key, symbol: functions[name].symbol,
      args: taken, partials: taken.map(() => NaN), text, rules,
    };
    if (name === "pow" && nodes[taken[1]].key === null && !nodes[taken[1]].editable) node.rules = [power_rule(nodes[taken[1]].value), null];
    return { place: nodes.push(node) - 1 };
  }

  function number_of(part, depth) {
    const found = read_part(part, depth + 1);
    if (Array.isArray(found)) throw new Fault("expected a number but got a list", part.at);
    return found;
  }

  function name_of(part) {
    const { name, at } = part;
    if (name in given) return given[name];
    if (name in numbers) {
      if (!places.has(name)) places.set(name, leaf(name, numbers[name], true));
      return { place: places.get(name) };
    }
    if (name in constants) return read(constants[name]);
    if (name in functions) throw new Fault(`${name} is a function; call it, as in ${name}(x)`, at);
    throw new Fault(`${name} has no value; add ${name}=... after the expression`, at);
  }

  function call_of(part, depth) {
    const { target, at } = part;
    if (target.kind !== "name") throw new Fault(`expected the name of a function but got ${kind_of(target)}`, target.at);
    const name = target.name;
    if (!(name in functions)) {
      if (language.lists.includes(name)) throw new Fault(`${name} does not give one number, so that it cannot be used here`, target.at);
      const known = Object.keys(functions);
      const guess = others[name] ?? nearest(name, known);
      throw new Fault(`${name} is not a function of chainrule${guess && `; did you mean ${guess}?`}`, target.at);
    }
    if (part.named.length) throw new Fault(`${name} takes no arguments by name`, part.named[0].value.at);
    const args = part.args.map((arg) => read_part(arg, depth + 1));
    const { count, least, names, lists } = functions[name];
    const fail = (message) => { throw new Fault(message, at); };
    if (lists) return reduced(name, args, fail, at);
    if (args.length < least || args.length > count) {
      const wanted = least === count ? `${count}` : `${least} to ${count}`;
      fail(`${name} expected ${wanted} argument${wanted === "1" ? "" : "s"} (${names.join(", ")}) but got ${args.length}`);
    }
    args.forEach((arg, k) => { if (Array.isArray(arg)) fail(`${name} expected a number for ${names[k]} but got a list`); });
    const all = [...args, ...functions[name].defaults.slice(args.length - least)];
    const { written } = functions[name];
    if (!written) return plain(name, all, at);
    const outer = given;
    given = names_of({ x: all[0] });
    const found = read_part(tree_of(written, language), depth + 1);
    given = outer;
    return found;
  }

  // A list of numbers, or several of the same length, as the arguments of one row.
  function reduced(name, args, fail, at) {
    const { lists, empty } = functions[name];
    const several = lists > 1 ? `${lists} lists` : "a list";
    if (args.length !== lists) fail(`${name} expected ${several} of numbers, such as ${name}(${Array(lists).fill("[x, y]").join(", ")}), but got ${args.length} arguments`);
    if (!args.every(Array.isArray)) fail(`${name} expected ${several} of numbers, such as ${name}(${Array(lists).fill("[x, y]").join(", ")})`);
    const lengths = [...new Set(args.map((arg) => arg.length))];
    if (lengths.length > 1) fail(`${name} expected lists of the same length but got lengths ${lengths.join(" and ")}`);
    if (lengths[0] === 0) return empty === null ? fail(`${name} expected at least one number but got none`) : read(empty);
    if (name !== "prod") return plain(name, args.flat(), at);
    const [first, ...rest] = args[0];
    return rest.length ? rest.reduce((a, b) => plain("mul", [a, b], at), first) : plain("mul", [1, first], at);
  }

  // Numbers alone give a number, which no gradient reaches.
  function plain(name, args, at) {
    if (!args.every((arg) => typeof arg === "number")) return applied(name, args, at);
    const row = rows[`${name}/${args.length}`];
    return row ? row.value(args) : applied(name, args, at);
  }

  function read_part(part, depth) {
    if (depth > LONGEST_CHAIN) throw new Fault(`expected at most ${LONGEST_CHAIN} operations inside one another`, part.at);
    if (part.kind === "number") return part.value;
    if (part.kind === "name") return name_of(part);
    if (part.kind === "list") return part.items.map((item) => number_of(item, depth));
    if (part.kind === "call") return call_of(part, depth);
    if (part.kind === "one") {
      const inner = number_of(part.inner, depth);
      if (part.sign === "+") return inner;
      return typeof inner === "number" ? -inner : applied("neg", [inner], part.at);
    }
    if (part.kind === "two" && part.sign in COMPUTED) {
      const [left, right] = [number_of(part.left, depth), number_of(part.right, depth)];
      return plain(COMPUTED[part.sign], [left, right], part.at);
    }
    throw new Fault(REFUSED + kind_of(part), part.kind === "two" ? (BINDS[part.sign] < 3 ? part.at : part.left.end) : part.sign ?? part.at);
  }

  const result = read_part(tree, 0);
  if (Array.isArray(result)) throw new Fault("expected a number but got a list", tree.at);
  const root = place_of(result);
  if (root !== nodes.length - 1) throw new Fault("expected an expression that ends in its result", tree.at);
  named(nodes);
  return nodes;
}

function kind_of(part) {
  if (part.kind === "refused") return part.what;
  if (part.kind === "number") return "text or a constant";
  if (part.kind === "call") return "call";
  if (part.kind === "list") return "list";
  if (part.kind !== "two") return part.kind;
  if (part.sign === "^") return "^; a power is written **";
  if (part.sign === "and" || part.sign === "or") return "and, or";
  if (BINDS[part.sign] === 4) return "a comparison; less(a, b), less_equal, equal and not_equal give 1 or 0";
  return part.sign in COMPUTED ? "an operation" : part.sign;
}

// By a fixed exponent the derivative is 2*x, 3*x**2 and so on.
function power_rule(n) {
  if (n === 0 || n === 1 || !Number.isFinite(n)) return null;
  const rest = show(n - 1);
  return n === 2 ? ["2*", 0, ""] : [n === -1 ? "-" : `${show(n)}*`, 0, `**${rest}`];
}

// Name the computed values by letters that are free; the last is L.
function named(nodes) {
  const taken = new Set(nodes.map((node) => node.name));
  const letters = [..."uvwstpq"].filter((letter) => !taken.has(letter));
  let count = 0;
  nodes.forEach((node, k) => {
    if (node.key !== null) {
      const last = k === nodes.length - 1;
      if (last && !taken.has("L")) node.name = "L";
      else if (letters.length) node.name = letters.shift();
      else do { count += 1; node.name = `u${count}`; } while (taken.has(node.name));
      taken.add(node.name);
    }
    node.short = node.name.length > 15 ? `${node.name.slice(0, 14)}…` : node.name;
  });
}
