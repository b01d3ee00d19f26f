// The page: what stands where, and what leads to what.

import { Api } from "./api.js";
import { failure } from "./answer.js";
import { Asking } from "./asking.js";
import { Composer } from "./composer.js";
import { h, icon, iconButton, keepInView, rename, seen } from "./dom.js";
import { askKey, forgetKey, keptKey } from "./key.js";
import { Reader } from "./reader.js";
import { Running } from "./running.js";
import { Shelf } from "./shelf.js";
import { language, say, sayError, speak } from "./words.js";

const MOST_TURNS = 6;
const THEMES = ["system", "light", "dark"];

const kept = {
  get: (name) => localStorage.getItem(`waggle.${name}`),
  set: (name, value) => localStorage.setItem(`waggle.${name}`, value),
};

class Page {
  constructor(api, me) {
    Object.assign(this, { api, me, turns: [], current: null });
    this.reader = new Reader(api, (is) => document.body.classList.toggle("reading", is));
    this.shelf = new Shelf(api, me, {
      open: (name, document, button) => {
        this.drawer(false);
        this.reader.open(name, document, button);
      },
      changed: () => this.changed(),
    });
    this.log = h("div", { class: "log", role: "log", "aria-label": say("conversation"), "aria-live": "off" });
    this.empty = h("div", { class: "empty" });
    this.told = h("p", { class: "unseen", role: "status" });
    this.composer = new Composer(me, { send: (text, mode, count) => this.send(text, mode, count), stop: () => this.current?.stop() });
    this.title = h("h1");
    this.scroller = h("div", { class: "scroller" }, h("div", { class: "column" }, this.empty, this.log));
    this.newest = h("button", { type: "button", class: "newest", hidden: true, onclick: () => this.toEnd() },
      icon("chevron"), say("to_newest"));
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.follow()).observe(this.log);
    this.build();
  }

  build() {
    this.menu = iconButton("menu", say("menu"), () => this.drawer(!document.body.classList.contains("drawn")),
      { "aria-expanded": "false", "aria-controls": "side" });
    this.menu.classList.add("menu");
    const fresh = h("button", { type: "button", class: "action fresh", onclick: () => this.clear() }, icon("add"), h("span", {}, say("new_chat")));
    document.body.replaceChildren(
      h("a", { class: "skip", href: "#question" }, say("skip")),
      h("nav", { class: "side", id: "side", "aria-label": say("menu") }, this.brand(), this.shelf.root, this.foot()),
      h("div", { class: "veil", onclick: () => this.drawer(false) }),
      h("main", {}, h("header", { class: "top" }, this.menu, this.title, fresh), this.scroller,
        h("div", { class: "bottom" }, this.newest, this.composer.root, this.told)),
      this.reader.root,
      h("div", { class: "dropping", hidden: true }));
    listenForDrops(this);
    document.addEventListener("keydown", (event) => this.key(event));
  }

  brand() {
    const logo = h("img", { src: new URL("logo.svg", import.meta.url).href, alt: "", width: 28, height: 28 });
    return h("div", { class: "brand" }, logo, h("span", {}, "Waggle"), iconButton("close", say("close"), () => this.drawer(false)));
  }

  foot() {
    const theme = iconButton("system", "", () => {
      const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
      document.documentElement.dataset.theme = next;
      kept.set("theme", next);
      showTheme(theme);
    });
    showTheme(theme);
    const other = h("button", { type: "button", class: "action", lang: language() === "en" ? "zh" : "en", onclick: () => {
      kept.set("language", language() === "en" ? "zh" : "en");
      location.reload();
    } }, say("language"));
    const key = this.api.key ? iconButton("key", say("key_forget"), () => {
      forgetKey();
      location.reload();
    }) : null;
    return h("div", { class: "foot" }, other, h("span", { class: "gap" }), key, theme);
  }

  async start() {
    try {
      await this.shelf.start(kept.get("collection"));
    } catch (error) {
      this.empty.replaceChildren(failure(error, () => location.reload()));
    }
    if (matchMedia("(pointer: fine)").matches) this.composer.focus();
  }

  /** Another collection is chosen, or its documents are others now. */
  changed() {
    const { name, documents } = this.shelf;
    this.title.textContent = name ? seen(name) : "Waggle";
    document.title = name ? `${seen(name)} · Waggle` : "Waggle";
    if (name && name !== this.name) {
      kept.set("collection", name);
      if (this.name) this.clear();
    }
    this.name = name;
    this.composer.allow(Boolean(name));
    this.welcome(documents);
  }

  welcome(documents) {
    this.empty.hidden = this.log.childElementCount > 0;
    const logo = h("img", { src: new URL("logo.svg", import.meta.url).href, alt: "", width: 56, height: 56 });
    const none = !documents.length;
    const first = none && this.shelf.writes;
    const words = [h("h2", {}, say(first ? "first_title" : "empty_title")),
      h("p", {}, !this.name && !this.shelf.writes ? say("no_key_collections") : say(first ? "first_hint" : "empty_hint"))];
    const titles = [...new Set(documents.map((d) => seen(d.title)).filter((t) => t && t.length < 60))];
    const suggestions = spread(titles, 3).map((title) => say("ask_about", { title }));
    const below = first
      ? h("button", { type: "button", class: "drop large", onclick: () => this.shelf.pick() },
          icon("upload"), h("strong", {}, say("choose_files")), h("span", {}, say("drop_hint")))
      : h("ul", { class: "suggestions" }, suggestions.map((text) =>
          h("li", {}, h("button", { type: "button", dir: "auto", onclick: () => this.send(text, "ask", 1) }, text))));
    this.empty.replaceChildren(logo, ...words, below);
  }

  clear() {
    this.current?.stop();
    this.turns = [];
    this.log.replaceChildren();
    if (!this.reader.root.hidden) this.reader.close();
    this.welcome(this.shelf.documents);
    this.composer.focus();
  }

  async send(text, mode, count) {
    if (this.current || !this.name) return;
    const turn = h("section", { class: "turn" }, h("div", { class: "question" },
      h("span", { class: "unseen" }, `${say("you")}: `), h("p", { dir: "auto" }, seen(text))));
    this.log.append(turn);
    this.empty.hidden = true;
    this.follow(true);
    await this.answer(turn, text, mode, count);
  }

  async answer(turn, text, mode, count) {
    const retry = () => {
      if (this.current) return;
      made.root.remove();
      this.answer(turn, text, mode, count);
    };
    const made = this.making(text, mode, count);
    const turns = this.turns;
    this.current = made;
    this.composer.busy(true);
    turn.append(made.root);
    const answer = await made.run(retry);
    this.current = null;
    this.composer.busy(false);
    if (!answer || turns !== this.turns) return;
    this.told.textContent = say("answer_ready");
    const place = this.turns.push({ question: text, answer: answer.answer }) - 1;
    made.onchosen = (chosen) => (turns[place].answer = chosen.answer);
  }

  making(text, mode, count) {
    const collection = this.name;
    const hands = {
      open: (place, number, button) => this.reader.open(collection, { ...place, number }, button),
      feedback: (kind, view, all) => this.feedback(collection, kind, view, all),
    };
    if (mode === "agent") return new Running(this.api, { collection, goal: text, stream: true }, hands);
    const history = this.turns.filter((t) => t.answer).slice(-MOST_TURNS);
    return new Asking(this.api, { collection, question: text, history, candidates: count }, hands);
  }

  async feedback(collection, kind, view, all = []) {
    const { answer } = view;
    const others = all.filter((other) => other !== view && other.answer).map((other) => other.answer.answer);
    const body = { kind, collection, question: answer.question, answer: answer.answer, others,
      model: answer.model ?? "", prompt: answer.prompt ?? "" };
    try {
      await this.api.request("api/feedback", { method: "POST", body });
      this.told.textContent = say("thanks");
    } catch (error) {
      this.told.textContent = sayError(error);
    }
  }

  /** Keep what is written in view, but never push the question it answers out of it, nor move
   * the page under a reader who has scrolled away. */
  follow(always = false) {
    if (always) this.away = false;
    if (!this.away) keepInView(this.scroller, this.log.lastElementChild);
    this.newest.hidden = this.toGo() < 60;
  }

  /** Pixels below what is in view. */
  toGo() {
    const { scrollTop, clientHeight, scrollHeight } = this.scroller;
    return scrollHeight - clientHeight - scrollTop;
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
  }

  scrolled() {
    this.away = this.toGo() > 60;
    this.newest.hidden = !this.away;
  }

  drawer(is) {
    document.body.classList.toggle("drawn", is);
    this.menu.setAttribute("aria-expanded", String(is));
    if (is) this.shelf.picker.focus();
  }

  key(event) {
    const writing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (event.key === "/" && !writing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.composer.focus();
    }
    if (event.key !== "Escape" || event.defaultPrevented) return;
    if (document.body.classList.contains("drawn")) {
      this.drawer(false);
      this.menu.focus();
    } else if (!this.reader.root.hidden) this.reader.close();
    else this.current?.stop();
  }
}

function showTheme(button) {
  const theme = document.documentElement.dataset.theme;
  button.replaceChildren(icon({ system: "system", light: "sun", dark: "moon" }[theme] ?? "system"));
  rename(button, say("theme", { theme: say(THEMES.includes(theme) ? theme : "system") }));
}

/** `count` of `all`, from its beginning to its end. */
const spread = (all, count) =>
  all.length <= count ? all : Array.from({ length: count }, (_, at) => all[Math.floor((at * all.length) / count)]);

function listenForDrops(page) {
  const veil = document.querySelector(".dropping");
  let inside = 0;
  const files = (event) => page.shelf.writes && event.dataTransfer?.types.includes("Files");
  const show = (is) => {
    veil.hidden = !is;
    veil.replaceChildren(h("p", {}, icon("upload"), say("drop_to_add", { name: page.shelf.name ?? "default" })));
  };
  document.addEventListener("dragenter", (event) => files(event) && inside++ === 0 && show(true));
  document.addEventListener("dragleave", (event) => files(event) && --inside === 0 && show(false));
  document.addEventListener("dragover", (event) => files(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    inside = 0;
    show(false);
    page.shelf.take(event.dataTransfer.files);
  });
}

/** Who asks, after they have shown a key where one is needed. */
async function enter(api) {
  api.key = keptKey();
  for (;;) {
    try {
      return await api.json("api/me");
    } catch (error) {
      if (error.status !== 401) throw error;
    }
    const wrong = Boolean(api.key);
    await askKey(async (key) => {
      api.key = key;
      return api.json("api/me").then(() => "", (error) => (error.status === 401 ? say("key_wrong") : sayError(error)));
    }, wrong);
  }
}

async function begin() {
  speak(kept.get("language") ?? navigator.language);
  document.documentElement.lang = language();
  const api = new Api(new URL("../", import.meta.url));
  try {
    const page = new Page(api, await enter(api));
    await page.start();
  } catch (error) {
    document.body.replaceChildren(h("main", { class: "broken" }, failure(error, () => location.reload())));
  }
}

begin();
