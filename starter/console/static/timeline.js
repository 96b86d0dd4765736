// Where the drawing is wider than the page, it is shown from a little before today.
for (const region of document.querySelectorAll(".timeline")) {
  const today = region.querySelector(".today");
  if (!today || region.scrollWidth <= region.clientWidth) continue;
  const from = today.getBoundingClientRect().left - region.getBoundingClientRect().left;
  region.scrollLeft += from - region.clientWidth / 3;
}
