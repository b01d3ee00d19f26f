// Elements are made here and nowhere from text: there is no innerHTML in this page.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `on…` are listeners, `class` and `data` as in HTML; `null` and `false` are left out. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return element;
}

const ICONS = {
  add: "M12 5v14M5 12h14",
  agent: "M12 3v3M7 6h10a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2V8a2 2 0 0 1 2-2ZM9.5 11v2M14.5 11v2M9 21h6",
  ask: "M20 11.5a7.5 7.5 0 0 1-11 6.6L4 20l1.9-4.6A7.5 7.5 0 1 1 20 11.5Z",
  check: "m5 12.5 4.5 4.5L19 7.5",
  chevron: "m9 6 6 6-6 6",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 9h10v11H9zM5 15V4h10",
  file: "M7 3h7l4 4v14H6V3zM14 3v5h4",
  keep: "M6 4h12v16l-6-4.5L6 20z",
  key: "M15 14a5 5 0 1 0-4.6-3L4 17.5V20h3v-2h2v-2h2l1.4-1.4A5 5 0 0 0 15 14ZM15.5 8.5h.01",
  link: "M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7L12 7M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7L12 17",
  menu: "M4 7h16M4 12h16M4 17h16",
  moon: "M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5Z",
  pencil: "M4 20l1-4L16.5 4.5l3 3L8 19zM14 7l3 3",
  retry: "M4 12a8 8 0 1 1 2.5 5.8M4 20v-5h5",
  send: "M12 19V5M6 11l6-6 6 6",
  stop: "M7 7h10v10H7z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8ZM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6 19 19M19 5l-1.4 1.4M6.4 17.6 5 19",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
  trash: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13",
  tool: "M14.5 6.5a4 4 0 0 0 5 5L11 20a2.1 2.1 0 0 1-3-3l8.5-8.5M19.5 11.5 20 8l-2.5 2.5-2-2L18 6l-3.5.50",
  up: "M7 10v11M17 21H7M7 10l4-8a2.5 2.5 0 0 1 2.5 3L13 9h5a2 2 0 0 1 2 2.3l-1.2 8A2 2 0 0 1 17 21",
  upload: "M12 16V5M7 10l5-5 5 5M5 19h14",
  warning: "M12 4 2.8 20h18.4zM12 10v4M12 17h.01",
};

/** A line drawing, hidden from screen readers: what it stands beside has words. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  const set = (element, values) => Object.entries(values).forEach((v) => element.setAttribute(...v));
  set(svg, { viewBox: "0 0 24 24", class: "icon", "aria-hidden": "true", focusable: "false" });
  set(path, name === "down" ? { d: ICONS.up, transform: "rotate(180 12 12)" } : { d: ICONS[name] });
  svg.append(path);
  return svg;
}

/** A button that shows only an icon; `label` is its name. */
export function iconButton(name, label, onclick, props = {}) {
  const button = h("button", { type: "button", class: "icon-button", onclick, ...props }, icon(name));
  rename(button, label);
  return button;
}

export function rename(button, label) {
  button.setAttribute("aria-label", label);
  button.title = label;
}

/** Bring the focus to something that is no field and no button. */
export function rest(element) {
  element.tabIndex = -1;
  element.focus({ preventScroll: true });
}

/** The focus must not be lost with what goes: it rests at `place`. */
export function leaveFor(place, going) {
  if (going.contains(going.getRootNode().activeElement)) rest(place);
}

// Characters that no reader sees, but that change or hide what is read: controls, zero-width
// spaces, bidirectional overrides, tags.
const UNSEEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]|[\u{e0000}-\u{e007f}]/gu;

/** Text from documents and models, without what cannot be seen. */
export const seen = (text) => String(text).replace(UNSEEN, "");

export const fileName = (source) => seen(source).replace(/[/\\]+$/, "").split(/[/\\]/).pop() || source;

const MARGIN = 12;

/** Scroll to the end of `turn`, as far as its beginning stays in view. */
export function keepInView(scroller, turn) {
  if (!turn) return;
  const above = turn.getBoundingClientRect().top - scroller.getBoundingClientRect().top - MARGIN;
  const end = scroller.scrollHeight - scroller.clientHeight;
  scroller.scrollTop = Math.min(end, scroller.scrollTop + above);
}

const NEAR = 60;

/** Whether a reader has scrolled away from the end: `before` is where they were. What grows below
 * them does not take them away, only their own way up does. */
export function isAway({ scrollTop, clientHeight, scrollHeight }, was, before = 0) {
  if (scrollHeight - clientHeight - scrollTop <= NEAR) return false;
  return was || scrollTop < before;
}
