// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Debian's docker-registry and nginx on this machine, with images in them.

#include <image/layout_builder.hpp>
#include <image/registry/fake_registry.hpp>
#include <mortise/base/text.hpp>
#include <string>
#include <string_view>
#include <support/script.hpp>
#include <support/service.hpp>
#include <support/skip.hpp>
#include <support/temporary.hpp>

namespace support {

[[nodiscard]] inline bool missing_registry() { return missing_program("docker-registry") || missing_program("skopeo"); }

/// docker-registry with storage of its own. `more` is YAML: further sections of its configuration; `http` further
/// members of the section http.
class real_registry {
 public:
  explicit real_registry(std::string_view more = {}, std::string_view http = {})
      : port_(free_port()), server_(start(more, http), port_, place_ / "log") {}

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string host() const { return mortise::concat("127.0.0.1:", port_); }
  /// Where its blobs lie as files: .../sha256/ab/abcd.../data.
  [[nodiscard]] std::string blob_file(std::string_view digest) const {
    const std::string_view hex = digest.substr(7);
    return mortise::concat(place_.path(), "/storage/docker/registry/v2/blobs/sha256/", hex.substr(0, 2), '/', hex,
                           "/data");
  }

 private:
  std::vector<std::string> start(std::string_view more, std::string_view http) const {
    write_file(
        place_ / "config.yml",
        mortise::concat("version: 0.1\nlog:\n  level: error\n  accesslog:\n    disabled: true\n"
                        "storage:\n  filesystem:\n    rootdirectory: ",
                        place_ / "storage", "\nhttp:\n  addr: 127.0.0.1:", port_, "\n  secret: test\n", http, more));
    return {"docker-registry", "serve", place_ / "config.yml"};
  }

  temporary_directory place_;
  std::uint16_t port_;
  service server_;
};

/// nginx with the servers of `servers`, in which PORT is a free one, and PLACE a directory for its files.
class real_nginx {
 public:
  explicit real_nginx(const std::string& servers)
      : port_(free_port()), server_(start(servers), port_, place_ / "log") {}

  [[nodiscard]] std::string host() const { return mortise::concat("127.0.0.1:", port_); }
  [[nodiscard]] std::string file(const std::string& name) const { return read_file(place_ / name); }

 private:
  static void replace_all(std::string& in, std::string_view what, const std::string& with) {
    for (std::size_t at = 0; (at = in.find(what, at)) != std::string::npos; at += with.size())
      in.replace(at, what.size(), with);
  }

  std::vector<std::string> start(std::string servers) const {
    std::string config =
        "daemon off; master_process off; error_log stderr; pid PLACE/pid;\nevents {}\nhttp {\n"
        "  access_log off; client_max_body_size 0; ";
    for (const char* const each : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
      mortise::append(config, each, "_temp_path PLACE/", each, "; ");
    config += '\n' + servers + "\n}\n";
    replace_all(config, "PORT", std::to_string(port_));
    replace_all(config, "PLACE", place_.path());
    write_file(place_ / "config", config);
    return {"nginx", "-c", place_ / "config"};
  }

  temporary_directory place_;
  std::uint16_t port_;
  service server_;
};

}  // namespace support
