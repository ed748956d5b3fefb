/** On every page: keys, the help sheet, formulas, and answers that still wait to be handed in. */
import "htmx.org";
import { dequeue, dropDraft, outbox, takeLastWords } from "../drafts";
import { Refused, send, token } from "../request";

/** The service worker's cache. */
const PAGES = "viva-1";

// ---- formulas ---------------------------------------------------------------------------------------------------
async function setFormulas(root: ParentNode): Promise<void> {
  const spans = [...root.querySelectorAll<HTMLElement>(".math:not([data-set])")];
  if (spans.length === 0) return;
  // Marked before the wait, so that a second pass over the same page does not set a formula twice.
  for (const span of spans) span.dataset["set"] = "1";
  const address = new URL("./katex.js", import.meta.url).href;
  const { default: katex } = (await import(address)) as typeof import("katex");
  for (const span of spans) {
    const tex = span.textContent ?? "";
    katex.render(tex, span, { displayMode: span.dataset["display"] === "true", throwOnError: false, trust: false, output: "htmlAndMathml" });
  }
}

// ---- keys -------------------------------------------------------------------------------------------------------
const typing = (target: EventTarget | null): boolean =>
  target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
let prefix = "";

function press(key: string): boolean {
  const target = document.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]:not(:disabled)`);
  if (!target) return false;
  target.click();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.metaKey || event.ctrlKey || event.altKey) return;
  const help = document.querySelector<HTMLDialogElement>("#keys");
  if (typing(event.target)) return;
  if (event.key === "?" && help) {
    help.open ? help.close() : help.showModal();
    event.preventDefault();
    return;
  }
  if (help?.open) return;
  if (event.key === "/") {
    const search = document.querySelector<HTMLInputElement>('input[type="search"]');
    if (search) {
      search.focus();
      event.preventDefault();
    }
    return;
  }
  // Enter on a link or button is that element's own.
  if (event.key === "Enter" && event.target instanceof HTMLElement && event.target.closest("a, button, summary")) return;
  const pressed = prefix ? `${prefix} ${event.key}` : event.key;
  prefix = "";
  if (press(pressed)) event.preventDefault();
  else if (event.key === "g") {
    prefix = "g";
    setTimeout(() => (prefix = ""), 1500);
  }
});

document.addEventListener("click", (event) => {
  if ((event.target as Element).closest("[data-print]")) window.print();
});

// ---- answers that wait ------------------------------------------------------------------------------------------
async function emptyOutbox(): Promise<void> {
  const asked = document.querySelector<HTMLElement>("#answer")?.dataset;
  for (const answer of await outbox()) {
    // The page of the question itself takes its answer up again: see answer.ts.
    if (asked && answer.question === asked["question"] && answer.session === asked["session"]) continue;
    try {
      await send("POST", "/api/attempts", answer);
    } catch (error) {
      if (!(error instanceof Refused) || error.status >= 500 || error.status === 403) return;
      // Refused for good: it stays a draft, where the learner can see it, and leaves the outbox.
      console.error("An answer was refused:", error.message);
      await dequeue(answer.attempt);
      continue;
    }
    await dequeue(answer.attempt);
    for (const key of [`${answer.question}/ko`, `${answer.question}/en`]) {
      takeLastWords(key);
      await dropDraft(key);
    }
  }
}

// ---- names of keys -----------------------------------------------------------------------------------------------
if (!/Mac|iPhone|iPad/.test(navigator.platform)) {
  for (const key of document.querySelectorAll("kbd")) {
    key.textContent = (key.textContent ?? "").replace("⌘↵", "Ctrl ↵").replace("⌥", "Alt ");
  }
}

// ---- start ------------------------------------------------------------------------------------------------------
void setFormulas(document);
document.addEventListener("htmx:before:request", (event) => {
  const request = (event as CustomEvent).detail?.ctx?.request as { headers?: Record<string, string> } | undefined;
  if (request?.headers) request.headers["X-CSRF-Token"] = token();
});
new MutationObserver((changes) => {
  for (const change of changes)
    for (const node of change.addedNodes) if (node instanceof HTMLElement && (node.matches(".math") || node.querySelector(".math"))) void setFormulas(node.parentElement ?? node);
}).observe(document.body, { childList: true, subtree: true });
void emptyOutbox();
window.addEventListener("online", () => void emptyOutbox());
if ("serviceWorker" in navigator && window.isSecureContext) {
  const late = !navigator.serviceWorker.controller;
  void navigator.serviceWorker.register("/service-worker.js");
  // On the very first visit the question was fetched before the worker could keep it.
  if (late && document.querySelector("#answer"))
    void navigator.serviceWorker.ready.then(() => caches.open(PAGES)).then((cache) => cache.add(location.pathname));
}
