"""Python's ssl module as a peer: spec/support/driver.lua tells it what to do. See main() for what it knows.

A context is made anew for each connection unless the options name one ("context"): Python keeps a server's sessions, and takes a client's session back,
only in the context that it came from.
"""
import json
import socket
import ssl
import sys

VERSIONS = {"1.0": ssl.TLSVersion.TLSv1, "1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
contexts = {}
sessions = {}


def make_context(o, side):
    context = ssl.SSLContext(side)
    context.minimum_version = context.maximum_version = VERSIONS[o["version"]]
    context.set_ciphers(o.get("ciphers", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"))
    if "group" in o:
        context.set_ecdh_curve(o["group"])
    if "chain" in o:
        context.load_cert_chain(o["chain"], o["key"])
    if "dh" in o:
        context.load_dh_params(o["dh"])
    if "ca" in o:
        context.load_verify_locations(o["ca"])
        context.verify_mode = ssl.CERT_REQUIRED
    elif side == ssl.PROTOCOL_TLS_CLIENT:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if o.get("request") == "optional":
        context.verify_mode = ssl.CERT_OPTIONAL
    if "alpn" in o:
        context.set_alpn_protocols(o["alpn"])
    if o.get("tickets") is False:
        context.options |= ssl.OP_NO_TICKET
        if side == ssl.PROTOCOL_TLS_SERVER:
            context.num_tickets = 0
    context.post_handshake_auth = o.get("post_handshake_auth", False)
    return context


def context_of(o, side):
    name = o.get("context")
    context = contexts.get(name) or make_context(o, side)
    if name:
        contexts[name] = context
    return context


def name_of(certificate):
    """What the peer's certificate is for: its first DNS name. None: it showed none."""
    for kind, name in (certificate or {}).get("subjectAltName", ()):
        if kind == "DNS":
            return name
    return None


def report(stream, o):
    return {
        "version": stream.version(), "cipher": stream.cipher()[0], "reused": stream.session_reused, "alpn": stream.selected_alpn_protocol(),
        "peer": name_of(stream.getpeercert()) if "ca" in o else None,
    }


def line_of(stream):
    data = b""
    while not data.endswith(b"\n"):
        more = stream.recv(4096)
        if not more:
            break
        data += more
    return data


def client(o):
    context = context_of(o, ssl.PROTOCOL_TLS_CLIENT)
    with socket.create_connection(("127.0.0.1", o["port"])) as raw:
        raw.settimeout(90)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(raw, server_hostname=o.get("name", "localhost"), suppress_ragged_eofs=False, session=sessions.get(o.get("session"))) as stream:
            stream.sendall(b"ping from python\n" * o.get("lines", 1))
            got = b""
            while data := stream.recv(65536):  # until close_notify: a ragged end raises
                got += data
            answer = report(stream, o)
            answer["got"] = got.decode()
            answer["binding"] = (stream.get_channel_binding("tls-unique") or b"").hex()
            if "keep" in o:
                sessions[o["keep"]] = stream.session
                answer["has_ticket"] = stream.session.has_ticket
            return answer


def server(o, say):
    names = []
    context = context_of(o, ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = lambda stream, name, _: names.append(name)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(90)
        say({"port": listener.getsockname()[1]})
        raw, _ = listener.accept()
    with raw:
        raw.settimeout(90)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with context.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False) as stream:
            while data := line_of(stream):  # upper case for each line, until close_notify
                if data == b"authenticate\n":
                    stream.verify_client_post_handshake()
                stream.sendall(data.upper())
            answer = report(stream, o)
            answer["name"] = names[0] if names else None
            answer["binding"] = (stream.get_channel_binding("tls-unique") or b"").hex()
            stream.unwrap()
            return answer


def main():
    control = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
    lines = control.makefile("r")

    def say(answer):
        answer["n"] = o["n"]
        control.sendall((json.dumps(answer) + "\n").encode())

    for line in lines:
        o = json.loads(line)
        try:
            if o["action"] == "suites":
                found = make_context({"version": "1.2"}, ssl.PROTOCOL_TLS_CLIENT).get_ciphers()
                say({"suites": [{"id": c["id"] & 0xFFFF, "name": c["name"], "version": c["protocol"]} for c in found]})
            elif o["action"] == "client":
                say(client(o))
            elif o["action"] == "server":
                say(server(o, say))
        except Exception as error:  # whatever it is, the spec wants to hear it
            say({"error": "%s: %s" % (type(error).__name__, error)})


main()
