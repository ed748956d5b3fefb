/** Folding and unfolding the outline, as a whole and one by one; what is unfolded is fetched then. */
declare const htmx: { trigger(element: Element, name: string): void } | undefined;

document.addEventListener(
  "toggle",
  (event) => {
    const details = event.target as HTMLDetailsElement;
    if (!details.open || !details.matches("details.q")) return;
    const brief = details.querySelector(".brief");
    if (brief && !brief.hasAttribute("data-filled")) {
      brief.setAttribute("data-filled", "");
      brief.dispatchEvent(new Event("unfold"));
    }
  },
  true, // toggle does not bubble
);

document.addEventListener("click", (event) => {
  const button = (event.target as Element).closest<HTMLButtonElement>("[data-fold-all]");
  if (!button) return;
  const topics = [...document.querySelectorAll<HTMLDetailsElement>("details.topic")];
  const questions = [...document.querySelectorAll<HTMLDetailsElement>("details.q")];
  // Fully folded, then topics open, then everything open: the third press folds again.
  const open = topics.every((topic) => topic.open) && questions.every((question) => question.open);
  for (const details of [...topics, ...questions]) details.open = !open;
  const words = button.dataset["words"] ?? "";
  button.dataset["words"] = button.textContent ?? "";
  button.textContent = words;
});

if (location.hash.startsWith("#topic-") || location.hash.startsWith("#q-")) {
  const target = document.querySelector<HTMLDetailsElement>(location.hash);
  for (let details = target; details; details = details.parentElement?.closest("details") ?? null) details.open = true;
  target?.scrollIntoView();
}
