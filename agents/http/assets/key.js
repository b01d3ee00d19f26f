// The key of a person who needs one: asked for, kept, forgotten. It is kept for this tab, or, if
// they want it, for this browser.

import { h, icon } from "./dom.js";
import { say } from "./words.js";

const NAME = "waggle.key";

export function keptKey() {
  return read(sessionStorage) ?? read(localStorage) ?? "";
}

export function forgetKey() {
  for (const storage of [sessionStorage, localStorage]) storage.removeItem(NAME);
}

/** `then` is called when the key that was kept is forgotten in another tab. */
export function whenForgotten(then) {
  window.addEventListener("storage", ({ key }) => {
    if ((key === NAME || key === null) && !keptKey()) then();
  });
}

const read = (storage) => storage.getItem(NAME);

/** Ask until `accepted(key)` does not refuse it; `wrong` says that one was refused already. */
export function askKey(accepted, wrong = false) {
  return new Promise((resolve) => {
    const field = h("input", { type: "password", id: "key-field", required: true, autocomplete: "current-password",
      spellcheck: "false", "aria-describedby": "key-hint key-error" });
    const remember = h("input", { type: "checkbox" });
    const error = h("p", { class: "error", id: "key-error", role: "alert" }, wrong ? say("key_wrong") : "");
    const submit = h("button", { class: "button" }, say("key_use"));
    const form = h("form", { method: "dialog", onsubmit: async (event) => {
      event.preventDefault();
      submit.disabled = true;
      const refusal = await accepted(field.value.trim());
      submit.disabled = false;
      if (refusal) {
        error.textContent = refusal;
        field.select();
        return;
      }
      (remember.checked ? localStorage : sessionStorage).setItem(NAME, field.value.trim());
      dialog.close();
      dialog.remove();
      resolve();
    } },
      h("span", { class: "badge" }, icon("key")),
      h("h2", { id: "key-title" }, say("key_title")),
      h("p", { class: "hint", id: "key-hint" }, say("key_hint")),
      h("label", { class: "label", for: "key-field" }, say("key")), field, error,
      h("label", { class: "check" }, remember, say("key_remember")), submit);
    const dialog = h("dialog", { class: "key-dialog", "aria-labelledby": "key-title",
      oncancel: (event) => event.preventDefault() }, form);
    document.body.append(dialog);
    dialog.showModal();
    field.focus();
  });
}
