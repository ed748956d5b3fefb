/** The reveal: Enter takes the suggested rating, a click on a mark shows its words, handwriting replays. */
import { mountReplay } from "../ink-replay";
import type { Ink } from "../ink-model";

for (const button of document.querySelectorAll<HTMLButtonElement>("[data-suggested]")) {
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.defaultPrevented || event.isComposing || event.metaKey || event.ctrlKey || event.altKey) return;
    if (event.target instanceof HTMLElement && event.target.closest("a, button, summary, input, textarea, select, dialog")) return;
    event.preventDefault();
    button.click();
  });
}
for (const place of document.querySelectorAll<HTMLElement>("[data-replay]")) {
  mountReplay(place, JSON.parse(place.dataset["ink"] ?? "null") as Ink);
}
