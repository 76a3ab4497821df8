// Passkeys (WebAuthn level 3): asks the browser for one, and sends what it answers in the form's field
// `credential`. Only the autofill of the sign-in form fetches anything.
"use strict";

// --- the JSON forms of the standard, which older browsers do not read and write themselves ---
const bytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (character) => character.charCodeAt(0));
const base64url = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
const described = (list) => (list || []).map((each) => ({ ...each, id: bytes(each.id) }));

const requested = (options) => ({
  ...options,
  challenge: bytes(options.challenge),
  allowCredentials: described(options.allowCredentials),
});
const created = (options) => ({
  ...options,
  challenge: bytes(options.challenge),
  user: { ...options.user, id: bytes(options.user.id) },
  excludeCredentials: described(options.excludeCredentials),
});
const answered = (credential) => {
  const { response } = credential;
  const members = { clientDataJSON: base64url(response.clientDataJSON) };
  for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"])
    if (response[name]) members[name] = base64url(response[name]);
  if (response.getTransports) members.transports = response.getTransports();
  return JSON.stringify({
    id: credential.id,
    rawId: base64url(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment || undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: members,
  });
};

// --- a page that asks for a passkey ---
const PROBLEMS = { NotAllowedError: "cancelled", AbortError: "cancelled", InvalidStateError: "known" };
const tell = (name) => {
  for (const each of document.querySelectorAll("[data-problem]")) each.hidden = each.dataset.problem !== name;
};
const ask = async (form) => {
  const button = form.querySelector("[type=submit]");
  tell("");
  button.setAttribute("aria-disabled", "true");
  button.setAttribute("aria-busy", "true");
  try {
    if (!window.PublicKeyCredential) throw new TypeError("no passkeys here");
    const options = JSON.parse(form.dataset.options);
    const credential = form.dataset.passkey === "create"
      ? await navigator.credentials.create({ publicKey: created(options) })
      : await navigator.credentials.get({ publicKey: requested(options) });
    form.elements.credential.value = answered(credential);
    form.submit();
  } catch (error) {
    tell(PROBLEMS[error.name] || "unsupported");
    button.removeAttribute("aria-disabled");
    button.removeAttribute("aria-busy");
  }
};
for (const form of document.querySelectorAll("[data-passkey=get], [data-passkey=create]")) {
  form.addEventListener(
    "submit",
    (event) => {
      // Before the listener of pages.js, which lets a button be pressed once.
      event.preventDefault();
      event.stopImmediatePropagation();
      if (event.submitter && event.submitter.getAttribute("aria-disabled") === "true") return;
      ask(form);
    },
    { capture: true },
  );
  if ("atOnce" in form.dataset) ask(form);
}

// --- the sign-in form: the browser lists the passkey under the field ---
// Cognito's challenge ends after three minutes (AuthSessionValidity, at least).
const FRESH = 150_000;
const MOST = 20;
const offer = async (form, round = 0) => {
  const response = await fetch(form.dataset.from, {
    method: "POST",
    headers: { Accept: "application/json" },
    body: new URLSearchParams(new FormData(form)),
  });
  const { options, step } = response.ok ? await response.json() : {};
  if (!options) return;
  const aging = new AbortController();
  const timer = setTimeout(() => aging.abort(), FRESH);
  try {
    const credential = await navigator.credentials.get({
      publicKey: requested(JSON.parse(options)),
      mediation: "conditional",
      signal: aging.signal,
    });
    form.elements.step.value = step;
    form.elements.credential.value = answered(credential);
    form.submit();
  } catch {
    // Too old, or the person chose nothing; a page in the background waits until it is looked at.
    if (!aging.signal.aborted || round >= MOST) return;
    if (document.visibilityState === "visible") await offer(form, round + 1);
    else document.addEventListener("visibilitychange", () => offer(form, round + 1), { once: true });
  } finally {
    clearTimeout(timer);
  }
};
const quietly = document.querySelector("[data-passkey=autofill]");
if (quietly && window.PublicKeyCredential && PublicKeyCredential.isConditionalMediationAvailable)
  PublicKeyCredential.isConditionalMediationAvailable().then((can) => can && offer(quietly));
