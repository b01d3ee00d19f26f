// The conversations of this tab: they outlive a reload, and end with the tab, with the key, and
// where the person does not want them kept. The key is no part of them.

const TALK = "waggle.talk.";
const OWNER = "waggle.talks_of";
const WISH = "waggle.keep";

export class Keeping {
  /** `owner` names the key that the conversations are had with; those of another are forgotten. */
  constructor(owner) {
    if (read(sessionStorage, OWNER) !== owner) forgetTalks();
    this.owner = owner;
  }

  get wanted() {
    return read(localStorage, WISH) !== "no";
  }

  set wanted(is) {
    write(localStorage, WISH, is ? "yes" : "no");
    if (!is) forgetTalks();
  }

  /** The turns about a collection, oldest first. */
  load(collection) {
    if (!this.wanted) forgetTalks();
    try {
      const turns = JSON.parse(read(sessionStorage, TALK + collection) ?? "[]");
      return turns.filter((turn) => typeof turn.question === "string");
    } catch {
      return [];
    }
  }

  /** Keep the turns; where there is no room for all of them, the latest. */
  save(collection, turns) {
    if (!turns.length || !this.wanted) return sessionStorage.removeItem(TALK + collection);
    write(sessionStorage, OWNER, this.owner);
    const fits = turns.findIndex((_, at) => write(sessionStorage, TALK + collection, JSON.stringify(turns.slice(at))));
    if (fits < 0) sessionStorage.removeItem(TALK + collection);
  }
}

export function forgetTalks() {
  for (const name of Object.keys(sessionStorage)) if (name.startsWith(TALK) || name === OWNER) sessionStorage.removeItem(name);
}

const read = (storage, name) => storage.getItem(name);

function write(storage, name, value) {
  try {
    storage.setItem(name, value);
    return true;
  } catch {
    return false; // it is full, or the browser keeps nothing
  }
}
