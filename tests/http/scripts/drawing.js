// Lets Markdown be drawn whole, and as it grows.
async () => {
  const { Flow } = await import("/assets/markdown.js");
  const cite = (number) => Object.assign(document.createElement("button"), { textContent: number ?? "?" });
  window.draw = (text) => {
    const root = document.createElement("div");
    new Flow(root, cite).show(text);
    return root;
  };
  window.grow = (text) => {
    const root = document.createElement("div");
    const flow = new Flow(root, cite);
    for (let at = 0; at <= text.length; at += 3) flow.show(text.slice(0, at));
    flow.show(text);
    return root;
  };
}
