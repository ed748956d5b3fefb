/** A sentence in the language of the page; both stand side by side, as in the templates. */
export const korean = document.documentElement.lang === "ko";
export const t = (ko: string, en: string): string => (korean ? ko : en);
