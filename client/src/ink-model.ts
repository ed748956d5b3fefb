/** Handwriting as data: pages of strokes, a stroke being points of x, y (CSS pixels), t (ms) and pressure (0..1). */
export type InkPoint = [x: number, y: number, t: number, pressure: number];
export interface Stroke {
  tool: "pen";
  points: InkPoint[];
}
export interface Ink {
  device: "pen" | "touch" | "mouse";
  width: number;
  height: number;
  pages: Stroke[][];
}
export const isEmpty = (ink: Ink | null): boolean => !ink || ink.pages.every((page) => page.length === 0);
