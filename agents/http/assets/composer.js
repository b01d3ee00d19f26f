// Where a question is written: its field, what is to become of it, and the way to send it.

import { h, icon, rename } from "./dom.js";
import { say } from "./words.js";

const CANDIDATES = [1, 2, 3];

export class Composer {
  /** `send(text, mode, count)` with mode "ask" or "agent"; `stop()` ends what is being written. */
  constructor(me, { send, stop }) {
    Object.assign(this, { send, stop, mode: "ask", writing: false });
    this.field = h("textarea", { id: "question", rows: 1, maxlength: 8000, "aria-label": say("message"), dir: "auto",
      placeholder: say("ask_placeholder"), oninput: () => this.grow(), onkeydown: (event) => this.key(event) });
    this.button = h("button", { class: "send" });
    this.count = h("select", { "aria-label": say("answers") }, CANDIDATES.map((count) =>
      h("option", { value: count }, count === 1 ? say("answers_1") : say("answers_n", { count }))));
    this.root = h("form", { class: "composer", onsubmit: (event) => this.submit(event) }, this.field,
      h("div", { class: "row" }, me.rights.includes("agent") ? this.modes() : null,
        h("div", { class: "select small" }, this.count), h("span", { class: "gap" }), this.button));
    this.busy(false);
  }

  modes() {
    const mode = (name) => h("label", {}, h("input", { type: "radio", name: "mode", value: name, checked: name === this.mode,
      onchange: (event) => this.choose(name, event.target) }), icon(name), h("span", {}, say(name)));
    return h("div", { class: "modes", role: "radiogroup" }, mode("ask"), mode("agent"));
  }

  choose(mode, radio) {
    this.mode = mode;
    this.count.parentElement.hidden = mode === "agent";
    this.field.placeholder = say(`${mode}_placeholder`);
    if (!radio.matches(":focus-visible")) this.field.focus(); // arrow keys go from choice to choice
  }

  allow(is) {
    this.allowed = is;
    this.grow();
  }

  busy(is) {
    this.writing = is;
    this.button.replaceChildren(icon(is ? "stop" : "send"));
    this.button.type = is ? "button" : "submit";
    this.button.onclick = is ? () => this.stop() : null;
    rename(this.button, say(is ? "stop" : "send"));
    this.grow();
  }

  grow() {
    this.button.disabled = !this.writing && (!this.allowed || !this.field.value.trim());
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, 200)}px`;
  }

  key(event) {
    // An input method's Enter chooses a word; it does not send.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.root.requestSubmit();
  }

  submit(event) {
    event.preventDefault();
    const text = this.field.value.trim();
    if (!text || this.writing || !this.allowed) return;
    this.field.value = "";
    this.grow();
    this.send(text, this.mode, Number(this.count.value));
  }

  focus() {
    this.field.focus();
  }
}
