// The theme is chosen in place: what was typed on the page stays.

document.querySelector("form.themes")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.currentTarget, chosen = event.submitter;
  const body = new URLSearchParams([...new FormData(form), [chosen.name, chosen.value]]);
  try {
    const asked = { method: "POST", headers: { Accept: "text/html" }, body, redirect: "manual" };
    const answer = await fetch(form.action, asked); // it leads back to this page, which is here already
    if (answer.type !== "opaqueredirect") throw new Error(`answered with ${answer.status}`);
  } catch {
    return; // nothing was chosen, and the button says so
  }
  document.documentElement.dataset.theme = chosen.value;
  for (const button of form.querySelectorAll("button")) button.toggleAttribute("aria-pressed", false);
  chosen.setAttribute("aria-pressed", "true");
});
