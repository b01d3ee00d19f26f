// Asks about a call with these arguments; what is decided is put into window.decisions.
// With `editable: false`, of one that may have been carried out.
async ({ values, editable }) => {
  const { Deciding } = await import("/assets/deciding.js");
  const pending = [{ call_id: "call_1", tool: "count", arguments: values, effect: "write", reason: "It writes.", tainted: [], editable }];
  const deciding = new Deciding(pending, (decisions) => (window.decisions = decisions));
  document.querySelector(".log").replaceChildren(deciding.root);
  window.decisions = null;
}
