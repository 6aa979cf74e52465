// Node.js's tls module as a peer: spec/support/driver.lua tells it what to do, by lines of JSON over a socket; see the end of this file.
//
// A server's secure context is made anew for each connection unless the options name one ("context"), whose ticket keys and kept session ids then live on.
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const net = require("net");
const tls = require("tls");

const sessions = new Map(); // a client's, by the name that the spec gave
const contexts = new Map(); // a server's: { ticketKeys, ids }

const version = (v) => "TLSv" + (v === "1.0" ? "1" : v);

function options(o) {
  const out = { minVersion: version(o.version), maxVersion: version(o.version), ciphers: o.ciphers || "ALL:COMPLEMENTOFALL:@SECLEVEL=0" };
  if (o.chain) Object.assign(out, { cert: fs.readFileSync(o.chain), key: fs.readFileSync(o.key) });
  if (o.ca) out.ca = fs.readFileSync(o.ca);
  if (o.group) out.ecdhCurve = o.group;
  if (o.alpn) out.ALPNProtocols = o.alpn;
  if (o.dh) out.dhparam = "auto";
  if (o.tickets === false) out.secureOptions = crypto.constants.SSL_OP_NO_TICKET;
  return out;
}

function report(stream, o) {
  const peer = stream.getPeerCertificate();
  const cipher = stream.getCipher();
  return {
    version: stream.getProtocol(), cipher: cipher.standardName, reused: stream.isSessionReused(), alpn: stream.alpnProtocol || null,
    peer: (peer && peer.subjectaltname) || null, authorized: stream.authorized,
    exported: stream.exportKeyingMaterial(20, "EXPORTER-spec", Buffer.from("context")).toString("hex"),
  };
}

function client(o, say) {
  const more = { host: "127.0.0.1", port: o.port, servername: o.name || "localhost", rejectUnauthorized: !!o.ca, requestOCSP: !!o.ocsp };
  if (o.session && sessions.has(o.session)) more.session = sessions.get(o.session);
  if (o.psk) {
    more.pskCallback = () => ({ identity: o.psk.identity, psk: Buffer.from(o.psk.key, "hex") });
    more.checkServerIdentity = () => undefined;
  }
  let answered = false, got = "", seen = null, ocsp = null;
  const finish = (answer) => { if (!answered) { answered = true; say(answer); } };
  const stream = tls.connect(Object.assign(options(o), more), () => stream.write("ping from node\n"));
  stream.setNoDelay(true);
  stream.setTimeout(90000, () => stream.destroy(new Error("timeout")));
  stream.on("OCSPResponse", (response) => { ocsp = response && response.length > 0 ? response.toString("hex") : null; });
  stream.on("session", (session) => { if (o.keep) sessions.set(o.keep, session); });
  stream.on("data", (data) => {
    if (!seen) {
      seen = report(stream, o);
      seen.group = stream.getEphemeralKeyInfo().name || null;
      if (o.renegotiate) stream.renegotiate({}, (error) => { if (error) stream.destroy(error); });
    }
    got += data;
  });
  stream.on("end", () => finish(seen ? Object.assign(seen, { got, ocsp }) : { error: "nothing was said" }));
  stream.on("error", (error) => finish({ error: `${error.code}: ${error.message}` }));
  stream.on("close", () => finish({ error: "closed" }));
}

function server(o, say) {
  const known = contexts.get(o.context) || { ticketKeys: crypto.randomBytes(48), ids: new Map() };
  if (o.context) contexts.set(o.context, known);
  const more = { ticketKeys: known.ticketKeys, sessionIdContext: "spec", requestCert: !!o.ca, rejectUnauthorized: !o.optional };
  if (o.psk) more.pskCallback = (_, identity) => identity === o.psk.identity ? Buffer.from(o.psk.key, "hex") : null;
  let answered = false, name = null;
  const finish = (answer) => { if (!answered) { answered = true; listener.close(() => say(answer)); } };
  const listener = tls.createServer(Object.assign(options(o), more), (stream) => {
    let seen = null;
    stream.setNoDelay(true);
    stream.on("data", (data) => {
      const text = data.toString();
      if (o.fragment) stream.setMaxSendFragment(o.fragment);
      stream.write(text.toUpperCase());
      seen = Object.assign(report(stream, o), { name: stream.servername || null });
    });
    stream.on("end", () => finish(seen || { error: "nothing was said" }));
    stream.on("error", (error) => finish({ error: `${error.code}: ${error.message}` }));
  });
  listener.on("newSession", (id, data, done) => { known.ids.set(id.toString("hex"), data); done(); });
  listener.on("resumeSession", (id, done) => done(null, known.ids.get(id.toString("hex")) || null));
  listener.on("OCSPRequest", (_certificate, _issuer, done) => done(null, o.ocsp ? fs.readFileSync(o.ocsp) : null));
  listener.on("tlsClientError", (error) => finish({ error: `${error.code}: ${error.message}` }));
  listener.listen(0, "127.0.0.1", () => say({ port: listener.address().port }));
}

// Which of these names Node's libssl knows.
function suites(o) {
  return o.names.filter((name) => {
    try {
      tls.createSecureContext({ ciphers: name + ":@SECLEVEL=0", maxVersion: "TLSv1.2" });
      return true;
    } catch {
      return false;
    }
  });
}

let unread = "";
const control = net.connect(Number(process.argv[2]), "127.0.0.1");
control.setNoDelay(true);
control.on("data", (data) => {
  const lines = (unread + data).split("\n");
  unread = lines.pop();
  for (const line of lines) {
    const o = JSON.parse(line);
    const say = (answer) => control.write(JSON.stringify(Object.assign(answer, { n: o.n })) + "\n");
    try {
      if (o.action === "suites") say({ names: suites(o) });
      else if (o.action === "client") client(o, say);
      else if (o.action === "server") server(o, say);
    } catch (error) {
      say({ error: String(error) });
    }
  }
});
control.on("close", () => process.exit(0));
