// A button copies what stands beside it; where the browser lets nobody copy, it selects it.

const announcement = document.getElementById("announcement");

for (const button of document.querySelectorAll("[data-copy]")) {
  const words = button.firstChild;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = document.getElementById(button.dataset.copy);
    try {
      await navigator.clipboard.writeText(text.textContent);
      words.textContent = "Copied";
    } catch {
      document.getSelection().selectAllChildren(text);
      words.textContent = "Selected";
    }
    announcement.textContent = button.textContent;
    setTimeout(() => { words.textContent = "Copy"; }, 2000);
  });
}
