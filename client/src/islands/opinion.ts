/** Asking a judge: the page says that it is being asked and counts the seconds, and the button cannot be pressed again. */
import { redraw, send, warn } from "../redraw";
import { t } from "../words";

let since = 0;

document.addEventListener("submit", (event) => {
  const form = event.target as HTMLFormElement;
  // Saving the settings asks nobody.
  if (!form.matches("[data-opinion]") || (event.submitter as HTMLButtonElement | null)?.value === "save") return;
  event.preventDefault();
  if (since) return;
  since = Date.now();
  tick();
  const ticking = setInterval(tick, 1000);
  void send(form.getAttribute("action")!, new URLSearchParams([...new FormData(form, event.submitter)] as [string, string][])).then((fresh) => {
    clearInterval(ticking);
    since = 0;
    if (fresh) return redraw(fresh);
    for (const waiting of document.querySelectorAll<HTMLFormElement>("[data-opinion]")) {
      show(waiting, "", "", false);
      warn(t("서버에 닿지 않아 묻지 못했습니다. 서버를 켜고 다시 눌러 주세요.", "The server cannot be reached, so nobody was asked. Start it and press again."), waiting);
    }
  });
});

/** A mark may have drawn the page anew in the meantime, so everything is looked up each time. */
function tick(): void {
  const passed = Math.round((Date.now() - since) / 1000);
  const seconds = t(`${passed}초`, `${passed} s`);
  for (const form of document.querySelectorAll<HTMLFormElement>("[data-opinion]")) show(form, form.querySelector<HTMLElement>("[data-asking]")!.dataset["asking"]!, seconds, true);
}

function show(form: HTMLFormElement, sentence: string, seconds: string, busy: boolean): void {
  form.ariaBusy = String(busy);
  // Not `disabled`, which would lose the focus.
  for (const button of form.querySelectorAll("button")) button.ariaDisabled = String(busy);
  const said = form.querySelector<HTMLElement>("[data-asking]")!;
  // Written once, so that a screen reader says it once; the seconds are for the eye.
  if (said.textContent !== sentence) said.textContent = sentence;
  form.querySelector("[data-seconds]")!.textContent = seconds;
}
