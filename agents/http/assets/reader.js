// The panel that shows a place in its document.

import { fileName, h, icon, iconButton, seen } from "./dom.js";
import { failure } from "./answer.js";
import { say } from "./words.js";

const AROUND = 4000;
const MOST = 400_000;

export class Reader {
  /** `api` as in api.js; `opened(place)` is told what is shown, null when the panel goes;
   * `tools` are buttons for what is shown. */
  constructor(api, opened = () => {}, tools = []) {
    Object.assign(this, { api, opened, from: null, asked: 0 });
    this.heading = h("h2", { tabindex: -1, dir: "auto" });
    this.where = h("p", { class: "where" });
    this.body = h("div", { class: "text", tabindex: 0, dir: "auto" });
    this.otherwise = null;
    this.closer = iconButton("close", say("close"), () => this.close());
    this.root = h("aside", { class: "reader", hidden: true, "aria-label": say("reader") },
      h("header", {}, h("span", { class: "file" }, icon("file")), h("div", {}, this.heading, this.where), tools, this.closer),
      this.body);
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  /** Show `place`; the focus comes here, and goes back to `from`, or `otherwise` if that is gone. */
  async open(collection, place, from = null) {
    const asked = ++this.asked;
    this.from = from ?? this.from;
    this.place = { collection, ...place };
    this.root.hidden = false;
    this.opened(this.place);
    this.heading.textContent = seen(place.title || fileName(place.source));
    this.stands(place.page);
    this.where.title = seen(place.source);
    this.body.replaceChildren(h("p", { class: "status" }, h("span", { class: "pulse" }), say("loading")));
    this.heading.focus({ preventScroll: true });
    try {
      const text = await this.read(AROUND);
      if (asked === this.asked) this.show(text);
    } catch (error) {
      if (asked === this.asked) this.body.replaceChildren(failure(error, () => this.open(collection, place)));
    }
  }

  read(around) {
    const { collection, source, start = 0, end = 0 } = this.place;
    const query = new URLSearchParams({ source, start, end, around });
    return this.api.json(`api/collections/${encodeURIComponent(collection)}/text?${query}`);
  }

  stands(page) {
    this.where.textContent = [fileName(this.place.source), page ? say("page", { page }) : ""].filter(Boolean).join(" · ");
  }

  show(text) {
    if (!this.place.title) this.heading.textContent = seen(text.title || fileName(text.source));
    if (!this.place.page && text.quote) this.stands(text.page);
    const mark = text.quote ? h("mark", {}, lines(text.quote)) : null;
    const more = (wanted) => wanted
      ? h("button", { type: "button", class: "action more", onclick: () => this.widen(text) }, say("more_text"))
      : null;
    const doubt = this.place.support === "unsupported" ? h("p", { class: "notice doubt" }, say("nearest")) : null;
    this.body.replaceChildren(...[doubt, more(text.begin > 0),
      h("div", { class: "page" }, lines(text.before), mark, lines(text.after)), more(text.until < text.length)].filter(Boolean));
    if (mark) mark.scrollIntoView({ block: "center" });
    else this.body.scrollTop = 0;
  }

  async widen(text) {
    try {
      const wider = await this.read(Math.min((text.until - text.begin) * 4, MOST));
      this.show(wider);
    } catch (error) {
      this.body.prepend(failure(error));
    }
  }

  close() {
    this.asked++;
    this.root.hidden = true;
    this.opened(null);
    if (this.from?.isConnected && this.from.checkVisibility({ visibilityProperty: true })) this.from.focus();
    else this.otherwise?.focus();
    this.from = null;
  }
}

/** The text as it is, its headings a little stronger. */
const lines = (text) => seen(text).split(/^(#{1,6} .*)$/m).map((part, at) => {
  if (at % 2 === 0) return part;
  const [, marks, words] = /^(#+ )(.*)$/.exec(part);
  return h("span", { class: "heading" }, h("span", { class: "hash" }, marks), words);
});
