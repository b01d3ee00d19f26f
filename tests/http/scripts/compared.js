// What becomes of each text, drawn whole and as it grows.
(texts) => texts.map((text) => {
  const [whole, grown] = [draw(text), grow(text)];
  const all = [...whole.querySelectorAll("*")];
  return {
    text,
    alike: whole.innerHTML === grown.innerHTML,
    tags: all.map((e) => e.tagName),
    names: all.flatMap((e) => e.getAttributeNames()),
    links: all.filter((e) => e.href).map((e) => e.protocol),
  };
})
