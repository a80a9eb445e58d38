// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// TLS for tests: an authority of the test's own, made by openssl, and nginx in front of a plain server.

#include <cstdint>
#include <cstdlib>
#include <mortise/base/text.hpp>
#include <mortise/sys/file.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <support/service.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>
#include <vector>

namespace support {

/// Skips, and says true, where there is no TLS server to test against.
[[nodiscard]] inline bool missing_tls() { return missing_program("openssl") || missing_program("nginx"); }

/// An authority, the certificate of 127.0.0.1 by it, and that of a client. All files are PEM.
class tls_authority {
 public:
  explicit tls_authority(std::string_view server_name = "IP:127.0.0.1") {
    run(R"(openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj '/CN=test authority' \
             -addext basicConstraints=critical,CA:TRUE -keyout ca.key -out ca.pem)");
    issue("server", mortise::concat("subjectAltName=", server_name));
    issue("client", "extendedKeyUsage=clientAuth");
  }

  [[nodiscard]] std::string authority() const { return place_ / "ca.pem"; }
  [[nodiscard]] std::string certificate() const { return place_ / "server.pem"; }
  [[nodiscard]] std::string key() const { return place_ / "server.key"; }
  [[nodiscard]] std::string client_certificate() const { return place_ / "client.pem"; }
  [[nodiscard]] std::string client_key() const { return place_ / "client.key"; }

 private:
  void issue(const std::string& name, const std::string& extension) {
    run(mortise::concat(
        "openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=test ", name, "' -keyout ", name,
        ".key -out ", name, ".csr && echo '", extension, "' >", name, ".ext && openssl x509 -req -in ", name,
        ".csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 ", "-extfile ", name, ".ext -out ", name, ".pem"));
  }
  void run(const std::string& command) {
    const std::string whole = mortise::concat("cd '", place_.path(), "' && { ", command, "; } >log 2>&1");
    if (std::system(whole.c_str()) != 0) throw std::runtime_error("run " + command);
  }

  temporary_directory place_;
};

/// nginx on a free port of 127.0.0.1 that speaks TLS (HTTP/2 too) and passes requests on to a plain server. That one
/// learns the protocol by X-Protocol, and the client certificate's subject by X-Client.
class tls_front {
 public:
  tls_front(const tls_authority& files, std::uint16_t behind) : port_(free_port()) {
    const std::string config = mortise::concat(
        "daemon off; master_process off; error_log stderr; pid ", place_ / "pid", ";\nevents {}\nhttp {\n",
        "  access_log off; client_body_temp_path ", place_ / "body", "; proxy_temp_path ", place_ / "proxy",
        "; fastcgi_temp_path ", place_ / "fastcgi", "; uwsgi_temp_path ", place_ / "uwsgi", "; scgi_temp_path ",
        place_ / "scgi", ";\n  server {\n    listen 127.0.0.1:", port_, " ssl http2;\n    ssl_certificate ",
        files.certificate(), ";\n    ssl_certificate_key ", files.key(), ";\n    ssl_client_certificate ",
        files.authority(),
        ";\n    ssl_verify_client optional;\n    location / {\n      proxy_pass http://127.0.0.1:", behind,
        ";\n      proxy_buffering off;\n      proxy_redirect off;\n      proxy_set_header Host $http_host;\n",
        "      proxy_set_header X-Protocol $server_protocol;\n",
        "      proxy_set_header X-Client $ssl_client_s_dn;\n    }\n  }\n}\n");
    const auto file = mortise::sys::open(place_ / "config", O_WRONLY | O_CREAT, 0644);
    if (!file.ok() || !mortise::sys::write_all(file->get(), config).ok()) throw std::runtime_error("write config");
    server_.emplace(std::vector<std::string>{"nginx", "-c", place_ / "config"}, port_, place_ / "log");
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url(std::string_view target = "/") const {
    return mortise::concat("https://127.0.0.1:", port_, target);
  }

 private:
  temporary_directory place_;
  std::uint16_t port_;
  std::optional<service> server_;
};

}  // namespace support
