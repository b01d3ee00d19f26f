// The addresses of places: #/COLLECTION/document/SOURCE?span=START:END, each part percent-encoded.

const FORM = /^#\/([^/?]+)\/document\/([^/?]+)(?:\?span=(\d{1,12}):(\d{1,12}))?$/;

/** What `hash` names, or null. */
export function placeIn(hash) {
  const found = FORM.exec(hash);
  if (!found) return null;
  try {
    const [collection, source] = [found[1], found[2]].map(decodeURIComponent);
    return { collection, source, start: Number(found[3] ?? 0), end: Number(found[4] ?? 0) };
  } catch {
    return null; // a percent sign that encodes nothing
  }
}

export function addressOf({ collection, source, start = 0, end = 0 }) {
  const span = end > start ? `?span=${start}:${end}` : "";
  return `#/${encodeURIComponent(collection)}/document/${encodeURIComponent(source)}${span}`;
}
