"use strict";
// Filter and sort: removes rows from the page and puts them back in order. Folded registries show only what failed.
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

  const fold = (lane, folded) => {
    lane.classList.toggle("folded", folded);
    lane.querySelector(".fold").setAttribute("aria-expanded", !folded);
  };

  const arrange = () => {
    const wanted = $("find").value.toLowerCase().split(/\s+/).filter(Boolean);
    const shown = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    const key = orders[$("sort").value];
    const places = [];
    let count = 0;
    for (const { lane, list, rows } of lanes) {
      const fitting = rows
        .filter((row) => shown.has(row.dataset.status) && wanted.every((word) => words(row).includes(word)))
        .map((row) => [key(row), orders.number(row), row])
        .sort((one, other) => one[0] - other[0] || one[1] - other[1]);
      list.replaceChildren(...fitting.map(([, , row]) => row)); // fast; hiding thousands of rows takes chromium seconds
      lane.hidden = !fitting.length;
      fold(lane, false);
      places.push([$("sort").value === "number" || !fitting.length ? 0 : fitting[0][0], lane]);
      count += fitting.length;
    }
    $("nothing").before(...places.sort((one, other) => one[0] - other[0]).map(([, lane]) => lane));
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
    if (row.matches(".fine")) fold(row.closest(".lane"), false);
    row.querySelector("details").open = true;
    row.querySelector("summary").focus({ preventScroll: true });
    row.scrollIntoView({ block: "center" });
  };

  // Arrow keys move from row to row.
  const walk = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const row = step && event.target.matches("li > details > summary") && event.target.closest("li");
    if (!row) return;
    const all = [...document.querySelectorAll("li[data-number]")];
    let at = all.indexOf(row) + step;
    while (all[at] && !all[at].checkVisibility()) at += step;
    const next = all[at];
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
  document.addEventListener("click", (event) => {
    const [link, head] = [event.target.closest?.("a"), event.target.closest?.(".lane > header")];
    if (link) link.hash === location.hash && reveal();
    else if (head) fold(head.parentElement, !head.parentElement.matches(".folded"));
  });
  addEventListener("hashchange", reveal);
  addEventListener("beforeprint", () => document.querySelectorAll(".cause details").forEach((each) => (each.open = true)));
  tools.hidden = false;
  // A browser that returns to the page restores the form.
  if ($("find").value || $("sort").value !== "number" || boxes.some((box) => !box.checked)) arrange();
  addEventListener("load", reveal); // not earlier: the browser itself scrolls to the fragment and moves the focus
}
