// An agent's run: each step as it comes, the calls that wait for a decision, the answer.

import { AnswerView, failure, notice } from "./answer.js";
import { h, icon, seen } from "./dom.js";
import { say } from "./words.js";

const EFFECTS = { read: "effect_read", write: "effect_write", network: "effect_network" };

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

  /** Ends with the answer that the run came to, or null; a wait for a decision is part of it. */
  async run(retry) {
    return this.follow("api/agent/runs", this.request, retry);
  }

  async follow(path, body, retry) {
    this.aborter = new AbortController();
    this.busy(true);
    let ended = null;
    try {
      for await (const event of this.api.events(path, body, this.aborter.signal)) {
        if (event.event === "ended") ended = event.run;
        this.take(event);
      }
      if (!ended) throw Object.assign(new Error(say("broken")), { status: 500 });
    } catch (error) {
      this.busy(false);
      this.end.replaceChildren(error.name === "AbortError" ? notice(say("stopped")) : failure(error, retry));
      return null;
    }
    this.busy(false);
    if (ended.status !== "waiting_for_approval") return this.conclude(ended);
    const decisions = await this.decide(ended.pending);
    this.asked.replaceChildren();
    if (!decisions) {
      this.end.replaceChildren(notice(say("still_waits", { run: ended.run_id })));
      return null;
    }
    return this.follow(`api/agent/runs/${encodeURIComponent(ended.run_id)}/decisions`, { decisions }, retry);
  }

  take(event) {
    if (event.event === "began") this.run_id = event.run_id;
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

  /** Ask about each pending call; resolves with the decisions when all are made, or with null
   * when the person leaves it. The focus comes to the first, but to no button: what is typed at
   * that moment is no decision. */
  decide(pending) {
    return new Promise((resolve) => {
      this.leave = () => resolve(null);
      const decisions = [];
      const decided = (decision) => {
        decisions.push(decision);
        if (decisions.length === pending.length) resolve(decisions);
      };
      const cards = pending.map((call) => approval(call, decided));
      this.asked.replaceChildren(h("h3", { class: "label" }, say("agent_waits")), ...cards);
      cards[0].focus();
    });
  }

  conclude(run) {
    const words = { done: "status_done", stopped: "status_stopped", failed: "status_failed" }[run.status];
    if (run.status !== "done") this.end.append(notice(`${say(words)}. ${seen(run.reason ?? "")}`, "doubt"));
    if (!run.answer) return null;
    const view = new AnswerView(this.hands);
    const answer = { ...run, question: run.goal, status: "answered", contexts: [] };
    view.finished(answer);
    this.end.append(view.root);
    return answer;
  }

  stop() {
    this.aborter.abort();
    this.leave?.();
  }

  busy(is) {
    this.status.hidden = !is;
    this.root.setAttribute("aria-busy", String(is));
  }
}

function approval(call, decided) {
  const reason = h("input", { type: "text", maxlength: 500, placeholder: say("edited_reason"), "aria-label": say("edited_reason") });
  const decide = (verdict, words) => () => {
    const given = verdict === "reject" ? reason.value.trim() : "";
    buttons.replaceWith(h("p", { class: "verdict" }, icon(verdict === "approve" ? "check" : "close"), words));
    decided({ call_id: call.call_id, verdict, ...(given ? { reason: given } : {}) });
  };
  const buttons = h("div", { class: "verdicts" },
    h("button", { type: "button", class: "button", onclick: decide("approve", say("approved")) }, icon("check"), say("approve")),
    h("button", { type: "button", class: "button quiet", onclick: decide("reject", say("rejected")) }, icon("close"), say("reject")),
    reason);
  return h("section", { class: "approval", tabindex: -1, "aria-label": `${say("agent_waits")}: ${seen(call.tool)}` },
    h("p", { class: "tool" }, icon("tool"), h("code", {}, seen(call.tool)), h("span", { class: "effect" }, say(EFFECTS[call.effect] ?? "effect_write"))),
    h("p", {}, seen(call.reason)),
    h("pre", { tabindex: 0 }, pretty(call.arguments)),
    call.tainted?.length ? notice(say("tainted", { names: call.tainted.map(seen).join(", ") }), "doubt") : null,
    buttons);
}

const details = (words, text) => h("details", {}, h("summary", {}, words), h("pre", { tabindex: 0 }, text));

const pretty = (value) => seen(JSON.stringify(value, null, 2));
