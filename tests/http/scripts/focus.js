// What a person without a mouse or without sight notices: `focused()` is the name of what has the
// focus, `lost` what had it without its being seen, `heard` what a screen reader says unasked.
() => {
  window.lost = [];
  window.heard = [];
  const name = (e) => e.getAttribute("aria-label") || e.labels?.[0]?.innerText || e.innerText || e.tagName;
  window.focused = () => name(document.activeElement).replace(/^(md|txt)\s+/i, "").trim();
  document.addEventListener("focusin", ({ target }) => requestAnimationFrame(() => {
    if (target !== document.activeElement || !target.matches(":focus-visible")) return;
    const shown = [target, target.closest("label"), target.closest(".composer")].filter(Boolean).some((e) => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(e);
      return (outlineStyle !== "none" && parseFloat(outlineWidth) > 1) || (e !== target && boxShadow !== "none");
    });
    const box = target.getBoundingClientRect();
    const away = box.bottom <= 0 || box.right <= 0 || box.top >= innerHeight || box.left >= innerWidth;
    if (!shown || away) window.lost.push(`${target.outerHTML.slice(0, 120)} shown: ${shown}, away: ${away}`);
  }));
  const live = (e) => e.parentElement?.closest('[role="status"], [role="alert"], [aria-live="polite"]') ?? null;
  new MutationObserver((changes) => {
    const told = new Set(changes.map(({ target }) => target.nodeType === 1 && target.matches('[role="status"], [role="alert"], [aria-live="polite"]') ? target : live(target)));
    for (const one of told) if (one?.textContent) window.heard.push(one.textContent);
  }).observe(document.body, { childList: true, subtree: true, characterData: true });
}
