// Shadows are closed for the page; for the test they are opened.
Element.prototype.attachShadow = new Proxy(Element.prototype.attachShadow, {
  apply: (attach, host, [options]) => Reflect.apply(attach, host, [{ ...options, mode: "open" }]) });
