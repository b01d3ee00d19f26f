// <script src="…/widget.js" data-collection="…"> puts the assistant on a page. Further attributes:
// data-key, data-title, data-greeting, data-lang, data-theme, data-side ("left") and data-colour.
(() => {
  const script = document.currentScript;
  const home = new URL("./", script.src);
  const options = { ...script.dataset };
  import(new URL("assets/widget.js", home).href)
    .then(({ start }) => start(home, options))
    .catch((error) => console.error("Waggle:", error));
})();
