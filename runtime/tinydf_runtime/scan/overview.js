"use strict";
const table = document.querySelector("table");
const body = table.tBodies[0];
const heads = [...table.tHead.rows[0].cells];
const boxes = [...document.querySelectorAll(".filters input[type=checkbox]")];
const search = document.getElementById("name");
const shown = document.getElementById("shown");
const key = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent;

function sort(column) {
  const head = heads[column];
  const numeric = head.classList.contains("n");
  const up = head.getAttribute("aria-sort") === "descending" || (!numeric && !head.hasAttribute("aria-sort"));
  heads.forEach((one) => one.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", up ? "ascending" : "descending");
  const order = (a, b) => {
    const [left, right] = [key(a, column), key(b, column)];
    // What has no number comes last either way.
    if (numeric && (left === "" || right === "")) return (left === "") - (right === "");
    const difference = numeric ? left - right : left.localeCompare(right);
    return up ? difference : -difference;
  };
  body.append(...[...body.rows].sort(order));
}

function filter() {
  const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
  const text = search.value.toLowerCase();
  let count = 0;
  for (const row of body.rows) {
    const visible = wanted.has(row.dataset.verdict) && row.cells[0].textContent.toLowerCase().includes(text);
    row.hidden = !visible;
    count += visible;
  }
  shown.textContent = count + " shown";
}

heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => sort(column)));
[...boxes, search].forEach((input) => input.addEventListener("input", filter));
document.querySelector(".filters").hidden = false;
filter();
