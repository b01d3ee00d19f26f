// Markdown becomes elements without ever being HTML. What a model or a document writes stays text:
// raw tags are shown as they are, images as their words, and links lead only to the web or to mail.

import { h, seen } from "./dom.js";

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([\w+#.-]*)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const RULE = /^ {0,3}([-*_])\s*(?:\1\s*){2,}$/;
const QUOTE = /^ {0,3}>\s?/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const DELIMITER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const DEEPEST = 8;

/**
 * Shows a text that grows: only the blocks that have changed are made again.
 * `cite(number)` makes the element for a mark such as [2]; `number` is null for [?].
 */
export class Flow {
  constructor(root, cite = null) {
    this.root = root;
    this.cite = cite;
    this.blocks = [];
  }

  show(text) {
    const blocks = split(seen(text).split(/\r\n|\n|\r/));
    let same = 0;
    while (same < blocks.length && same < this.blocks.length && blocks[same] === this.blocks[same]) same++;
    while (this.root.children.length > same) this.root.lastElementChild.remove();
    for (const block of blocks.slice(same)) this.root.append(element(block.split("\n"), this.cite, 0));
    this.blocks = blocks;
  }
}

function split(lines) {
  const blocks = [];
  for (let at = 0; at < lines.length; ) {
    if (!lines[at].trim()) {
      at++;
      continue;
    }
    const end = blockEnd(lines, at);
    blocks.push(lines.slice(at, end).join("\n"));
    at = end;
  }
  return blocks;
}

function blockEnd(lines, start) {
  const first = lines[start];
  const fence = FENCE.exec(first);
  let at = start + 1;
  if (fence) {
    while (at < lines.length && !lines[at].trim().startsWith(fence[1])) at++;
    return Math.min(at + 1, lines.length);
  }
  if (HEADING.test(first) || RULE.test(first)) return at;
  if (QUOTE.test(first)) {
    while (at < lines.length && QUOTE.test(lines[at])) at++;
    return at;
  }
  if (ITEM.test(first)) return listEnd(lines, at);
  if (isTable(lines, start)) {
    while (at < lines.length && lines[at].includes("|")) at++;
    return at;
  }
  while (at < lines.length && lines[at].trim() && !begins(lines, at)) at++;
  return at;
}

function listEnd(lines, start) {
  let at = start;
  const goesOn = (line) => ITEM.test(line) || /^\s{2,}\S/.test(line);
  while (at < lines.length) {
    if (goesOn(lines[at])) at++;
    else if (lines[at].trim()) {
      if (begins(lines, at)) break;
      at++;
    } else if (at + 1 < lines.length && goesOn(lines[at + 1])) at++;
    else break;
  }
  return at;
}

const isTable = (lines, at) =>
  lines[at].includes("|") && at + 1 < lines.length && lines[at + 1].includes("-") && DELIMITER.test(lines[at + 1]);

const begins = (lines, at) =>
  [FENCE, HEADING, RULE, QUOTE, ITEM].some((kind) => kind.test(lines[at])) || isTable(lines, at);

function element(lines, cite, depth) {
  const [first] = lines;
  const fence = FENCE.exec(first);
  if (fence) return codeBlock(lines, fence);
  const heading = HEADING.exec(first);
  if (heading) return h(`h${levelOf(heading[1])}`, { dir: "auto" }, inline(heading[2], cite));
  if (RULE.test(first)) return h("hr");
  if (depth < DEEPEST) {
    if (QUOTE.test(first)) return quote(lines, cite, depth);
    if (ITEM.test(first)) return list(lines, cite, depth);
    if (isTable(lines, 0)) return table(lines, cite);
  }
  return h("p", { dir: "auto" }, inline(lines.map((line) => line.trim()).join("\n"), cite));
}

/** Answers stand below the heading of their question; some begin with "#", some with "##". */
const levelOf = (marks) => Math.min(Math.max(marks.length + 1, 3), 6);

function codeBlock(lines, fence) {
  const closed = lines.length > 1 && lines.at(-1).trim().startsWith(fence[1]);
  const code = lines.slice(1, closed ? -1 : undefined).join("\n");
  return h("pre", { tabindex: 0, data: { language: fence[2] } }, h("code", {}, code));
}

const inner = (lines, cite, depth) =>
  split(lines).map((block) => element(block.split("\n"), cite, depth + 1));

const quote = (lines, cite, depth) =>
  h("blockquote", {}, inner(lines.map((line) => line.replace(QUOTE, "")), cite, depth));

function list(lines, cite, depth) {
  const [, indent, mark] = ITEM.exec(lines[0]);
  const ordered = /\d/.test(mark);
  const root = h(ordered ? "ol" : "ul", ordered ? { start: parseInt(mark, 10) } : {});
  let item = [];
  const close = () => {
    if (item.length) root.append(listItem(item, cite, depth));
    item = [];
  };
  for (const line of lines) {
    const found = ITEM.exec(line);
    if (found && found[1].length <= indent.length + 1) {
      close();
      item.push(found[3]);
    } else item.push(line.replace(/^\s{1,4}/, ""));
  }
  close();
  return root;
}

function listItem(lines, cite, depth) {
  const blocks = inner(lines, cite, depth);
  if (blocks[0]?.tagName === "P") blocks[0].replaceWith?.(...blocks[0].childNodes);
  const content = blocks.flatMap((b, at) => (at === 0 && b.tagName === "P" ? [...b.childNodes] : [b]));
  return h("li", { dir: "auto" }, content);
}

function table(lines, cite) {
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());
  const row = (line, tag) => h("tr", {}, cells(line).map((cell) => h(tag, { dir: "auto" }, inline(cell, cite))));
  return h("div", { class: "table", tabindex: 0 },
    h("table", {}, h("thead", {}, row(lines[0], "th")), h("tbody", {}, lines.slice(2).map((l) => row(l, "td")))));
}

// Each is tried at one place of the text, and none looks further than it must.
const INLINE = [
  [/\\([\\`*_{}[\]()#+.!|>~-])/y, (m) => m[1]],
  [/(`+)([^`]|[^`][^]*?[^`])\1(?!`)/y, (m) => h("code", {}, m[2].trim())],
  [/!\[([^\]\n]{0,500})\]\([^()\n]{0,4000}\)/y, (m) => m[1]],
  [/!\[([^\]\n]{0,500})\]\[[^\]\n]{0,500}\]/y, (m) => m[1]],
  [/\[(\d{1,3}(?:\s*[,，、]\s*\d{1,3})*|\?)\](?!\()/y, marks],
  [/【(\d{1,3})】/y, marks],
  [/\[([^[\]\n]{1,500})\]\(\s*<?([^\s()<>]{1,2000})>?(?:\s+"[^"\n]{0,500}")?\s*\)/y,
    (m, cite, depth) => link(m[2], inline(m[1], cite, depth + 1), m[1])],
  [/<?(https?:\/\/[^\s<>"'`)\]，。；）】]{1,2000}[^\s<>"'`)\].,;:!?，。；）】])>?/y, (m) => link(m[1], [m[1]], m[1])],
  [/(\*\*|__)(?=\S)([^\n]{1,2000}?\S)\1/y, (m, cite, depth) => h("strong", {}, inline(m[2], cite, depth + 1))],
  [/~~(?=\S)([^\n]{1,2000}?\S)~~/y, (m, cite, depth) => h("s", {}, inline(m[1], cite, depth + 1))],
  [/(?<![\p{L}\p{N}])([*_])(?=\S)([^*_\n]{1,2000}?)(?<=\S)\1(?![\p{L}\p{N}])/uy,
    (m, cite, depth) => h("em", {}, inline(m[2], cite, depth + 1))],
  [/<br\s*\/?>|\n/y, () => h("br")],
];
const SPECIAL = /[\\`!【[<h*_~\n]/;

function inline(text, cite, depth = 0) {
  const nodes = [];
  let plain = "";
  const put = (made) => {
    if (plain) nodes.push(plain);
    plain = "";
    nodes.push(made);
  };
  for (let at = 0; at < text.length; ) {
    const found = SPECIAL.test(text[at]) && depth < DEEPEST ? inlineAt(text, at, cite, depth) : null;
    if (found) put(found.made);
    else plain += text[at];
    at += found ? found.length : 1;
  }
  if (plain) nodes.push(plain);
  return nodes;
}

function inlineAt(text, at, cite, depth) {
  for (const [pattern, make] of INLINE) {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) return { made: make(match, cite, depth), length: match[0].length };
  }
  return null;
}

function marks(match, cite) {
  if (!cite) return match[0];
  if (match[1] === "?") return cite(null);
  return match[1].split(/[,，、]/).map((number) => cite(Number(number)));
}

/** A link says where it leads, where its words do not. */
function link(address, label, words) {
  let url = null;
  try {
    url = new URL(address);
  } catch {
    return label;
  }
  if (!["http:", "https:", "mailto:"].includes(url.protocol)) return label;
  const shown = url.protocol === "mailto:" ? url.pathname : url.host;
  const anchor = h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow" }, label);
  return words.includes(shown) ? anchor : [anchor, h("span", { class: "host" }, ` (${shown})`)];
}
