// Runs before the first paint, so that the chosen theme does not flash in.
(() => {
  let theme = "system";
  try {
    theme = localStorage.getItem("waggle.theme") || "system";
  } catch {
    // A browser may refuse storage; then the system decides.
  }
  document.documentElement.dataset.theme = theme;
})();
