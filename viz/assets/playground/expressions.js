// Read expressions by the grammar that the command reads: Python's, of which numbers, names, + - * / // % ** and
// calls are computed. What is refused is told with its place. A tree is made first, then `grown` makes nodes of it.

// An object of names that people choose: no name is in it but those given.
const names_of = (entries) => Object.assign(Object.create(null), entries);

class Fault extends Error {
  constructor(message, at) {
    super(message);
    this.at = at;
  }
}

const MOST_CHARACTERS = 10000;
const DEEPEST = 50; // parentheses
const LONGEST_CHAIN = 400; // a + b + c + ... is nested too
const WORDS = new Set(("and or not if else lambda in is for from import def class return yield await async while with " +
  "try except finally raise del pass break continue global nonlocal assert as elif").split(" "));
const NUMBER = new RegExp([
  "0[xX](?:_?[0-9a-fA-F])+", "0[oO](?:_?[0-7])+", "0[bB](?:_?[01])+",
  "(?:\\d(?:_?\\d)*\\.(?:\\d(?:_?\\d)*)?|\\.\\d(?:_?\\d)*)(?:[eE][+-]?\\d(?:_?\\d)*)?[jJ]?",
  "\\d(?:_?\\d)*[eE][+-]?\\d(?:_?\\d)*[jJ]?", "\\d(?:_?\\d)*[jJ]?",
].join("|"), "y");
const NAME = /[\p{L}\p{Nl}_][\p{L}\p{Nl}\p{Mn}\p{Mc}\p{Nd}\p{Pc}]*/uy;
const SIGN = /\*\*|\/\/|<<|>>|<=|>=|==|!=|:=|->|[-+*/%()[\]{},<>=^&|~@.:;]/y;

// What to write for what is written so on paper: 2x, sin x, |x|; "" for anything else.
function meant(text, language) {
  const word = "\\p{L}\\p{N}_";
  const start = "(?<![\\p{L}\\p{N}_])";
  let found = /\|([^|]+)\|/.exec(text);
  if (found) return `abs(${found[1].trim()})`;
  found = new RegExp(`${start}(\\d+(?:\\.\\d*)?)\\s*([\\p{L}][${word}]*)`, "u").exec(text);
  if (found) return `${found[1]}*${found[2]}`;
  found = new RegExp(`${start}([\\p{L}_][${word}]*)\\s+([${word}]+)`, "u").exec(text);
  if (!found) return "";
  const [, first, second] = found;
  const is_function = (language.others[first] ?? first) in language.functions;
  return is_function ? `${first}(${second})` : `${first}*${second}`;
}

function tokens(text, language) {
  const refuse = (message, at) => {
    const told = meant(text.trimStart(), language);
    throw new Fault(`this is no expression: ${message}${told && `; write ${told}`}`, at);
  };
  const found = [];
  for (let at = 0; at < text.length;) {
    if (" \t\f".includes(text[at])) { at += 1; continue; }
    if (text[at] === "#") break;
    if ("'\"".includes(text[at])) {
      const end = text.indexOf(text[at], at + 1);
      if (end < 0) refuse("the text is not closed", at);
      found.push({ kind: "text", text: text.slice(at, end + 1), at, end: end + 1 });
      at = end + 1;
      continue;
    }
    let kind = null;
    for (const [name, pattern] of [["number", NUMBER], ["name", NAME], ["sign", SIGN]]) {
      pattern.lastIndex = at;
      const match = pattern.exec(text);
      if (!match) continue;
      kind = name;
      const end = pattern.lastIndex;
      if (kind === "number") {
        NAME.lastIndex = end;
        if (NAME.test(text) && !/^(and|or|if|else|in|is|for)\b/.test(text.slice(end))) refuse("a number is followed by a letter", at);
        if (/^0[\d_]*[1-9]/.test(match[0]) && !/[.eEjJ]/.test(match[0])) refuse("a whole number does not begin with 0", at);
      }
      found.push({ kind, text: kind === "name" ? match[0].normalize("NFKC") : match[0], at, end });
      at = end;
      break;
    }
    if (kind === null) {
      const sign = String.fromCodePoint(text.codePointAt(at));
      refuse(`${sign} is no sign that is known here`, at);
    }
  }
  found.push({ kind: "end", text: "", at: text.trimEnd().length, end: text.trimEnd().length });
  return { found, refuse };
}

// How tightly operators with two sides bind, as in Python; those without a row in `COMPUTED` are read, then refused.
const BINDS = names_of({
  or: 1, and: 2, in: 4, is: 4, "<": 4, ">": 4, "<=": 4, ">=": 4, "==": 4, "!=": 4, "|": 5, "^": 6, "&": 7,
  "<<": 8, ">>": 8, "+": 9, "-": 9, "*": 10, "/": 10, "//": 10, "%": 10, "@": 10,
});
const COMPUTED = { "+": "add", "-": "sub", "*": "mul", "/": "div", "//": "floor_divide", "%": "remainder", "**": "pow" };

// Return the tree of an expression. Each part has its place `at`, and `end`.
function tree_of(text, language) {
  if (!text.trim()) throw new Fault("expected an expression but got nothing", 0);
  if (text.length > MOST_CHARACTERS) throw new Fault(`expected at most 10,000 characters but got ${text.length}`, 0);
  if (/\n|\0/.test(text.trim())) throw new Fault("expected one line", text.search(/\n|\0/));
  let nested = 0;
  for (let at = 0; at < text.length; at += 1) {
    nested += "([{".includes(text[at]) - ")]}".includes(text[at]);
    if (nested > DEEPEST) throw new Fault(`expected at most ${DEEPEST} nested parentheses`, at);
  }
  const { found, refuse } = tokens(text, language);
  let next = 0;
  const look = () => found[next];
  const is = (...signs) => look().kind !== "text" && signs.includes(look().text) && look().kind !== "end";
  const take = () => found[next++];

  function close(opening, sign) {
    if (is(sign)) return take();
    if (look().kind === "end") refuse(`'${opening.text}' was never closed`, opening.at);
    return refuse(`expected ${sign} or a sign such as + here`, look().at);
  }

  // Items up to a closing sign.
  function items(opening, sign) {
    const list = [];
    let comma = false;
    while (!is(sign)) {
      const star = is("*", "**") ? take() : null;
      const item = ternary();
      list.push(star ? { kind: "refused", what: "a star", at: star.at, end: item.end, sign: item.end } : item);
      comma = is(",");
      if (is("for")) refuse("a loop has no place here", look().at);
      if (!comma) break;
      take();
    }
    return { list, comma, end: close(opening, sign).end };
  }

  function argument() {
    if (look().kind === "name" && found[next + 1].text === "=" && !WORDS.has(look().text)) {
      const name = take();
      take();
      return { kind: "named", name: name.text, value: ternary(), at: name.at };
    }
    return null;
  }

  function call(target) {
    const opening = take();
    const args = [];
    const named = [];
    while (!is(")")) {
      const given = argument();
      if (given) named.push(given);
      else {
        const star = is("*", "**") ? take() : null;
        const item = ternary();
        args.push(star ? { kind: "refused", what: "a star", at: star.at, end: item.end, sign: item.end } : item);
      }
      if (!is(",")) break;
      take();
    }
    return { kind: "call", target, args, named, at: target.at, end: close(opening, ")").end };
  }

  function atom() {
    const token = look();
    if (token.kind === "number") {
      take();
      const plain = token.text.replaceAll("_", "");
      if (/[jJ]$/.test(plain)) return { kind: "refused", what: "text or a constant", at: token.at, end: token.end };
      return { kind: "number", value: Number(plain), at: token.at, end: token.end };
    }
    if (token.kind === "text" || is("True", "False", "None")) {
      take();
      return { kind: "refused", what: "text or a constant", at: token.at, end: token.end };
    }
    if (is("lambda")) throw new Fault("expected numbers, names, + - * / // % ** and calls but got lambda", token.at);
    if (token.kind === "name" && !WORDS.has(token.text)) {
      take();
      return { kind: "name", name: token.text, at: token.at, end: token.end };
    }
    if (is("(")) {
      take();
      const { list, comma, end } = items(token, ")");
      if (list.length === 1 && !comma) return list[0].kind === "refused" && list[0].what === "a star" ? refuse("a star has no place here", list[0].at) : { ...list[0], wrapped: true, end };
      return { kind: "list", items: list, at: token.at, end };
    }
    if (is("[")) {
      take();
      const { list, end } = items(token, "]");
      return { kind: "list", items: list, at: token.at, end };
    }
    if (token.kind === "end") return refuse("something is missing at the end: a number, a name or a parenthesis", token.at);
    if (is(")", "]", "}")) return refuse(`${token.text} closes nothing, or something is missing before it`, token.at);
    return refuse(`expected a number, a name or a parenthesis but got ${token.text}`, token.at);
  }

  function primary() {
    let part = atom();
    for (;;) {
      if (is("(")) part = call(part);
      else if (is(".")) {
        take();
        if (look().kind !== "name") refuse("expected a name after the dot", look().at);
        part = { kind: "refused", what: "a dot", at: part.at, sign: part.end, end: take().end };
      } else if (is("[")) {
        const opening = take();
        if (is("]")) refuse("expected something between the brackets", look().at);
        part = { kind: "refused", what: "square brackets", at: part.at, sign: part.end, end: items(opening, "]").end };
      } else return part;
    }
  }

  function power() {
    const base = primary();
    if (!is("**")) return base;
    take();
    const exponent = unary();
    return { kind: "two", sign: "**", left: base, right: exponent, at: base.at, end: exponent.end };
  }

  function unary() {
    if (!is("+", "-", "~")) return power();
    const { text: sign, at } = take();
    const inner = unary();
    if (sign === "~") return { kind: "refused", what: "not or ~", at, end: inner.end };
    return { kind: "one", sign, inner, at, end: inner.end };
  }

  function negation() {
    if (!is("not")) return unary();
    const { at } = take();
    const inner = binary(3);
    return { kind: "refused", what: "not or ~", at, end: inner.end };
  }

  function binary(least) {
    let left = least <= 3 ? negation() : unary();
    for (;;) {
      let sign = look().kind === "end" || look().kind === "text" ? "" : look().text;
      const is_not_in = sign === "not" && found[next + 1].text === "in";
      const binds = is_not_in ? 4 : BINDS[sign];
      if (binds === undefined || binds < least) return left;
      take();
      if (is_not_in || (sign === "is" && is("not"))) take();
      const right = binary(binds + 1);
      left = { kind: "two", sign, left, right, at: left.at, end: right.end };
    }
  }

  function ternary() {
    const part = binary(1);
    if (!is("if")) return part;
    take();
    binary(1);
    if (!is("else")) refuse("expected else", look().at);
    take();
    const other = ternary();
    return { kind: "refused", what: "if and else; write where(condition, a, b)", at: part.at, end: other.end };
  }

  const first = ternary();
  if (!is(",")) {
    if (look().kind !== "end") refuse(...unexpected(look()));
    return first;
  }
  const list = [first];
  while (is(",")) {
    take();
    if (look().kind === "end") break;
    list.push(ternary());
  }
  if (look().kind !== "end") refuse(...unexpected(look()));
  return { kind: "list", items: list, at: first.at, end: list.at(-1).end };
}

function unexpected({ text, at, kind }) {
  if (text === "=") return ["there is no = in an expression; numbers are given below it", at];
  if (kind === "sign") return [`${text} is not expected here`, at];
  return ["expected a sign such as + or * before this", at];
}
