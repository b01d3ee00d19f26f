// The page: what stands where, and what leads to what.

import { addressOf, placeIn } from "./address.js";
import { failure } from "./answer.js";
import { Api } from "./api.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { h, icon, iconButton, rename, seen } from "./dom.js";
import { forgetTalks, Keeping } from "./keeping.js";
import { askKey, forgetKey, keptKey, whenForgotten } from "./key.js";
import { Reader } from "./reader.js";
import { Shelf } from "./shelf.js";
import { Waiting } from "./waiting.js";
import { language, say, sayError, speak } from "./words.js";

const THEMES = ["system", "light", "dark"];

const kept = {
  get: (name) => localStorage.getItem(`waggle.${name}`),
  set: (name, value) => localStorage.setItem(`waggle.${name}`, value),
};

class Page {
  constructor(api, me) {
    Object.assign(this, { api, me });
    this.keeping = new Keeping(me.key);
    this.reader = new Reader(api, (place) => this.reading(place), [iconButton("link", say("link_copy"), () => this.copyLink())]);
    this.shelf = new Shelf(api, me, {
      open: (name, document, button) => {
        const drawn = this.menu.getAttribute("aria-expanded") === "true";
        this.drawer(false);
        this.reader.open(name, document, drawn ? this.menu : button);
      },
      changed: () => this.changed(),
    });
    this.conversation = new Conversation(api, { reader: this.reader, keeping: this.keeping,
      changed: () => this.welcome(), busy: (is) => this.composer.busy(is) });
    this.waiting = new Waiting(api, me.rights.includes("agent"), {
      open: (run) => this.openRun(run), shown: (run_id) => this.conversation.has(run_id), told: (words) => (this.conversation.told.textContent = words) });
    this.conversation.waiting = this.waiting;
    this.empty = h("div", { class: "empty" });
    this.composer = new Composer(me, { send: (text, mode, count) => this.conversation.send(text, mode, count),
      stop: () => this.conversation.current?.stop() });
    this.reader.otherwise = this.composer.field;
    this.title = h("h1");
    this.conversation.scroller.append(h("div", { class: "column" }, this.empty, this.conversation.log));
    this.build();
  }

  build() {
    this.menu = iconButton("menu", say("menu"), () => this.drawer(!document.body.classList.contains("drawn")),
      { "aria-expanded": "false", "aria-controls": "side" });
    this.menu.classList.add("menu");
    const fresh = h("button", { type: "button", class: "action fresh", "aria-label": say("new_chat"), onclick: () => this.fresh() },
      icon("add"), h("span", {}, say("new_chat")));
    document.body.replaceChildren(
      h("a", { class: "skip", href: "#question" }, say("skip")),
      h("nav", { class: "side", id: "side", "aria-label": say("menu") }, this.brand(), this.shelf.root, this.foot()),
      h("div", { class: "veil", onclick: () => this.drawer(false) }),
      h("main", {}, h("header", { class: "top" }, this.menu, this.title, fresh), this.waiting.root,
        this.conversation.scroller,
        h("div", { class: "bottom" }, this.conversation.newest, this.composer.root, this.conversation.told)),
      this.reader.root,
      h("div", { class: "dropping", hidden: true }));
    listenForDrops(this);
    document.addEventListener("keydown", (event) => this.key(event));
    addEventListener("hashchange", () => this.visit());
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
    const forget = () => {
      forgetKey();
      forgetTalks();
      location.reload();
    };
    const key = this.api.key ? iconButton("key", say("key_forget"), forget) : null;
    if (key) whenForgotten(forget);
    return h("div", { class: "foot" }, other, h("span", { class: "gap" }), key, this.keeper(), theme);
  }

  /** Whether conversations are kept is switched on and off. */
  keeper() {
    const button = iconButton("keep", "", () => {
      this.keeping.wanted = !this.keeping.wanted;
      this.conversation.keep();
      show();
    });
    const show = () => {
      const { wanted } = this.keeping;
      rename(button, say(wanted ? "keep_on" : "keep_off"));
      button.classList.toggle("on", wanted);
    };
    show();
    window.addEventListener("storage", () => {
      if (!this.keeping.wanted) forgetTalks();
      show();
    });
    return button;
  }

  async start() {
    const place = placeIn(location.hash);
    await this.waiting.refresh().catch((error) => (this.conversation.told.textContent = sayError(error)));
    try {
      await this.shelf.start(place?.collection ?? kept.get("collection"));
    } catch (error) {
      this.empty.replaceChildren(failure(error, () => location.reload()));
    }
    if (matchMedia("(pointer: fine)").matches) this.composer.focus();
    if (place) this.reader.open(place.collection, place);
  }

  /** Another collection is chosen, or its documents are others now. */
  changed() {
    const { name } = this.shelf;
    this.title.textContent = name ? seen(name) : "Waggle";
    document.title = name ? `${seen(name)} · Waggle` : "Waggle";
    this.composer.allow(Boolean(name));
    if (name === this.name) return this.welcome();
    const first = this.name === undefined;
    this.name = name;
    if (name) kept.set("collection", name);
    if (!first && !this.reader.root.hidden) this.reader.close();
    this.conversation.show(name);
  }

  welcome() {
    this.waiting.show();
    this.empty.hidden = !this.conversation.empty;
    const { documents } = this.shelf;
    const logo = h("img", { src: new URL("logo.svg", import.meta.url).href, alt: "", width: 56, height: 56 });
    const first = !documents.length && this.shelf.writes;
    const words = [h("h2", {}, say(first ? "first_title" : "empty_title")),
      h("p", {}, !this.name && !this.shelf.writes ? say("no_key_collections") : say(first ? "first_hint" : "empty_hint"))];
    const titles = [...new Set(documents.map((d) => seen(d.title)).filter((t) => t && t.length < 60))];
    const suggestions = spread(titles, 3).map((title) => say("ask_about", { title }));
    const below = first
      ? h("button", { type: "button", class: "drop large", onclick: () => this.shelf.pick() },
          icon("upload"), h("strong", {}, say("choose_files")), h("span", {}, say("drop_hint")))
      : h("ul", { class: "suggestions" }, suggestions.map((text) =>
          h("li", {}, h("button", { type: "button", dir: "auto", onclick: () => this.suggested(text) }, text))));
    this.empty.replaceChildren(logo, ...words, below);
  }

  suggested(text) {
    this.composer.focus();
    this.conversation.send(text, "ask", 1);
  }

  fresh() {
    if (!this.reader.root.hidden) this.reader.close();
    this.conversation.clear();
    this.composer.focus();
  }

  /** Show a run, whichever collection it is about. */
  async openRun(run) {
    if (run.collection !== this.name) await this.shelf.choose(run.collection);
    this.conversation.open(run);
  }

  /** The address names the place that is shown, so that it can be passed on. */
  reading(place) {
    document.body.classList.toggle("reading", Boolean(place));
    history.replaceState(null, "", place ? addressOf(place) : location.pathname + location.search);
  }

  async copyLink() {
    await navigator.clipboard.writeText(location.href);
    this.conversation.told.textContent = say("link_copied");
  }

  /** Somebody follows an address. */
  async visit() {
    const place = placeIn(location.hash);
    if (!place) return;
    const known = this.shelf.collections.some((one) => one.name === place.collection);
    if (known && place.collection !== this.name) await this.shelf.choose(place.collection);
    this.reader.open(place.collection, place);
  }

  drawer(is) {
    document.body.classList.toggle("drawn", is);
    this.menu.setAttribute("aria-expanded", String(is));
    if (is) this.shelf.picker.focus();
    else if (document.activeElement.closest(".side")) this.menu.focus();
  }

  key(event) {
    const writing = event.target.matches('textarea, select, input:not([type="radio"])');
    if (event.key === "/" && !writing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.composer.focus();
    }
    if (event.key !== "Escape" || event.defaultPrevented) return;
    if (document.body.classList.contains("drawn")) this.drawer(false);
    else if (!this.reader.root.hidden) this.reader.close();
    else this.conversation.current?.stop();
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
