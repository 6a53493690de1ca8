"use strict";
// Filter and sort. All rows are in the page already: this only hides them and puts them in order.
const $ = (id) => document.getElementById(id);
const tools = $("tools");
if (tools) {
  const lanes = [...document.querySelectorAll(".lane")].map((lane) => ({
    lane,
    list: lane.querySelector("ol"),
    rows: [...lane.querySelectorAll("ol > li[data-number]")],
  }));
  const rows = lanes.flatMap((lane) => lane.rows);
  const boxes = [...tools.elements.status instanceof RadioNodeList ? tools.elements.status : [tools.elements.status]];
  const status = Object.fromEntries(["failed", "cancelled", "pulled", "up_to_date", "present"].map((word, at) => [word, at]));
  const texts = new Map();

  const words = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };

  const filter = () => {
    const wanted = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    let count = 0;
    for (const { lane, rows } of lanes) {
      let here = 0;
      for (const row of rows) {
        const fits = shown.has(row.dataset.status) && wanted.every((word) => words(row).includes(word));
        row.hidden = !fits;
        here += fits;
      }
      lane.hidden = !here;
      count += here;
    }
    $("shown").textContent = count === rows.length ? `${count} images` : `${count} of ${rows.length} images`;
    $("nothing").hidden = count > 0;
  };

  const orders = {
    number: (row) => Number(row.dataset.number),
    start: (row) => Number(row.dataset.start),
    seconds: (row) => -Number(row.dataset.seconds),
    bytes: (row) => -Number(row.dataset.bytes),
    status: (row) => status[row.dataset.status],
  };

  const sort = () => {
    const key = orders[$("sort").value];
    for (const { list, rows } of lanes) {
      const keyed = rows.map((row) => [key(row), orders.number(row), row]);
      keyed.sort((one, other) => one[0] - other[0] || one[1] - other[1]);
      list.replaceChildren(...keyed.map(([, , row]) => row));
    }
  };

  const reset = () => {
    $("find").value = "";
    for (const box of boxes) box.checked = true;
    filter();
  };

  // A link from a cause leads to its row, whatever hides it.
  const reveal = () => {
    const row = /^#image-\d+$/.test(location.hash) && document.querySelector(location.hash);
    if (!row) return;
    if (row.hidden) reset();
    row.closest(".lane").open = true;
    row.querySelector("details").open = true;
    row.querySelector("summary").focus({ preventScroll: true });
    row.scrollIntoView({ block: "center" });
  };

  // Arrow keys go from row to row.
  const walk = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = step && event.target.matches("li > details > summary") && event.target.closest("li");
    if (!row) return;
    const seen = [...document.querySelectorAll(".lane[open] ol > li:not([hidden])")];
    const next = seen[seen.indexOf(row) + step];
    if (next) {
      event.preventDefault();
      next.querySelector("summary").focus();
    }
  };

  tools.addEventListener("input", (event) => (event.target.id === "sort" ? sort() : filter()));
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.addEventListener("keydown", (event) => event.key === "Escape" && reset());
  $("reset").addEventListener("click", reset);
  $("waterfall").addEventListener("keydown", walk);
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => document.querySelectorAll(".lane, .cause details").forEach((each) => (each.open = true)));
  tools.hidden = false;
  filter(); // a browser that goes back restores what was typed
  sort();
  reveal();
}
