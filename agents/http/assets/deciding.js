// The calls of an agent that wait: each is approved, changed or rejected.

import { notice } from "./answer.js";
import { h, icon, leaveFor, seen } from "./dom.js";
import { say } from "./words.js";

const EFFECTS = { read: "effect_read", write: "effect_write", network: "effect_network" };
let fields = 0;

/** Asks about each of the `pending` calls; `decided(decisions)` is called when all are made. */
export class Deciding {
  constructor(pending, decided) {
    this.problem = h("p", { class: "failure", role: "alert", hidden: true });
    this.cards = pending.map((call) => new Card(call, () => {
      const next = this.cards.find((card) => !card.decision);
      if (next) next.root.focus();
      else decided(this.cards.map((card) => card.decision));
    }));
    this.root = h("div", { class: "deciding" }, h("h3", { class: "label" }, say("agent_waits")),
      this.problem, this.cards.map((card) => card.root));
  }

  /** To the first card, but to no button: what is typed at that moment is no decision. */
  focus() {
    this.cards[0].root.focus();
  }

  /** What was decided was refused: ask again, with what was written. */
  again(problem) {
    this.problem.hidden = false;
    this.problem.textContent = problem;
    for (const card of this.cards) card.again();
    this.focus();
  }

  isAbout(pending) {
    return this.cards.every((card) => pending.some((call) => call.call_id === card.call.call_id));
  }
}

class Card {
  constructor(call, decided) {
    Object.assign(this, { call, decided, decision: null });
    this.shown = h("pre", { tabindex: 0 }, pretty(call.arguments));
    this.root = h("section", { class: "approval", tabindex: -1, "aria-label": `${say("agent_waits")}: ${seen(call.tool)}` },
      h("p", { class: "tool" }, icon("tool"), h("code", {}, seen(call.tool)), h("span", { class: "effect" }, say(EFFECTS[call.effect] ?? "effect_write"))),
      h("p", {}, seen(call.reason)),
      this.shown,
      call.tainted?.length ? notice(say("tainted", { names: call.tainted.map(seen).join(", ") }), "doubt") : null);
    this.verdicts();
  }

  again() {
    const edited = this.decision.verdict === "edit";
    this.decision = null;
    this.shown.hidden = edited;
    if (edited) this.put(this.form);
    else this.verdicts();
  }

  put(made) {
    if (this.below) leaveFor(this.root, this.below);
    this.below?.remove();
    this.below = made;
    this.root.append(made);
  }

  verdicts() {
    const reason = h("input", { type: "text", maxlength: 500, placeholder: say("edited_reason"), "aria-label": say("edited_reason") });
    const reject = () => {
      const given = reason.value.trim();
      this.decide({ verdict: "reject", ...(given ? { reason: given } : {}) });
    };
    this.edit = button("pencil", say("edit"), () => this.change(), "button quiet");
    this.put(h("div", { class: "verdicts" }, button("check", say("approve"), () => this.decide({ verdict: "approve" })),
      this.call.editable !== false && Object.keys(this.call.arguments).length ? this.edit : null, button("close", say("reject"), reject, "button quiet"), reason));
  }

  change() {
    const made = Object.entries(this.call.arguments).map(([name, value]) => new Argument(name, value));
    const cancel = () => {
      this.shown.textContent = pretty(this.call.arguments);
      this.shown.hidden = false;
      this.verdicts();
      this.edit.focus();
    };
    this.shown.hidden = true;
    this.form = h("form", { class: "editing", novalidate: true, onsubmit: (event) => {
      event.preventDefault();
      this.submit(made);
    }, onkeydown: (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      cancel();
    } }, made.map((one) => one.root),
      h("div", { class: "verdicts" }, h("button", { class: "button" }, icon("check"), say("approve_changed")),
        button("close", say("cancel"), cancel, "button quiet")));
    this.put(this.form);
    made[0].field.focus();
  }

  submit(made) {
    const wrong = made.filter((one) => !one.read());
    if (wrong.length) return wrong[0].field.focus();
    const changed = made.some((one) => one.changed);
    if (!changed) return this.decide({ verdict: "approve" });
    const inexact = made.filter((one) => !one.isExact());
    if (inexact.length) return inexact[0].field.focus();
    const values = Object.fromEntries(made.map((one) => [one.name, one.value]));
    this.shown.textContent = pretty(values);
    this.shown.hidden = false;
    this.decide({ verdict: "edit", arguments: values });
  }

  decide(decision) {
    const words = { approve: "approved", edit: "approved_changed", reject: "rejected" }[decision.verdict];
    this.decision = { call_id: this.call.call_id, ...decision };
    this.put(h("p", { class: "verdict" }, icon(decision.verdict === "reject" ? "close" : "check"), say(words)));
    this.decided();
  }
}

/** One argument of a call as a field: text as it is, everything else as JSON. */
class Argument {
  constructor(name, value) {
    Object.assign(this, { name, given: value, value, text: typeof value === "string", changed: false });
    const id = `argument-${++fields}`;
    this.before = this.text ? seen(value) : pretty(value);
    this.field = h("textarea", { id, rows: Math.min(10, this.before.split("\n").length), spellcheck: this.text ? null : "false",
      class: this.text ? "" : "json", dir: "auto", "aria-describedby": `${id}-error`, oninput: () => this.told("") });
    this.field.value = this.before;
    this.before = this.field.value; // as the browser writes its line ends
    this.error = h("p", { class: "error", id: `${id}-error`, role: "alert" });
    this.root = h("div", { class: "argument" }, h("label", { class: "label", for: id }, seen(name)), this.field, this.error);
  }

  /** Whether the field can be read; else it says why not. */
  read() {
    const written = this.field.value;
    this.told("");
    this.changed = written !== this.before;
    this.value = this.given;
    if (!this.changed) return true;
    try {
      this.value = this.text ? seen(written) : cleaned(JSON.parse(written));
    } catch (error) {
      this.told(say("not_json", { reason: error.message }));
      return false;
    }
    return true;
  }

  /** Whether what is read is what will be sent; else it says that it is not. */
  isExact() {
    const is = exact(this.value);
    if (!is) this.told(say("not_exact"));
    return is;
  }

  told(words) {
    this.error.textContent = words;
    if (words) this.field.setAttribute("aria-invalid", "true");
    else this.field.removeAttribute("aria-invalid");
  }
}

/** Without what cannot be seen, also where JSON escapes it: what is shown is what is done. */
function cleaned(value) {
  if (typeof value === "string") return seen(value);
  if (Array.isArray(value)) return value.map(cleaned);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [seen(name), cleaned(inner)]));
}

/** Whether no number in it was, or may have been, rounded by the browser. */
function exact(value) {
  if (typeof value === "number") return Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value));
  return value === null || typeof value !== "object" || Object.values(value).every(exact);
}

const button = (name, words, onclick, kind = "button") => h("button", { type: "button", class: kind, onclick }, icon(name), words);

export const pretty = (value) => seen(JSON.stringify(value, null, 2));
