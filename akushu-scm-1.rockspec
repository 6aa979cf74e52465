rockspec_format = "3.0"
package = "akushu"
version = "scm-1"
source = {
  url = "git+file://.",
}
description = {
  summary = "A scriptable TLS stack: TLS 1.2 and 1.3 on libcrypto, every step of the handshake in Lua's hands",
  detailed = [[
akushu speaks TLS as client and server without touching a socket: bytes in, bytes out. Certificates and host names are verified
unless switched off in so many words. Every message, record and secret of a handshake can be seen, changed, dropped or injected
from Lua, which makes it a tool for teaching, testing and research as well as for real connections.]],
  license = "MIT",
}
dependencies = {
  "lua >= 5.4, < 5.5",
}
external_dependencies = {
  OPENSSL = { header = "openssl/evp.h", library = "crypto" },
}
build = {
  type = "builtin",
  modules = {
    ["akushu.core"] = {
      sources = {
        "csrc/base/buf.c",
        "csrc/base/der.c",
        "csrc/base/error.c",
        "csrc/base/secret.c",
        "csrc/handshake/transcript.c",
      },
      incdirs = { "csrc", "$(OPENSSL_INCDIR)" },
      libdirs = { "$(OPENSSL_LIBDIR)" },
      libraries = { "crypto" },
    },
  },
}
test = {
  type = "command",
  command = "make test",
}
