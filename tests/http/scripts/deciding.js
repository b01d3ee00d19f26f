// Asks about a call with these arguments; what is decided is put into window.decisions.
async (values) => {
  const { Deciding } = await import("/assets/deciding.js");
  const pending = [{ call_id: "call_1", tool: "count", arguments: values, effect: "write", reason: "It writes.", tainted: [] }];
  const deciding = new Deciding(pending, (decisions) => (window.decisions = decisions));
  document.querySelector(".log").replaceChildren(deciding.root);
  window.decisions = null;
}
