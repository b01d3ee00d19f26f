// Drops a Markdown file with this text on the page.
(text) => {
  const data = new DataTransfer();
  data.items.add(new File([text], "propolis.md", { type: "text/markdown" }));
  for (const kind of ["dragenter", "dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
}
