// One answer: its text as it is written, the marks in it, and the sources below.

import { fileName, h, icon, seen } from "./dom.js";
import { Flow } from "./markdown.js";
import { say, sayError } from "./words.js";

const LONGEST_TOLD = 1500;

/** `open(place, number, button)` shows a place in its document; `feedback(kind, view)` is told of
 * what the reader does with the answer. */
export class AnswerView {
  constructor({ open, feedback }) {
    Object.assign(this, { open, feedback, contexts: [], citations: [], answer: null, text: "" });
    this.status = h("p", { class: "status" }, h("span", { class: "pulse" }), say("searching"));
    this.body = h("div", { class: "prose", dir: "auto" });
    this.below = h("div", { class: "below" });
    this.root = h("article", { class: "answer", "aria-busy": "true" }, this.status, this.body, this.below);
    this.flow = new Flow(this.body, (number) => this.mark(number));
    this.frame = 0;
  }

  /** The passages are found; the model begins. */
  retrieved(contexts) {
    this.contexts = contexts;
    this.status.lastChild.replaceWith(say("thinking"));
    const names = [...new Set(contexts.map((c) => c.source))];
    this.below.replaceChildren(
      h("ul", { class: "chips" }, names.map((source) => h("li", { class: "chip" }, icon("file"), fileName(source)))));
  }

  token(text) {
    this.text += text;
    this.status.hidden = true;
    this.root.classList.add("writing");
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      if (!this.answer) this.flow.show(this.text);
    });
  }

  finished(answer) {
    this.end();
    this.answer = answer;
    this.citations = answer.citations;
    this.contexts = answer.contexts ?? this.contexts;
    this.text = answer.answer || this.text;
    this.body.replaceChildren();
    new Flow(this.body, (number) => this.mark(number)).show(this.text);
    if (answer.status === "no_model") this.body.prepend(notice(say("no_model")));
    this.below.replaceChildren(...this.sources(), ...(answer.notices ?? []).map((one) => notice(one)));
    if (this.text && answer.status === "answered") this.below.append(this.actions());
  }

  failed(error, retry) {
    this.end();
    if (this.text) this.flow.show(this.text);
    this.below.replaceChildren(failure(error, retry));
  }

  stopped() {
    this.end();
    if (this.text) this.flow.show(this.text);
    this.below.replaceChildren(notice(say("stopped")));
  }

  end() {
    cancelAnimationFrame(this.frame);
    this.status.remove();
    this.root.classList.remove("writing");
    this.root.setAttribute("aria-busy", "false");
  }

  mark(number) {
    const title = number === null ? say("unsupported") : this.titleOf(number);
    const props = { type: "button", class: number === null ? "mark doubt" : "mark", title, "aria-label": title,
      data: { number: number ?? "" }, onclick: (event) => this.follow(event.currentTarget) };
    return h("button", props, number === null ? "?" : String(number));
  }

  titleOf(number) {
    const context = this.contexts[number - 1];
    return say("open_passage", { number, title: context ? seen(context.title || fileName(context.source)) : "" });
  }

  /** The place that a mark leads to: each mark has a citation, in the same order. */
  follow(button) {
    const marks = [...this.body.querySelectorAll(".mark")];
    const number = Number(button.dataset.number);
    const alike = this.citations.filter((c) => c.number === number);
    const nth = marks.filter((m) => m.dataset.number === button.dataset.number).indexOf(button);
    const place = marks.length === this.citations.length
      ? this.citations[marks.indexOf(button)]
      : (alike[Math.min(nth, alike.length - 1)] ?? this.contexts[number - 1]);
    if (place) this.open(place, number || place.number, button);
  }

  sources() {
    const answered = this.answer.status === "answered";
    const places = !answered
      ? this.contexts.map((c) => ({ ...c, quote: c.text }))
      : distinct(this.citations.filter((c) => c.support !== "unsupported"));
    const doubts = distinct(this.citations.filter((c) => c.support === "unsupported"));
    const made = [];
    if (places.length) {
      made.push(h("h3", { class: "label" }, say(answered ? "sources" : "looked_at")));
      made.push(h("ol", { class: "sources" }, places.map((place) => h("li", {}, this.card(place)))));
    }
    return [...made, ...doubts.map((c) => notice(say("unsupported_claim", { claim: seen(c.claim) }), "doubt"))];
  }

  card(place) {
    const where = [fileName(place.source), place.page ? say("page", { page: place.page }) : ""].filter(Boolean);
    return h("button", { type: "button", class: "source", onclick: (e) => this.open(place, place.number, e.currentTarget) },
      h("span", { class: "number", "aria-hidden": "true" }, String(place.number)),
      h("span", { class: "about" },
        h("span", { class: "title", dir: "auto" }, seen(place.title || fileName(place.source))),
        h("span", { class: "where" }, h("span", { class: "name" }, where.join(" · ")),
          place.support ? h("span", { class: `support ${place.support}` }, say(place.support)) : null),
        h("span", { class: "quote", dir: "auto" }, seen(place.quote).replace(/\s+/g, " "))));
  }

  actions() {
    const done = (button, words, name) => {
      button.replaceChildren(icon(name), words);
      button.classList.add("done");
    };
    const copy = action("copy", say("copy"), async () => {
      await navigator.clipboard.writeText(plain(this));
      done(copy, say("copied"), "check");
      this.feedback("copied", this);
    });
    const rate = (kind, name) => {
      const button = action(name, say(kind), () => {
        for (const one of [helpful, unhelpful]) one.setAttribute("aria-pressed", String(one === button));
        this.feedback(kind, this);
      });
      button.setAttribute("aria-pressed", "false");
      return button;
    };
    const helpful = rate("helpful", "up");
    const unhelpful = rate("unhelpful", "down");
    return h("div", { class: "actions" }, copy, helpful, unhelpful);
  }
}

export const action = (name, words, onclick, props = {}) =>
  h("button", { type: "button", class: "action", onclick, ...props }, icon(name), words);

export const notice = (words, kind = "") => h("p", { class: `notice ${kind}` }, words);

/** What went wrong, and the way to try again. */
export function failure(error, retry) {
  return h("div", { class: "failure", role: "alert" }, icon("warning"), h("p", {}, sayError(error)),
    retry ? action("retry", say("retry"), retry) : null);
}

/** What a screen reader says when an answer is complete: once, and without its marks. */
export const spoken = ({ answer }) =>
  say("answer_read", { text: seen(answer).replace(/\s*(\[[\d?, ，、]+\]|【\d+】)/g, "").slice(0, LONGEST_TOLD) });

/** The answer with its sources, for another text. */
function plain(view) {
  const supported = distinct(view.citations.filter((c) => c.support !== "unsupported"));
  const lines = supported.map((c) => `[${c.number}] ${c.title || fileName(c.source)}${c.page ? `, ${say("page", { page: c.page })}` : ""}`);
  return [seen(view.text), ...new Set(lines)].join("\n");
}

const distinct = (places) => {
  const known = new Map(places.map((place) => [`${place.source}\n${place.start}\n${place.end}`, place]));
  return [...known.values()];
};
