// What is confirmed is what was previewed: while a preview is on its way, nothing can be confirmed.

const form = document.querySelector("form[data-filter]");

form?.addEventListener("input", () => {
  for (const button of document.querySelectorAll("[data-confirm] button")) button.disabled = true; // the preview that comes lets it
});
