// The agent's runs that somebody has to do something about: decide, or let them go on.

import { h, icon, iconButton, seen } from "./dom.js";
import { language, say, sayError } from "./words.js";

const OPEN = { waiting_for_approval: "run_waits", interrupted: "run_interrupted" };

export class Waiting {
  /** `open(run)` shows one, `shown(run_id)` says whether it is; `told(words)` is what went wrong. */
  constructor(api, allowed, { open, shown, told }) {
    Object.assign(this, { api, allowed, open, shown, told, runs: [] });
    this.summary = h("summary", {});
    this.items = h("ul");
    this.root = h("details", { class: "waiting", hidden: true }, this.summary, this.items);
  }

  async refresh() {
    if (!this.allowed) return;
    const { runs } = await this.api.json("api/agent/runs");
    this.runs = runs.filter((run) => OPEN[run.state]);
    this.show();
  }

  show() {
    const others = this.runs.filter((run) => !this.shown(run.run_id));
    const count = others.length;
    this.root.hidden = !count;
    this.summary.replaceChildren(icon("agent"), count === 1 ? say("runs_wait_1") : say("runs_wait", { count }));
    this.items.replaceChildren(...others.map((run) => this.item(run)));
  }

  item(run) {
    const begun = new Date(run.begun).toLocaleString(language(), { dateStyle: "medium", timeStyle: "short" });
    return h("li", {},
      h("button", { type: "button", class: "waiting-run", onclick: () => this.pick(run) },
        h("span", { class: "goal", dir: "auto" }, seen(run.goal)),
        h("span", { class: "where" }, [say(OPEN[run.state]), seen(run.collection), begun].join(" · "))),
      iconButton("trash", say("delete_run", { goal: seen(run.goal).slice(0, 60) }), () => this.remove(run)));
  }

  pick(run) {
    this.root.open = false;
    this.open(run);
  }

  async remove(run) {
    if (!window.confirm(say("delete_run_sure", { goal: seen(run.goal).slice(0, 200) }))) return;
    try {
      await this.api.request(`api/agent/runs/${encodeURIComponent(run.run_id)}`, { method: "DELETE" });
    } catch (error) {
      this.told(sayError(error));
    }
    await this.refresh().catch((error) => this.told(sayError(error)));
    if (!this.root.hidden) this.summary.focus();
  }

  /** "waiting_for_approval" or "interrupted"; undefined for a run that waits for nobody. */
  state(run_id) {
    return this.runs.find((run) => run.run_id === run_id)?.state;
  }
}
