"use strict";
// Filter and sort: removes rows from the page and puts them back in order.
const $ = (id) => document.getElementById(id);
const tools = $("tools");
if (tools) {
  const lanes = [...document.querySelectorAll(".lane")].map((lane) => ({
    lane,
    list: lane.querySelector("ol"),
    rows: [...lane.querySelectorAll("ol > li[data-number]")],
  }));
  const rows = new Map(lanes.flatMap((lane) => lane.rows).map((row) => [`#${row.id}`, row]));
  const boxes = [...tools.querySelectorAll("[name=status]")];
  const statuses = boxes.map((box) => box.value); // failed first
  const texts = new Map();

  const words = (row) => {
    if (!texts.has(row)) texts.set(row, row.textContent.toLowerCase());
    return texts.get(row);
  };

  const orders = {
    number: (row) => Number(row.dataset.number),
    start: (row) => Number(row.dataset.start),
    seconds: (row) => -Number(row.dataset.seconds),
    bytes: (row) => -Number(row.dataset.bytes),
    status: (row) => statuses.indexOf(row.dataset.status),
  };

  const arrange = () => {
    const wanted = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const key = orders[$("sort").value];
    let count = 0;
    for (const { lane, list, rows } of lanes) {
      const fitting = rows
        .filter((row) => shown.has(row.dataset.status) && wanted.every((word) => words(row).includes(word)))
        .map((row) => [key(row), orders.number(row), row])
        .sort((one, other) => one[0] - other[0] || one[1] - other[1])
        .map(([, , row]) => row);
      list.replaceChildren(...fitting); // fast; hiding thousands of rows takes chromium seconds
      lane.hidden = !fitting.length;
      count += fitting.length;
    }
    $("shown").textContent = count === rows.size ? `${count} images` : `${count} of ${rows.size} images`;
    $("nothing").hidden = count > 0;
  };

  const reset = () => {
    $("find").value = "";
    for (const box of boxes) box.checked = true;
    arrange();
  };

  // Show the row that a link names, even if it is filtered out or folded.
  const reveal = () => {
    const row = rows.get(location.hash);
    if (!row) return;
    if (!row.isConnected) reset();
    row.closest(".lane").open = true;
    row.querySelector("details").open = true;
    row.querySelector("summary").focus({ preventScroll: true });
    row.scrollIntoView({ block: "center" });
  };

  // Arrow keys move from row to row.
  const walk = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = step && event.target.matches("li > details > summary") && event.target.closest("li");
    if (!row) return;
    const seen = [...document.querySelectorAll(".lane[open] ol > li[data-number]")];
    const next = seen[seen.indexOf(row) + step];
    if (next) {
      event.preventDefault();
      next.querySelector("summary").focus();
    }
  };

  tools.addEventListener("input", arrange);
  tools.addEventListener("submit", (event) => event.preventDefault());
  tools.addEventListener("keydown", (event) => event.key === "Escape" && reset());
  $("reset").addEventListener("click", reset);
  $("waterfall").addEventListener("keydown", walk);
  document.addEventListener("click", (event) => event.target.closest?.(".names a")?.hash === location.hash && reveal());
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => document.querySelectorAll(".lane, .cause details").forEach((each) => (each.open = true)));
  tools.hidden = false;
  // A browser that returns to the page restores the form.
  if ($("find").value || $("sort").value !== "number" || boxes.some((box) => !box.checked)) arrange();
  addEventListener("load", reveal); // not earlier: the browser itself scrolls to the fragment and moves the focus
}
