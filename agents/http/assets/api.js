// How the page and the widget speak with the service.

/** What the service says when it does not do what it was asked; `status` 0: it was not reached. */
export class Refused extends Error {
  constructor(message, status, code = "", retryAfter = 0) {
    super(message);
    Object.assign(this, { status, code, retryAfter });
  }
}

export class Api {
  /** `base` is the address of the service, with a slash at its end; `key` may be empty. */
  constructor(base, key = "") {
    this.base = base;
    this.key = key;
  }

  headers(more = {}) {
    return this.key ? { Authorization: `Bearer ${this.key}`, ...more } : more;
  }

  async request(path, { method = "GET", body, signal } = {}) {
    const json = body === undefined ? {} : { "Content-Type": "application/json" };
    let response;
    try {
      response = await fetch(new URL(path, this.base), {
        method, signal, headers: this.headers(json), credentials: "omit", referrerPolicy: "no-referrer",
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused("", 0);
    }
    if (!response.ok) throw await refusal(response);
    return response;
  }

  async json(path, options) {
    const response = await this.request(path, options);
    return response.status === 204 ? null : response.json();
  }

  /** The events of a stream, each as it comes. Leaving the loop closes the connection. */
  async *events(path, body, signal) {
    const response = await this.request(path, { method: "POST", body, signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        const parts = (rest + value).split(/\r?\n\r?\n/);
        rest = parts.pop();
        for (const part of parts) {
          const data = part.split(/\r?\n/).filter((l) => l.startsWith("data:")).map((l) => l.slice(5).trimStart());
          if (!data.length) continue;
          const event = JSON.parse(data.join("\n"));
          if (event.error) throw new Refused(event.error.message, 500, event.error.code);
          yield event;
        }
      }
    } finally {
      reader.cancel().catch(() => {});
    }
  }

  /** Send a file; `progress` is told 0 to 1. `fetch` cannot say how much has been sent. */
  upload(file, progress, signal) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", new URL("v1/files", this.base));
      for (const header of Object.entries(this.headers())) request.setRequestHeader(...header);
      request.upload.onprogress = (event) => event.lengthComputable && progress(event.loaded / event.total);
      request.onload = () => {
        const text = request.responseText;
        if (request.status < 300) resolve(JSON.parse(text));
        else reject(refused(request.status, text, request.getResponseHeader("Retry-After")));
      };
      request.onerror = () => reject(new Refused("", 0));
      request.onabort = () => reject(new DOMException("", "AbortError"));
      signal?.addEventListener("abort", () => request.abort());
      const form = new FormData();
      form.append("purpose", "assistants");
      form.append("file", file, file.name);
      request.send(form);
    });
  }
}

async function refusal(response) {
  const text = await response.text().catch(() => "");
  return refused(response.status, text, response.headers.get("Retry-After"));
}

function refused(status, text, retryAfter) {
  let error = {};
  try {
    error = JSON.parse(text).error ?? {};
  } catch {
    // Not ours: a proxy's page, perhaps. The status has to do.
  }
  return new Refused(error.message ?? "", status, error.code ?? "", Number(retryAfter) || 0);
}
