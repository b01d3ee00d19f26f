// A question on its way: one answer, or several side by side.

import { AnswerView, action } from "./answer.js";
import { h } from "./dom.js";
import { say } from "./words.js";

const LETTERS = "ABCDEFGH";

/**
 * Asks, and shows what comes. `hands` are those of an AnswerView; `question` is what `POST api/ask`
 * takes. The root is there at once; `run()` ends with the answer that counts, or null.
 */
export class Asking {
  constructor(api, question, hands) {
    Object.assign(this, { api, question, hands });
    this.views = Array.from({ length: question.candidates ?? 1 }, () => new AnswerView(hands));
    this.aborter = new AbortController();
    this.root = this.views.length === 1
      ? this.views[0].root
      : h("div", { class: "candidates", data: { count: this.views.length } },
          this.views.map((view, at) => this.column(view, at)));
  }

  column(view, at) {
    return h("div", { class: "candidate", role: "group", "aria-label": say("answer_n", { letter: LETTERS[at] }) },
      h("h3", { class: "label" }, say("answer_n", { letter: LETTERS[at] })), view.root);
  }

  async run(retry) {
    try {
      for await (const event of this.api.events("api/ask", this.question, this.aborter.signal)) this.take(event, retry);
      for (const view of this.open()) view.failed({ message: say("broken"), status: 500 }, retry);
    } catch (error) {
      for (const view of this.open()) {
        if (error.name === "AbortError") view.stopped();
        else view.failed(error, retry);
      }
    }
    this.offer();
    return this.views.find((view) => view.answer)?.answer ?? null;
  }

  /** Show what was answered before; null stands for an answer that broke off. */
  restore(answers, chosen, retry) {
    this.views.forEach((view, at) => {
      if (answers[at]) view.finished(answers[at]);
      else view.failed({ message: say("broken"), status: 500 }, retry);
    });
    this.offer();
    const kept = this.views[chosen];
    if (kept?.answer) this.mark(kept);
  }

  take(event, retry) {
    const view = this.views[event.candidate];
    if (event.event === "retrieved") view.retrieved(event.contexts);
    if (event.event === "token") view.token(event.text);
    if (event.event === "finished") view.finished(event.answer);
  }

  open() {
    return this.views.filter((view) => view.root.getAttribute("aria-busy") === "true");
  }

  stop() {
    this.aborter.abort();
  }

  /** Several answers can be chosen from when all have come. */
  offer() {
    const answers = this.views.filter((view) => view.answer?.status === "answered");
    if (this.views.length === 1 || answers.length < 2) return;
    for (const view of answers) {
      const choose = action("check", say("choose"), () => this.choose(view), { class: "action choose" });
      view.root.append(choose);
    }
  }

  choose(view) {
    this.mark(view);
    this.hands.feedback("chosen", view, this.views);
    this.onchosen?.(this.views.indexOf(view));
  }

  mark(view) {
    for (const other of this.views) {
      const mine = other === view;
      other.root.closest(".candidate").classList.toggle("chosen", mine);
      other.root.closest(".candidate").classList.toggle("passed", !mine);
      const choose = other.root.querySelector(".choose");
      choose?.setAttribute("aria-pressed", String(mine));
      choose?.lastChild.replaceWith(mine ? say("chosen") : say("choose"));
    }
  }
}
