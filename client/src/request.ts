/** JSON requests to the app itself, with the token that writing needs. */
export class Refused extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

export const token = (): string => document.querySelector<HTMLMetaElement>('meta[name="csrf"]')?.content ?? "";

export async function send<T>(method: "POST" | "PUT", path: string, body: unknown, keepalive = false): Promise<T> {
  const response = await fetch(path, {
    method,
    keepalive,
    headers: { "content-type": "application/json", accept: "application/json", "x-csrf-token": token() },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  let data: unknown = null;
  try {
    data = text ? JSON.parse(text) : null;
  } catch {
    // A proxy or a dying server may answer with something else; the status says enough.
  }
  if (!response.ok) {
    const sentence = (data as { error?: string } | null)?.error;
    throw new Refused(response.status, sentence ?? `${response.status} ${response.statusText}`);
  }
  return data as T;
}
