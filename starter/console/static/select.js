// One tick that ticks all, and how many are ticked. Without scripts, a button of the form means all that are shown.

const forms = () => document.querySelectorAll("form[data-select]");
const rows = (form) => [...form.querySelectorAll('input[name="client"]')];

function update(form) {
  const all = form.querySelector("[data-all]"), boxes = rows(form), chosen = boxes.filter((box) => box.checked).length;
  const announcement = form.querySelector("[data-chosen]"), words = chosen ? `${chosen} of ${boxes.length} chosen` : "";
  all.checked = chosen > 0 && chosen === boxes.length;
  all.indeterminate = chosen > 0 && chosen < boxes.length;
  if (announcement.textContent !== words) announcement.textContent = words;
}

document.documentElement.dataset.selecting = "";
document.addEventListener("change", (event) => {
  const form = event.target.closest?.("form[data-select]");
  if (!form) return;
  if (event.target.matches("[data-all]")) for (const box of rows(form)) box.checked = event.target.checked;
  update(form);
});
for (const part of document.querySelectorAll("[data-part]")) {
  new MutationObserver(() => forms().forEach(update)).observe(part, { childList: true, subtree: true });
}
forms().forEach(update);
