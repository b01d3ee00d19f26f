// The conversation about a collection: its turns, what is being answered now, what was before.

import { spoken } from "./answer.js";
import { Asking } from "./asking.js";
import { h, icon, isAway, keepInView, leaveFor, rest, seen } from "./dom.js";
import { Running } from "./running.js";
import { say, sayError } from "./words.js";

const MOST_TURNS = 6;

/**
 * `reader` shows places, `keeping` holds what outlives a reload, `waiting` lists the runs.
 * `changed()` is told when turns come or go, `busy(is)` when something is being answered.
 * A turn is `{question, mode, count, answers, chosen, run, said}`, as it is kept.
 */
export class Conversation {
  constructor(api, { reader, keeping, changed, busy }) {
    Object.assign(this, { api, reader, keeping, changed, busy, turns: [], current: null, name: null, working: Promise.resolve() });
    this.log = h("div", { class: "log", role: "log", "aria-label": say("conversation"), "aria-live": "off" });
    this.told = h("p", { class: "unseen", role: "status" });
    this.newest = h("button", { type: "button", class: "newest", hidden: true, onclick: () => this.toEnd() },
      icon("chevron"), say("to_newest"));
    this.scroller = h("div", { class: "scroller" });
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.follow()).observe(this.log);
  }

  get empty() {
    return !this.log.childElementCount;
  }

  /** Go to the conversation about the collection `name`, as it was left. */
  show(name) {
    this.leave();
    this.name = name;
    this.turns = name ? this.keeping.load(name) : [];
    for (const turn of this.turns) this.restore(turn);
    this.changed();
    this.toEnd();
  }

  clear() {
    this.leave();
    this.turns = [];
    if (this.name) this.keep();
    this.changed();
  }

  leave() {
    this.current?.stop();
    this.log.replaceChildren();
    this.told.textContent = "";
  }

  keep(turns = this.turns) {
    if (turns === this.turns) this.keeping.save(this.name, turns);
  }

  async send(question, mode, count) {
    if (this.current || !this.name) return;
    const turn = { question, mode, count: mode === "agent" ? 1 : count };
    const place = this.begin(turn);
    this.turns.push(turn);
    this.changed();
    this.follow(true);
    await this.answer(place, turn);
  }

  begin({ question }) {
    const place = h("section", { class: "turn" }, h("h2", { class: "question" },
      h("span", { class: "unseen" }, `${say("you")}: `), h("span", { dir: "auto" }, seen(question))));
    this.log.append(place);
    return place;
  }

  restore(turn) {
    const place = this.begin(turn);
    const made = this.making(turn);
    const retry = () => this.again(place, turn, made);
    place.append(made.root);
    if (turn.mode !== "agent") made.restore(turn.answers ?? [], turn.chosen, retry);
    else if (turn.run) made.recall(turn.run, this.waiting.state(turn.run), () => this.rerun(place, turn, made));
    else made.failed({ message: say("broken"), status: 500 }, retry);
  }

  /** Put the question once more. */
  again(place, turn, made) {
    if (this.current) return;
    leaveFor(place, made.root);
    made.root.remove();
    for (const name of ["answers", "chosen", "run", "said"]) delete turn[name];
    this.answer(place, turn);
  }

  /** Look once more at a run that could not be shown. */
  async rerun(place, turn, made) {
    leaveFor(place, made.root);
    made.root.remove();
    const another = this.making(turn);
    place.append(another.root);
    await this.waiting.refresh().catch(() => {});
    another.recall(turn.run, this.waiting.state(turn.run), () => this.rerun(place, turn, another));
  }

  async answer(place, turn) {
    const made = this.making(turn);
    place.append(made.root);
    this.keep();
    await this.work(made, turn, () => made.run(() => this.again(place, turn, made)));
  }

  /** Do something of a turn when nothing else is being done, and keep what comes of it. */
  async work(made, turn, begin) {
    const { turns, working } = this;
    let done;
    this.working = new Promise((resolve) => (done = resolve));
    await working;
    this.current = made;
    this.busy(true);
    this.told.textContent = say(turn.mode === "agent" ? "working" : "searching");
    const answer = await begin().finally(() => {
      this.current = null;
      this.busy(false);
      done();
    });
    if (turns !== this.turns) return;
    turn.said = answer?.answer ?? "";
    if (turn.mode !== "agent") turn.answers = made.views.map((view) => view.answer);
    else this.waiting.refresh().catch(() => {});
    this.keep();
    this.told.textContent = answer ? spoken(answer) : "";
  }

  making(turn) {
    const { name: collection, turns } = this;
    const hands = {
      open: (place, number, button) => this.reader.open(collection, { ...place, number }, button),
      feedback: (kind, view, all) => this.feedback(collection, kind, view, all),
    };
    if (turn.mode === "agent") return this.run(turn, hands);
    const history = turns.slice(0, turns.indexOf(turn)).filter((one) => one.said).slice(-MOST_TURNS)
      .map((one) => ({ question: one.question, answer: one.said }));
    const made = new Asking(this.api, { collection, question: turn.question, history, candidates: turn.count }, hands);
    made.onchosen = (at) => {
      Object.assign(turn, { chosen: at, said: turn.answers[at].answer });
      this.keep(turns);
    };
    return made;
  }

  run(turn, hands) {
    const { turns } = this;
    return new Running(this.api, { collection: this.name, goal: turn.question, stream: true }, {
      ...hands,
      began: (run) => {
        turn.run = run;
        this.keep(turns);
      },
      waits: () => this.waiting.refresh().catch(() => {}),
      goOn: (made, work) => this.work(made, turn, work),
    });
  }

  /** Whether the run is part of the conversation. */
  has(run_id) {
    return this.turns.some((turn) => turn.run === run_id);
  }

  /** Show a run of this collection: where it is, or at the end. */
  open({ run_id, goal }) {
    let at = this.turns.findIndex((turn) => turn.run === run_id);
    if (at < 0) {
      const turn = { question: goal, mode: "agent", count: 1, run: run_id };
      at = this.turns.push(turn) - 1;
      this.restore(turn);
      this.keep();
      this.changed();
    }
    const place = this.log.children[at];
    rest(place);
    place.scrollIntoView({ block: "start" });
  }

  async feedback(collection, kind, { answer }, all = []) {
    const others = all.map((other) => other.answer).filter((other) => other && other !== answer).map((other) => other.answer);
    const body = { kind, collection, question: answer.question, answer: answer.answer, others,
      model: answer.model ?? "", prompt: answer.prompt ?? "" };
    try {
      await this.api.request("api/feedback", { method: "POST", body });
      this.told.textContent = say("thanks");
    } catch (error) {
      this.told.textContent = sayError(error);
    }
  }

  /** Keep what is written in view, but never push the question it answers out of it, or the call
   * that waits, nor move the page under a reader who has scrolled away. */
  follow(always = false) {
    if (always) this.away = false;
    const turn = this.log.lastElementChild;
    if (!this.away) keepInView(this.scroller, turn?.querySelector(".deciding") ?? turn);
    this.newest.hidden = this.toGo() < 60;
  }

  toGo() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    return scrollHeight - clientHeight - scrollTop;
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  scrolled() {
    this.away = isAway(this.scroller, this.away, this.before);
    this.before = this.scroller.scrollTop;
    this.newest.hidden = this.toGo() < 60;
  }
}
