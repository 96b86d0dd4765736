// Where the drawing is wider than the page, it is shown from a little before today, and from where a column begins: no
// label is cut on the left.
for (const region of document.querySelectorAll(".timeline")) {
  const today = region.querySelector(".today"), beyond = region.scrollWidth - region.clientWidth;
  if (!today || beyond <= 0) continue;
  const left = region.getBoundingClientRect().left - region.scrollLeft;
  const starts = [...region.querySelectorAll(".column")].map((column) => column.getBoundingClientRect().left - left);
  const most = Math.min(beyond, today.getBoundingClientRect().left - left - region.clientWidth / 3);
  region.scrollLeft = Math.max(0, ...starts.filter((start) => start <= most));
}
