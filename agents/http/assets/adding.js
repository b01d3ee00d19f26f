// Files on their way into a collection: sent, then indexed, each with its progress.

import { h, icon, iconButton, seen } from "./dom.js";
import { say, sayError } from "./words.js";

const POLL_MS = 700;
const AT_ONCE = 2;

export class Adding {
  /** `done()` is called when a file has become searchable. */
  constructor(api, done) {
    Object.assign(this, { api, done, waiting: [], running: 0, most: Infinity });
    this.list = h("ul", { class: "uploads", "aria-label": say("add_documents") });
    this.told = h("p", { class: "unseen", role: "status" });
    this.root = h("div", { class: "adding" }, this.list, this.told);
  }

  /** Add `files` to the collection `name`. */
  add(name, files) {
    for (const file of files) {
      const row = this.row(file);
      if (file.size > this.most) row.fail(say("too_big", { size: Math.floor(this.most / 1e6) }));
      else this.waiting.push({ name, file, row });
    }
    this.next();
  }

  next() {
    while (this.running < AT_ONCE && this.waiting.length) {
      const job = this.waiting.shift();
      this.running++;
      this.send(job)
        .catch((error) => job.row.fail(sayError(error)))
        .finally(() => {
          this.running--;
          this.next();
        });
    }
  }

  async send({ name, file, row }) {
    const sent = await this.api.upload(file, (part) => row.sending(part));
    row.indexing();
    const files = `v1/vector_stores/${encodeURIComponent(`vs_${name}`)}/files`;
    let state = await this.api.json(files, { method: "POST", body: { file_id: sent.id } });
    while (state.status === "in_progress") {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      state = await this.api.json(`${files}/${encodeURIComponent(sent.id)}`);
    }
    if (state.status === "completed") row.ready();
    else row.fail(state.last_error?.message ?? say("failed"));
    this.done();
  }

  row(file) {
    const bar = h("progress", { max: 1, value: 0, "aria-label": seen(file.name) });
    const words = h("span", { class: "state" }, say("waiting"));
    const remove = iconButton("close", say("close"), () => root.remove(), { hidden: true });
    const root = h("li", { class: "upload" }, icon("file"), h("span", { class: "name", dir: "auto" }, seen(file.name)), words, remove, bar);
    const state = (kind, text) => {
      root.className = `upload ${kind}`;
      words.textContent = text;
    };
    const told = (text) => (this.told.textContent = text); // each once, not every step on the way
    this.list.append(root);
    return {
      sending(part) {
        bar.value = part;
        state("sending", say("uploading", { percent: Math.round(part * 100) }));
      },
      indexing() {
        bar.removeAttribute("value");
        state("indexing", say("indexing"));
      },
      ready() {
        state("ready", say("indexed"));
        told(say("indexed_file", { name: seen(file.name) }));
        bar.remove();
        setTimeout(() => root.remove(), 6000);
      },
      fail(reason) {
        state("bad", seen(reason));
        told(`${seen(file.name)}: ${seen(reason)}`);
        bar.remove();
        remove.hidden = false;
      },
    };
  }
}
