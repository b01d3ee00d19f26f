"use strict";
for (const maps of document.querySelectorAll(".maps")) {
  const data = JSON.parse(maps.querySelector("script").textContent);
  const area = maps.querySelector(".scroll");
  const said = maps.querySelector("output");
  const inputs = [...maps.querySelectorAll(":scope > input")];
  let row = 0, column = 0;
  const say = () => {
    const view = inputs.findIndex((input) => input.checked);
    const percent = (data.views[view][row][column] / 10).toFixed(1);
    said.textContent = `${data.rows[row]} ← ${data.columns[column]}: ${percent} %`;
  };
  const at = (value, count) => Math.max(0, Math.min(count - 1, value));
  area.addEventListener("pointermove", (event) => {
    if (event.target.tagName !== "IMG") return;
    row = at(Math.floor((event.offsetY / event.target.offsetHeight) * data.rows.length), data.rows.length);
    column = at(Math.floor((event.offsetX / event.target.offsetWidth) * data.columns.length), data.columns.length);
    say();
  });
  area.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    row = at(row + step[0], data.rows.length);
    column = at(column + step[1], data.columns.length);
    say();
  });
  inputs.forEach((input) => input.addEventListener("change", say));
}
