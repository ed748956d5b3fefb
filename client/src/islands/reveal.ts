/** The reveal: Enter takes the suggested rating, marks are overruled in place, handwriting replays. */
import { mountReplay } from "../ink-replay";
import type { Ink } from "../ink-model";
import { redraw, send, warn } from "../redraw";
import { keepSelection, selectedWords, takeSelection } from "../selection";
import { t } from "../words";

document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.defaultPrevented || event.isComposing || event.metaKey || event.ctrlKey || event.altKey) return;
  if (event.target instanceof HTMLElement && event.target.closest("a, button, summary, input, textarea, select, dialog")) return;
  const suggested = document.querySelector<HTMLButtonElement>("[data-suggested]");
  if (!suggested) return;
  event.preventDefault();
  suggested.click();
});

// ---- overruling -------------------------------------------------------------------------------------------------
// Marks may be pressed faster than the server answers: they are sent one after the other, in the order of the presses,
// and the page is drawn anew when the last one has arrived.
let sending: Promise<void> = Promise.resolve();
let open = 0;
document.addEventListener("submit", (event) => {
  const form = event.target as HTMLFormElement;
  const pressed = event.submitter;
  if (!form.matches(".marks") || !(pressed instanceof HTMLButtonElement)) return;
  event.preventDefault();
  for (const button of form.querySelectorAll("button")) button.ariaPressed = String(button === pressed);
  const body = new URLSearchParams([...new FormData(form, pressed)] as [string, string][]);
  const words = takeSelection();
  if (words) {
    body.set("start", String(words.start));
    body.set("end", String(words.end));
  }
  open += 1;
  document.querySelector("#main")!.setAttribute("aria-busy", "true");
  sending = sending.then(() => overrule(form.action, body));
});
async function overrule(action: string, body: URLSearchParams): Promise<void> {
  const fresh = await send(action, body);
  open -= 1;
  if (open > 0) return;
  if (!fresh) {
    document.querySelector("#main")!.removeAttribute("aria-busy");
    warn(t("서버에 닿지 않아 표시를 저장하지 못했습니다. 서버를 켜고 다시 눌러 주세요.", "The server cannot be reached, so the mark is not kept. Start it and press again."), document.querySelector("#points")!);
    return;
  }
  redraw(fresh);
  mount();
}

// ---- selected words ---------------------------------------------------------------------------------------------
keepSelection(".marks button");
document.addEventListener("selectionchange", () => {
  const place = document.querySelector("#picked");
  if (!place) return;
  const words = selectedWords()?.text.trim().replace(/\s+/g, " ") ?? "";
  const shown = words.length > 60 ? `${words.slice(0, 40)} … ${words.slice(-15)}` : words;
  place.textContent = words && t(`고른 말: “${shown}” 이제 요점의 표시를 누르세요.`, `Selected: “${shown}” Now press the mark of a point.`);
});

// ---- handwriting ------------------------------------------------------------------------------------------------
function mount(): void {
  for (const place of document.querySelectorAll<HTMLElement>("[data-replay]:empty")) mountReplay(place, JSON.parse(place.dataset["ink"] ?? "null") as Ink);
}
mount();
