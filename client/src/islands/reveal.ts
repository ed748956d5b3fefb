/** The reveal: Enter takes the suggested rating, handwriting replays. */
import { mountReplay } from "../ink-replay";
import type { Ink } from "../ink-model";

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.defaultPrevented || event.isComposing || event.metaKey || event.ctrlKey || event.altKey) return;
  if (event.target instanceof HTMLElement && event.target.closest("a, button, summary, input, textarea, select, dialog")) return;
  const suggested = document.querySelector<HTMLButtonElement>("[data-suggested]");
  if (!suggested) return;
  event.preventDefault();
  suggested.click();
});

// An overruled mark draws the page anew, so handwriting is mounted wherever it appears.
function mount(): void {
  for (const place of document.querySelectorAll<HTMLElement>("[data-replay]:empty")) mountReplay(place, JSON.parse(place.dataset["ink"] ?? "null") as Ink);
}
mount();
new MutationObserver(mount).observe(document.body, { childList: true, subtree: true });
