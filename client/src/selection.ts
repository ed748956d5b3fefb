/** The words that are selected in the learner's own answer, as places in the answer's text. */

/** `start` and `end` count UTF-16 units of the answer as it was handed in. */
export interface Words {
  start: number;
  end: number;
  text: string;
}

const ownWords = (): HTMLElement | null => document.querySelector("#own-words");

/** The selected part of the answer; null where nothing of it is selected. */
export function selectedWords(): Words | null {
  const own = ownWords();
  const selection = getSelection();
  if (!own || !selection || selection.isCollapsed || selection.rangeCount === 0) return null;
  const { startContainer, startOffset, endContainer, endOffset } = selection.getRangeAt(0);
  const from = own.contains(startContainer);
  const to = own.contains(endContainer);
  if (!from && !to) return null; // the whole page is selected, or something else on it
  const start = from ? placeOf(own, startContainer, startOffset) : 0;
  const end = to ? placeOf(own, endContainer, endOffset) : placeOf(own, own, own.childNodes.length);
  return start < end ? { start, end, text: selection.toString() } : null;
}

/** Where a point of the page stands in the answer: its paragraphs say where they begin, and a `<br>` is a line break. */
function placeOf(own: HTMLElement, node: Node, offset: number): number {
  let place = 0;
  for (const paragraph of own.querySelectorAll<HTMLElement>("[data-at]")) {
    const range = document.createRange();
    range.selectNodeContents(paragraph);
    const side = range.comparePoint(node, offset);
    if (side < 0) break;
    if (side === 0) range.setEnd(node, offset);
    const before = range.cloneContents();
    place = Number(paragraph.dataset["at"]) + (before.textContent ?? "").length + before.querySelectorAll("br").length;
    if (side === 0) break;
  }
  return place;
}

// ---- pressing a button loses the selection ------------------------------------------------------------------------
let held: Words | null = null;

/** Remembers what is selected when a pointer comes down on one of `buttons`: a tap clears the selection before it clicks. */
export function keepSelection(buttons: string): void {
  document.addEventListener("pointerdown", (event) => (held = (event.target as Element).closest(buttons) ? selectedWords() : null), true);
}

/** What is selected now, or was when the button was pressed; counts once. */
export function takeSelection(): Words | null {
  const words = selectedWords() ?? held;
  held = null;
  getSelection()?.removeAllRanges();
  return words;
}

// ---- selecting with the keyboard ----------------------------------------------------------------------------------
// A text that cannot be edited has no cursor, so that arrows go from word to word, and with Shift take one more.
document.addEventListener("keydown", (event) => {
  const own = ownWords();
  if (!own || event.target !== own || event.isComposing || event.metaKey || event.ctrlKey || event.altKey) return;
  if (event.key !== "ArrowRight" && event.key !== "ArrowLeft") return;
  event.preventDefault();
  const forward = event.key === "ArrowRight";
  const selection = getSelection()!;
  const begun = own.contains(selection.focusNode);
  if (!begun) selection.selectAllChildren(own);
  if (!begun || (!event.shiftKey && !selection.isCollapsed)) {
    // From where one stands; where nothing is selected yet, from the end that the arrow comes from.
    if (forward === begun) selection.collapseToEnd();
    else selection.collapseToStart();
  }
  const { anchorNode, anchorOffset, focusNode, focusOffset } = selection;
  selection.modify("extend", forward ? "forward" : "backward", "word");
  if (!own.contains(selection.focusNode)) selection.setBaseAndExtent(anchorNode!, anchorOffset, focusNode!, focusOffset);
});
