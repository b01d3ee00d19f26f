// An agent's run: each step as it comes, the calls that wait for a decision, the answer.

import { AnswerView, action, failure, notice } from "./answer.js";
import { Deciding, pretty } from "./deciding.js";
import { h, leaveFor, seen } from "./dom.js";
import { say, sayError } from "./words.js";

const ENDS = { stopped: "status_stopped", failed: "status_failed" };

/** Works on what `POST api/agent/runs` takes, or shows a run that is there. `hands` are those of an
 * AnswerView, with `began(run_id)`, `waits()`, and `goOn(running, work)`, which does the work when
 * nothing else is being done. */
export class Running {
  constructor(api, request, hands) {
    Object.assign(this, { api, request, hands, run_id: null });
    this.status = h("p", { class: "status" }, h("span", { class: "pulse" }), say("working"));
    this.plan = h("ol", { class: "plan", hidden: true, "aria-label": say("plan") });
    this.steps = h("ol", { class: "steps" });
    this.asked = h("div", { class: "asked" });
    this.end = h("div");
    this.root = h("article", { class: "run", "aria-busy": "true" }, this.plan, this.steps, this.status, this.asked, this.end);
  }

  get path() {
    return `api/agent/runs/${encodeURIComponent(this.run_id)}`;
  }

  /** Ends with the answer that the run came to, or null, also where it waits for a decision. */
  run(retry) {
    return this.follow("api/agent/runs", this.request, (error) => this.failed(error, retry));
  }

  /** Show the run as it stands; `state` is that of the list of runs. */
  async recall(run_id, state, retry) {
    this.run_id = run_id;
    this.aborter = new AbortController();
    this.busy(true);
    let run;
    try {
      run = await this.api.json(this.path, { signal: this.aborter.signal });
    } catch (error) {
      this.failed(error, retry);
      return null;
    }
    this.busy(false);
    if (state !== "interrupted") return this.stands(run, false);
    this.drawn(run);
    return this.offer(notice(say("run_broke_off")));
  }

  stands(run, live) {
    this.drawn(run);
    return this.conclude(run, live);
  }

  drawn(run) {
    this.planned(run.plan);
    for (const step of run.steps) this.step(step, step);
  }

  async follow(path, body, refused) {
    this.aborter = new AbortController();
    leaveFor(this.root, this.end);
    this.end.replaceChildren();
    this.busy(true);
    let ended = null;
    let begun = false;
    try {
      for await (const event of this.api.events(path, body, this.aborter.signal)) {
        begun = true;
        if (event.event === "ended") ended = event.run;
        this.take(event);
      }
      if (!ended) throw Object.assign(new Error(say("broken")), { status: 500 });
    } catch (error) {
      this.busy(false);
      if (error.name === "AbortError") return this.offer(notice(say("stopped")));
      return begun ? this.offer(failure(error)) : refused(error);
    }
    this.busy(false);
    return this.conclude(ended, true);
  }

  failed(error, retry) {
    this.busy(false);
    this.end.replaceChildren(failure(error, retry));
    return null;
  }

  /** Say how it stands, and offer to go on from there, if it has begun. */
  offer(...words) {
    const go = action("retry", say("go_on"), () => this.goOn([]), { class: "action go-on" });
    this.end.replaceChildren(...words, ...(this.run_id ? [go] : []));
    return null;
  }

  /** Ends with the answer that it came to then. */
  goOn(decisions, refused = (error) => this.offer(failure(error))) {
    return this.hands.goOn(this, () => this.follow(`${this.path}/decisions`, { decisions }, refused));
  }

  take(event) {
    if (event.event === "began") this.hands.began((this.run_id = event.run_id));
    if (event.event === "planned") this.planned(event.tasks);
    if (event.event === "acting") this.step(event, null);
    if (event.event === "stepped") this.step(event.step, event.step);
  }

  planned(tasks) {
    this.plan.hidden = !tasks.length;
    this.plan.replaceChildren(...tasks.map((task) => h("li", { class: task.status }, seen(task.text))));
  }

  step(step, done) {
    const tool = step.tool ?? null;
    const known = this.steps.querySelector(`[data-n="${Number(step.n)}"]`);
    const made = h("li", { class: done ? (done.error ? "step bad" : "step good") : "step", data: { n: step.n } },
      h("span", { class: "dot", "aria-hidden": "true" }),
      h("div", { class: "what" },
        h("p", { class: "tool" }, tool ? h("code", {}, seen(tool)) : say("step_writing"),
          done ? h("span", { class: "seconds" }, `${done.seconds.toFixed(1)} s`) : h("span", { class: "pulse" })),
        step.thought ? h("p", { class: "thought", dir: "auto" }, seen(step.thought)) : null,
        tool ? details(say("arguments"), pretty(step.arguments)) : null,
        done?.error ? h("p", { class: "error" }, seen(done.error)) : null,
        done && tool && done.observation ? details(say("result"), seen(done.observation)) : null));
    if (known) known.replaceWith(made);
    else this.steps.append(made);
  }

  /** How the run stands now. `live`: somebody is looking at it, so the focus may move. */
  conclude(run, live) {
    if (run.status === "waiting_for_approval") return this.decide(run.pending, live);
    if (run.status === "failed") this.offer(notice(`${say("status_failed")}. ${seen(run.reason ?? "")}`, "doubt"));
    else if (run.status !== "done") this.end.append(notice(`${say(ENDS[run.status])}. ${seen(run.reason ?? "")}`, "doubt"));
    if (!run.answer) return null;
    const view = new AnswerView(this.hands);
    const answer = { ...run, question: run.goal, status: "answered", contexts: [] };
    view.finished(answer);
    this.end.append(view.root);
    return answer;
  }

  /** Ask about the calls that wait. */
  decide(pending, live) {
    const deciding = new Deciding(pending, (decisions) => {
      leaveFor(this.root, this.asked);
      this.asked.replaceChildren();
      this.goOn(decisions, (error) => this.refused(deciding, error));
    });
    this.asked.replaceChildren(deciding.root);
    if (live) deciding.focus();
    this.hands.waits();
    return null;
  }

  /** The service does not take what was decided: ask again, unless it was decided elsewhere. */
  async refused(deciding, error) {
    const run = error.status === 400 ? await this.api.json(this.path).catch(() => null) : null;
    if (run && !deciding.isAbout(run.pending ?? [])) return this.stands(run, true);
    this.asked.replaceChildren(deciding.root);
    deciding.again(sayError(error));
    return null;
  }

  stop() {
    this.aborter?.abort();
  }

  busy(is) {
    this.status.hidden = !is;
    this.root.setAttribute("aria-busy", String(is));
  }
}

const details = (words, text) => h("details", {}, h("summary", {}, words), h("pre", { tabindex: 0 }, text));
