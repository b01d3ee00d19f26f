// The side of the page: the collections, the documents of the chosen one, and the way to add some.

import { Adding } from "./adding.js";
import { failure } from "./answer.js";
import { fileName, h, icon, iconButton, seen } from "./dom.js";
import { say } from "./words.js";

const FILTER_FROM = 8;

export class Shelf {
  /** `me` is what `api/me` told; `changed()` is called when another collection or other documents are there. */
  constructor(api, me, { open, changed }) {
    Object.assign(this, { api, me, openDocument: open, changed, name: null, collections: [], documents: [] });
    this.writes = me.rights.includes("write");
    this.adding = new Adding(api, () => this.load());
    this.adding.most = me.upload_bytes ?? Infinity;
    this.picker = h("select", { id: "collection", onchange: () => this.choose(this.picker.value) });
    this.count = h("span", { class: "count" });
    this.filter = h("input", { type: "search", class: "filter", hidden: true, placeholder: say("filter_documents"),
      "aria-label": say("filter_documents"), oninput: () => this.list() });
    this.items = h("ul", { class: "documents" });
    this.input = h("input", { type: "file", multiple: true, hidden: true, onchange: () => this.take(this.input.files) });
    this.root = h("div", { class: "shelf" }, this.head(),
      h("div", { class: "row" }, h("h2", { class: "label" }, say("documents")), this.count),
      this.filter, this.items, this.adding.root, this.writes ? this.dropZone() : null, this.input);
  }

  head() {
    this.maker = h("form", { class: "maker", hidden: true, onsubmit: (event) => this.create(event) },
      h("input", { type: "text", name: "name", required: true, maxlength: 64, placeholder: say("new_collection_name"),
        "aria-label": say("new_collection_name"), autocomplete: "off" }),
      h("button", { class: "button" }, say("create")));
    const add = iconButton("add", say("new_collection"), () => {
      this.maker.hidden = !this.maker.hidden;
      add.setAttribute("aria-expanded", String(!this.maker.hidden));
      if (!this.maker.hidden) this.maker.elements.name.focus();
    }, { "aria-expanded": "false" });
    return h("div", {}, h("label", { class: "label", for: "collection" }, say("collection")),
      h("div", { class: "row picker" }, h("div", { class: "select" }, this.picker), this.writes ? add : null), this.maker);
  }

  dropZone() {
    return h("button", { type: "button", class: "drop", onclick: () => this.pick() },
      icon("upload"), h("strong", {}, say("add_documents")), h("span", {}, say("drop_here")));
  }

  /** Let the person choose files. */
  pick() {
    this.input.click();
  }

  async take(files) {
    const chosen = [...files];
    this.input.value = "";
    if (!chosen.length || !this.writes) return;
    if (!this.name) await this.make("default");
    this.adding.add(this.name, chosen);
  }

  async start(wanted) {
    await this.refresh();
    const names = this.collections.map((c) => c.name);
    await this.choose(names.includes(wanted) ? wanted : (names[0] ?? null));
  }

  async refresh() {
    this.collections = (await this.api.json("api/collections")).collections;
    this.picker.replaceChildren(...this.collections.map((c) => h("option", { value: c.name }, seen(c.name))));
    this.picker.disabled = !this.collections.length;
    if (!this.collections.length) this.picker.append(h("option", {}, say("no_collection")));
    if (this.name) this.picker.value = this.name;
  }

  async choose(name) {
    this.name = name;
    if (name) this.picker.value = name;
    this.filter.value = "";
    await this.load();
  }

  async create(event) {
    event.preventDefault();
    const name = this.maker.elements.name.value.trim();
    this.maker.querySelector(".failure")?.remove();
    try {
      await this.make(name);
      this.maker.reset();
      this.maker.hidden = true;
      this.picker.focus();
    } catch (error) {
      this.maker.append(failure(error));
    }
  }

  async make(name) {
    await this.api.json("api/collections", { method: "POST", body: { name } });
    await this.refresh();
    await this.choose(name);
  }

  async load() {
    const name = this.name;
    try {
      const found = name ? (await this.api.json(`api/collections/${encodeURIComponent(name)}/documents`)).documents : [];
      if (name !== this.name) return;
      this.documents = found;
      this.list();
    } catch (error) {
      this.items.replaceChildren(h("li", {}, failure(error, () => this.load())));
    }
    this.changed();
  }

  list() {
    const total = this.documents.length;
    this.count.textContent = total === 1 ? say("doc_count_1") : say("doc_count", { count: total.toLocaleString() });
    this.filter.hidden = total < FILTER_FROM;
    const wanted = this.filter.value.trim().toLowerCase();
    const shown = this.documents.filter((d) => `${d.title} ${d.source}`.toLowerCase().includes(wanted)).slice(0, 500);
    const none = total ? say("no_match") : say("no_documents");
    this.items.replaceChildren(...(shown.length ? shown.map((d) => this.item(d)) : [h("li", { class: "none" }, none)]));
  }

  item(document) {
    const name = fileName(document.source);
    const open = h("button", { type: "button", class: "document", title: seen(document.source),
      onclick: (event) => this.openDocument(this.name, document, event.currentTarget) },
      h("span", { class: `format ${/^[a-z]+$/.test(document.format) ? document.format : ""}`, "aria-hidden": "true" }, document.format.slice(0, 4)),
      h("span", { class: "title", dir: "auto" }, seen(document.title || name)));
    const remove = this.writes ? iconButton("trash", say("delete_document", { name }), () => this.remove(document, name)) : null;
    return h("li", {}, open, remove);
  }

  async remove(document, name) {
    if (!window.confirm(say("delete_sure", { name }))) return;
    const query = new URLSearchParams({ source: document.source });
    try {
      await this.api.request(`api/collections/${encodeURIComponent(this.name)}/documents?${query}`, { method: "DELETE" });
      const place = this.documents.indexOf(document);
      await this.load();
      const left = this.items.querySelectorAll(".document");
      (left[Math.min(place, left.length - 1)] ?? this.picker).focus();
    } catch (error) {
      this.items.prepend(h("li", {}, failure(error)));
    }
  }
}
