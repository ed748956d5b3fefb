/** A page that the server drew anew, put in the place of this one: what was unfolded and where the focus was stay. */
export async function send(action: string, body: URLSearchParams): Promise<Element | null> {
  try {
    const response = await fetch(action, { method: "POST", body });
    return new DOMParser().parseFromString(await response.text(), "text/html").querySelector("#main");
  } catch {
    return null; // the server is away
  }
}

export function redraw(fresh: Element): void {
  const main = document.querySelector("#main")!;
  const unfolded = [...main.querySelectorAll("details")].map((details) => details.open);
  for (const [place, details] of fresh.querySelectorAll("details").entries()) details.open = unfolded[place] ?? details.open;
  const focused = document.activeElement?.id;
  main.replaceWith(document.adoptNode(fresh));
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

export function warn(sentence: string, place: Element): void {
  place.append(Object.assign(document.createElement("p"), { className: "warn", role: "alert", textContent: sentence }));
}
