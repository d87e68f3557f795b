// The script of Gatehouse's pages: passkey ceremonies, and forms that are not sent twice.
//
// The markup is a whole page without this script; all words are in the markup. A ceremony is an element
// with `data-ceremony`: `get` asserts a passkey, `create` saves one. It asks `<data-url>/start` for options,
// hands them to the browser and sends what comes back to `<data-url>/finish`.

// A ceremony's state is good for 5 minutes (server side); one that waits is renewed before that.
const RENEW_AFTER_MS = 4 * 60 * 1000;
const REQUEST_TIMEOUT_MS = 20 * 1000;
const OFFER_AGAIN_MS = 30 * 24 * 60 * 60 * 1000;
const OFFERED_KEY = "gatehouse-offered-passkey";
const POLL_MS = 2 * 1000;
const DOUBLE_CLICK_MS = 2 * 1000;

/** The server said no, in a sentence for the person and a word for us. */
class Refusal extends Error {
  constructor(answer) {
    super(answer?.message ?? "");
    this.code = answer?.error;
  }
}

/** The server was not reached. */
class Unreachable extends Error {}

class Ceremony {
  #element;
  #begin;
  #busy = false;
  #waiting = null;

  constructor(element) {
    this.#element = element;
    this.#begin = element.querySelector("[data-begin]");
  }

  async start() {
    this.#begin.disabled = false;
    this.#element.querySelector("[data-unsupported]").hidden = true;
    this.#begin.addEventListener("click", () => this.#run());
    this.#fields.forEach((field) => {
      field.addEventListener("keydown", (event) => event.key === "Enter" && this.#run());
    });
    const fallback = this.#fallback();
    if (fallback?.dataset.fallback === "email") {
      fallback.addEventListener("click", () => openEmail()?.focus());
    }
    // Back from the page that followed: what was under way then is over.
    window.addEventListener("pageshow", (event) => {
      if (event.persisted) {
        this.#release();
        this.#arm();
      }
    });
    if (await this.#isConditional()) {
      document.addEventListener("visibilitychange", () => this.#arm());
      this.#arm();
    }
  }

  /** The button: a dialog of the browser's. */
  async #run() {
    if (this.#busy || this.#fields.some((field) => !field.reportValidity())) {
      return;
    }
    this.#busy = true;
    this.#begin.setAttribute("aria-disabled", "true");
    this.#say("alert", "");
    this.#say("status", this.#words("waiting"));
    try {
      // Browsers allow one request at a time.
      await this.#disarm();
      const { publicKey, state } = await this.#post("start", this.#opening());
      await this.#finish(state, publicKey, await this.#ask(publicKey, {}));
    } catch (error) {
      this.#fail(error);
      this.#arm();
    }
  }

  /** Offers passkeys in the email field's autofill. What goes wrong here nobody asked for, so nobody is told. */
  #arm() {
    if (!this.#conditional || this.#busy || this.#waiting || document.hidden) {
      return;
    }
    const abort = new AbortController();
    const renewal = setTimeout(() => this.#disarm().then(() => this.#arm()), RENEW_AFTER_MS);
    const waiting = { abort };
    waiting.settled = this.#wait(abort.signal).finally(() => {
      clearTimeout(renewal);
      if (this.#waiting === waiting) {
        this.#waiting = null;
      }
    });
    this.#waiting = waiting;
  }

  async #wait(aborted) {
    let answer;
    let credential;
    try {
      answer = await this.#post("start", this.#opening(), aborted);
      credential = await this.#ask(answer.publicKey, { mediation: "conditional", signal: aborted });
    } catch {
      return;
    }
    // The button was pressed in the same moment: its request goes on, this one ends.
    if (aborted.aborted) {
      return;
    }
    this.#busy = true;
    this.#begin.setAttribute("aria-disabled", "true");
    try {
      await this.#finish(answer.state, answer.publicKey, credential);
    } catch (error) {
      this.#fail(error);
    }
  }

  async #disarm() {
    this.#waiting?.abort.abort();
    await this.#waiting?.settled;
  }

  async #finish(state, { rpId }, credential) {
    this.#say("status", this.#words("finishing"));
    const answer = { ...this.#opening(), state, credential, return_to: this.#element.dataset.returnTo };
    const { location: next } = await this.#post("finish", answer).catch(async (error) => {
      // Told on a definite "not ours" alone, so that the browser stops offering what was removed here.
      if (error.code === "unknown_passkey") {
        await signal("signalUnknownCredential", { rpId, credentialId: credential.id });
      }
      throw error;
    });
    const address = new URL(next, location.href);
    if (!/^https?:$/.test(address.protocol)) {
      throw new Error("not a page");
    }
    location.assign(this.#offers(credential) ? placeOffer(address) : address);
  }

  /** Whether to offer a passkey on this device: the one that signed in came from another. */
  #offers(credential) {
    return this.#conditional && credential.authenticatorAttachment === "cross-platform" && !offeredLately();
  }

  #fail(error) {
    this.#release();
    const fallback = this.#fallback();
    this.#say("alert", this.#sentence(error));
    if (fallback) {
      fallback.hidden = false;
      openEmail();
      fallback.focus();
    } else {
      (this.#fields.find((field) => field.type !== "hidden") ?? this.#begin).focus();
    }
  }

  #release() {
    this.#busy = false;
    this.#begin.removeAttribute("aria-disabled");
    this.#say("status", "");
  }

  #sentence(error) {
    if (error instanceof Refusal) {
      return error.message || this.#words("unexpected");
    }
    if (error instanceof Unreachable) {
      return this.#words("network");
    }
    const name = {
      NotAllowedError: "unused",
      AbortError: "unused",
      InvalidStateError: "present",
      SecurityError: "site",
      NotSupportedError: "unable",
      ConstraintError: "unable",
    }[error?.name];
    return this.#words(name) || this.#words("unexpected");
  }

  async #ask(publicKey, options) {
    if (this.#creates) {
      return credentialToJson(await navigator.credentials.create({ publicKey: creationOptions(publicKey), ...options }));
    }
    return credentialToJson(await navigator.credentials.get({ publicKey: requestOptions(publicKey), ...options }));
  }

  #opening() {
    const { invitation = null, on = null } = this.#element.dataset;
    const typed = Object.fromEntries(this.#fields.map((field) => [field.name, field.value]));
    return this.#creates ? { invitation, on } : typed;
  }

  async #post(step, body, signal = AbortSignal.timeout?.(REQUEST_TIMEOUT_MS)) {
    let response;
    let answer;
    try {
      response = await fetch(`${this.#element.dataset.url}/${step}`, {
        method: "POST",
        credentials: "same-origin",
        redirect: "error",
        headers: {
          "Content-Type": "application/json",
          Accept: "application/json",
          "X-Gatehouse-Form": this.#element.dataset.formToken,
        },
        body: JSON.stringify(body),
        signal,
      });
      answer = await response.json().catch(() => null);
    } catch {
      throw new Unreachable();
    }
    if (!response.ok || answer === null) {
      throw new Refusal(answer);
    }
    return answer;
  }

  /** What is sent along. */
  get #fields() {
    return [...this.#element.querySelectorAll("[data-send]")];
  }

  get #creates() {
    return this.#element.dataset.ceremony === "create";
  }

  get #conditional() {
    return "conditional" in this.#element.dataset;
  }

  async #isConditional() {
    return this.#conditional && Boolean(await PublicKeyCredential.isConditionalMediationAvailable?.());
  }

  #fallback() {
    return this.#element.querySelector("[data-fallback]");
  }

  #words(name) {
    return this.#element.querySelector(`template[data-words="${name}"]`)?.content.textContent ?? "";
  }

  #say(where, sentence) {
    this.#element.querySelector(`[data-${where}]`).textContent = sentence;
  }
}

/** The page that offers a passkey on this device, on the way to `next`. */
function placeOffer(next) {
  const offer = new URL("/.gatehouse/enrol", location.href);
  offer.searchParams.set("on", "this-device");
  offer.searchParams.set("return_to", next.pathname + next.search);
  return offer;
}

/** Remembers that it was offered; asking at every sign-in would teach people to click it away. */
function offeredLately() {
  try {
    const last = Number(localStorage.getItem(OFFERED_KEY) ?? 0);
    if (Date.now() - last < OFFER_AGAIN_MS) {
      return true;
    }
    localStorage.setItem(OFFERED_KEY, String(Date.now()));
    return false;
  } catch {
    // Without storage it would be asked every time.
    return true;
  }
}

/** WebAuthn's Signal API, where the browser has it; what it makes of a signal it tells nobody. */
async function signal(name, options) {
  try {
    await PublicKeyCredential[name]?.(options);
  } catch {
    // A password manager that cannot follow changes nothing for the person.
  }
}

/** Keeps the browser's own list of passkeys true: the account page has the complete one. */
async function signalAccount({ rpId, userId, name, displayName, passkeys }) {
  await signal("signalAllAcceptedCredentials", { rpId, userId, allAcceptedCredentialIds: passkeys.split(" ").filter(Boolean) });
  await signal("signalCurrentUserDetails", { rpId, userId, name, displayName });
}

function openEmail() {
  const disclosure = document.querySelector("[data-disclosure]");
  if (disclosure) {
    disclosure.open = true;
  }
  return disclosure?.querySelector("input[type=email]");
}

function creationOptions(json) {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) {
    return PublicKeyCredential.parseCreationOptionsFromJSON(json);
  }
  return {
    ...json,
    challenge: bytes(json.challenge),
    user: { ...json.user, id: bytes(json.user.id) },
    excludeCredentials: (json.excludeCredentials ?? []).map(descriptor),
  };
}

function requestOptions(json) {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) {
    return PublicKeyCredential.parseRequestOptionsFromJSON(json);
  }
  return {
    ...json,
    challenge: bytes(json.challenge),
    allowCredentials: (json.allowCredentials ?? []).map(descriptor),
  };
}

function descriptor(json) {
  return { ...json, id: bytes(json.id) };
}

/** Some password managers answer with objects that lack `toJSON` or throw in it. */
function credentialToJson(credential) {
  try {
    return credential.toJSON();
  } catch {
    const { response } = credential;
    const fields = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
    return {
      id: credential.id,
      rawId: base64url(credential.rawId),
      type: credential.type,
      authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
      clientExtensionResults: credential.getClientExtensionResults?.() ?? {},
      response: {
        ...Object.fromEntries(fields.filter((field) => response[field]).map((field) => [field, base64url(response[field])])),
        transports: response.getTransports?.(),
      },
    };
  }
}

function bytes(text) {
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

function base64url(buffer) {
  const binary = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** A double click would spend a code twice or send two mails. */
function sendOnce(form) {
  let last = -Infinity;
  form.addEventListener("submit", (event) => {
    if (event.timeStamp - last < DOUBLE_CLICK_MS) {
      event.preventDefault();
    } else {
      last = event.timeStamp;
    }
  });
}

function foldEmail(supported) {
  const disclosure = document.querySelector("[data-disclosure]");
  if (disclosure && supported && !("stayOpen" in disclosure.dataset)) {
    disclosure.open = false;
  }
}

/** Shows the ways that this browser has, such as asking a phone nearby. */
async function showCapabilities() {
  const elements = document.querySelectorAll("[data-needs], [data-lacks]");
  const capabilities = elements.length ? await PublicKeyCredential.getClientCapabilities?.() : {};
  elements.forEach((element) => {
    const { needs, lacks } = element.dataset;
    element.hidden = needs ? capabilities?.[needs] !== true : capabilities?.[lacks] === true;
  });
}

/** A button that copies the field beside it. Without script, or where the browser refuses, the text is selected by hand. */
function offerCopy(element) {
  const field = element.querySelector("input");
  const button = element.querySelector("button");
  const status = element.querySelector("[data-copied]");
  if (!navigator.clipboard) {
    return;
  }
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      status.textContent = status.dataset.copied;
    } catch {
      field.focus();
    }
  });
}

/**
 * A page that waits for another device. It is told by server-sent events at `<data-watch>/events`, and asks
 * `<data-watch>/state` where they do not come through.
 */
class Watch {
  #element;
  #end = 0;
  #told = "";

  constructor(element) {
    this.#element = element;
  }

  start() {
    this.#element.querySelector("[data-check]").hidden = true;
    this.#countDown(document.querySelector("[data-seconds]"));
    const source = new EventSource(`${this.#element.dataset.watch}/events`);
    for (const state of ["waiting", "seen", "asked", "approved", "refused", "over", "late"]) {
      source.addEventListener(state, ({ data }) => this.#tell(JSON.parse(data)) && source.close());
    }
    // A broken stream is opened again by the browser; one that is refused is not.
    source.addEventListener("error", () => source.readyState === EventSource.CLOSED && this.#poll());
  }

  #countDown(seconds) {
    this.#end = performance.now() + Number(seconds.textContent) * 1000;
    const beat = setInterval(() => {
      const left = Math.max(0, Math.ceil((this.#end - performance.now()) / 1000));
      seconds.textContent = left;
      if (left === 0) {
        clearInterval(beat);
        this.#say("late");
      }
    }, 1000);
  }

  async #poll() {
    let over = false;
    try {
      const response = await fetch(`${this.#element.dataset.watch}/state`, { headers: { Accept: "application/json" } });
      over = response.ok && this.#tell(await response.json());
    } catch {
      // No connection just now.
    }
    // Once more after the end, to be told of it.
    if (!over && performance.now() < this.#end + 2 * POLL_MS) {
      setTimeout(() => this.#poll(), POLL_MS);
    }
  }

  /** Whether that was the last that will come. */
  #tell({ state, location: next }) {
    if (state !== this.#told) {
      this.#told = state;
      this.#say(state);
    }
    switch (state) {
      case "approved":
        this.#element.querySelector("[data-finish]").requestSubmit();
        return true;
      case "asked":
        location.assign(next);
        return true;
      case "refused":
      case "over":
        location.reload();
        return true;
      case "late":
        return true;
      default:
        return false;
    }
  }

  #say(name) {
    const words = this.#element.querySelector(`template[data-words="${name}"]`)?.content.textContent ?? "";
    this.#element.querySelector("[data-status]").textContent = words;
  }
}

/** New backup codes, shown once: the ways to keep them that this browser has, and nothing left behind. */
class CodeSheet {
  #element;

  constructor(element) {
    this.#element = element;
  }

  start() {
    this.#offer("copy", navigator.clipboard, () => this.#copy());
    this.#offer("download", URL.createObjectURL, () => this.#download());
    this.#offer("print", window.print, () => window.print());
    // Whoever comes back to this page finds no codes on it.
    window.addEventListener("pagehide", () => this.#element.querySelector("[data-sheet]").remove());
  }

  #offer(way, possible, act) {
    const button = this.#element.querySelector(`[data-${way}]`);
    button.hidden = !possible;
    button.addEventListener("click", act);
  }

  async #copy() {
    try {
      await navigator.clipboard.writeText(this.#text());
      this.#say("copied");
    } catch {
      this.#say("failed");
    }
  }

  #download() {
    const file = URL.createObjectURL(new Blob([this.#text()], { type: "text/plain" }));
    const link = document.createElement("a");
    link.href = file;
    link.download = this.#element.dataset.fileName;
    link.click();
    // Some browsers read it a moment later.
    setTimeout(() => URL.revokeObjectURL(file), REQUEST_TIMEOUT_MS);
    this.#say("downloaded");
  }

  #text() {
    const lines = [...this.#element.querySelectorAll("[data-line]")];
    return lines.map((line) => `${line.textContent.trim()}\n`).join("");
  }

  #say(words) {
    const sentence = this.#element.querySelector(`template[data-words="${words}"]`).content.textContent;
    this.#element.querySelector("[data-status]").textContent = sentence;
  }
}

/** What a page's script had sent waits for no page: it is sent from here, and the page it came from is offered. */
class Resuming {
  #form;
  #element = document.querySelector("main");

  constructor(form) {
    this.#form = form;
  }

  start() {
    this.#form.addEventListener("submit", (event) => {
      if (!event.defaultPrevented) {
        event.preventDefault();
        this.#send();
      }
    });
  }

  async #send() {
    this.#buttons(true);
    this.#say("alert", "");
    this.#say("status", this.#words("sending"));
    try {
      // As the form itself would be written.
      const fields = [...new FormData(this.#form)].map(([name, value]) => `${name}=${value}\r\n`);
      const answer = await fetch(this.#form.action, {
        method: "POST",
        credentials: "same-origin",
        redirect: "manual",
        headers: { "Content-Type": "text/plain", "X-Gatehouse-Held": "send" },
        body: fields.join(""),
      });
      if (answer.headers.get("X-Gatehouse-Held") === "not-sent") {
        await this.#refused(answer);
      } else {
        // A redirect is shown without its status.
        const taken = answer.ok || answer.type === "opaqueredirect";
        this.#over(taken ? "status" : "alert", taken ? "sent" : "answered");
      }
    } catch {
      this.#over("alert", "unknown");
    }
  }

  async #refused(answer) {
    const { message, location: next } = await answer.json();
    if (answer.status === 401 && next) {
      location.assign(next);
      return;
    }
    this.#say("status", "");
    this.#say("alert", message);
    this.#buttons(false);
  }

  #over(where, words) {
    this.#say("status", "");
    this.#say(where, this.#words(words));
    document.querySelector("h1").textContent = this.#words(`${words}-heading`);
    document.querySelectorAll("main form, [data-unsent]").forEach((element) => element.remove());
    const back = this.#element.querySelector("[data-back]");
    back.hidden = false;
    back.querySelector("a").focus();
  }

  #buttons(disabled) {
    document.querySelectorAll("main form button").forEach((button) => {
      button.disabled = disabled;
    });
  }

  #words(name) {
    return this.#element.querySelector(`template[data-words="${name}"]`)?.content.textContent ?? "";
  }

  #say(where, sentence) {
    this.#element.querySelector(`[data-${where}]`).textContent = sentence;
  }
}

const supported = Boolean(window.PublicKeyCredential && navigator.credentials?.get);
foldEmail(supported);
document.querySelectorAll("form[data-once]").forEach(sendOnce);
// What such a page says may be over: whoever comes back to it is shown how things are now.
if (document.querySelector("[data-fresh]")) {
  window.addEventListener("pageshow", (event) => event.persisted && location.reload());
}
document.querySelectorAll("form[data-resume]").forEach((form) => new Resuming(form).start());
document.querySelectorAll("[data-code-sheet]").forEach((sheet) => new CodeSheet(sheet).start());
document.querySelectorAll("[data-copy]").forEach(offerCopy);
const ceremony = document.querySelector("[data-ceremony]");
if (supported) {
  showCapabilities();
  const account = document.querySelector("[data-user-id]");
  if (account) {
    signalAccount(account.dataset);
  }
}
if (ceremony && supported) {
  new Ceremony(ceremony).start();
}
const watch = document.querySelector("[data-watch]");
if (watch) {
  new Watch(watch).start();
}
