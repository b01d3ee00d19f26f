// The assistant on the pages of others: a button in the corner, and a panel that answers from one
// collection. It lives in a closed shadow, so that page and widget leave each other alone.

import { spoken } from "./answer.js";
import { Api } from "./api.js";
import { Asking } from "./asking.js";
import { h, icon, iconButton, isAway, keepInView, leaveFor, rename, seen } from "./dom.js";
import { Reader } from "./reader.js";
import { say, speak } from "./words.js";

const SHEETS = ["colours.css", "answer.css", "widget.css"];
const MOST_TURNS = 6;

/** `home` is the address of the service; `options` are the script's data attributes. */
export async function start(home, options) {
  speak(options.lang || document.documentElement.lang || navigator.language);
  const host = document.createElement("waggle-assistant");
  if (options.theme) host.dataset.theme = options.theme;
  const shadow = host.attachShadow({ mode: "closed", delegatesFocus: true });
  shadow.adoptedStyleSheets = await Promise.all(SHEETS.map((name) => sheet(new URL(`assets/${name}`, home))));
  const widget = new Widget(new Api(home, options.key ?? ""), options);
  shadow.append(widget.root);
  if (CSS.supports("color", options.colour ?? "")) widget.root.style.setProperty("--accent", options.colour);
  document.body.append(host);
}

async function sheet(address) {
  const response = await fetch(address, { credentials: "omit" });
  const made = new CSSStyleSheet();
  await made.replace(await response.text());
  return made;
}

class Widget {
  constructor(api, options) {
    Object.assign(this, { api, turns: [], current: null, collection: options.collection ?? "default" });
    const title = seen(options.title ?? say("chat_with"));
    this.reader = new Reader(api);
    this.log = h("div", { class: "log", role: "log", "aria-label": say("conversation"), "aria-live": "off" });
    this.told = h("p", { class: "unseen", role: "status" });
    if (options.greeting) this.log.append(h("p", { class: "greeting", dir: "auto" }, seen(options.greeting)));
    else this.log.append(h("p", { class: "greeting" }, say("empty_hint")));
    this.panel = h("section", { class: "panel", role: "dialog", "aria-label": title, hidden: true },
      h("header", { class: "head" }, h("h2", { dir: "auto" }, title), iconButton("close", say("close"), () => this.toggle(false))),
      this.log, this.writer(), this.told, this.reader.root);
    this.panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.reader.root.hidden) this.toggle(false);
      event.stopPropagation(); // the shortcuts of the page around are not meant
    });
    this.launcher = h("button", { type: "button", class: "launcher", "aria-expanded": "false", onclick: () => this.toggle(this.panel.hidden) });
    this.root = h("div", { class: options.side === "left" ? "widget left" : "widget" }, this.panel, this.launcher);
    this.title = title;
    this.face();
    this.log.addEventListener("scroll", () => {
      this.away = isAway(this.log, this.away, this.before);
      this.before = this.log.scrollTop;
    }, { passive: true });
    new MutationObserver(() => this.follow()).observe(this.log, { childList: true, subtree: true, characterData: true });
  }

  writer() {
    this.field = h("textarea", { rows: 1, maxlength: 8000, placeholder: say("ask_placeholder"), "aria-label": say("message"), dir: "auto",
      oninput: () => this.busy(Boolean(this.current)), onkeydown: (event) => {
        if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        this.form.requestSubmit();
      } });
    this.button = h("button", { class: "send" });
    this.form = h("form", { class: "writer", onsubmit: (event) => {
      event.preventDefault();
      if (this.current) this.current.stop();
      else this.send();
    } }, this.field, this.button);
    this.busy(false);
    return this.form;
  }

  busy(is) {
    this.button.replaceChildren(icon(is ? "stop" : "send"));
    rename(this.button, say(is ? "stop" : "send"));
    this.button.disabled = !is && !this.field.value.trim();
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, 120)}px`;
  }

  send() {
    const text = this.field.value.trim();
    if (!text) return;
    this.field.value = "";
    this.log.querySelector(".greeting")?.remove();
    const turn = h("section", { class: "turn" },
      h("p", { class: "question", dir: "auto" }, h("span", { class: "unseen" }, `${say("you")}: `), seen(text)));
    this.log.append(turn);
    this.away = false;
    this.answer(turn, text);
  }

  async answer(turn, text) {
    const hands = {
      open: (place, number, button) => this.reader.open(this.collection, { ...place, number }, button),
      feedback: (kind, view) => this.feedback(kind, view),
    };
    const history = this.turns.slice(-MOST_TURNS);
    const asking = new Asking(this.api, { collection: this.collection, question: text, history }, hands);
    this.current = asking;
    this.told.textContent = say("searching");
    this.busy(true);
    turn.append(asking.root);
    const answer = await asking.run(() => {
      leaveFor(turn, asking.root);
      asking.root.remove();
      this.answer(turn, text);
    });
    this.current = null;
    this.busy(false);
    if (!answer) return;
    this.told.textContent = spoken(answer);
    if (answer.answer) this.turns.push({ question: text, answer: answer.answer });
  }

  async feedback(kind, { answer }) {
    const { question, model, prompt } = answer;
    const body = { kind, collection: this.collection, question, answer: answer.answer, model, prompt };
    await this.api.request("api/feedback", { method: "POST", body }).catch(() => {});
    this.told.textContent = say("thanks");
  }

  follow() {
    if (!this.away) keepInView(this.log, this.log.lastElementChild);
  }

  toggle(is) {
    this.panel.hidden = !is;
    this.launcher.setAttribute("aria-expanded", String(is));
    this.face();
    if (is) this.field.focus();
    else this.launcher.focus();
  }

  face() {
    const open = !this.panel.hidden;
    this.launcher.replaceChildren(icon(open ? "close" : "ask"));
    rename(this.launcher, open ? say("close") : this.title);
  }
}
