// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A small HTTP/1.1 server on loopback (or a unix socket) whose handler decides every byte, so that it can misbehave in
/// every way, and which remembers what it was asked.
///
///     support::http_server server([](const support::http_request& asked, support::http_connection& to) {
///       if (asked.path() == "/blob") return to.serve(asked, blob);       // honours Range
///       if (asked.path() == "/lost") return to.send_head(200, {{"Content-Length", "10"}}), to.send("half"), to.drop();
///       to.answer(404, {}, "no such thing");
///     });
///     fetch(server.url("/blob"));
///     CHECK(server.requests().size() == 1);

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <list>
#include <mortise/base/text.hpp>
#include <mortise/sys/fd.hpp>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace support {

using http_fields = std::vector<std::pair<std::string, std::string>>;

struct http_request {
  std::string method;
  std::string target;  ///< path and query, as sent
  http_fields fields;
  std::string body;
  unsigned connection = 0;  ///< which one, from 1

  /// A field's value, by its name in any case; empty where there is none.
  [[nodiscard]] std::string field(const char* name) const {
    for (const auto& [each, value] : fields)
      if (::strcasecmp(each.c_str(), name) == 0) return value;
    return {};
  }
  [[nodiscard]] bool has(const char* name) const {
    for (const auto& each : fields)
      if (::strcasecmp(each.first.c_str(), name) == 0) return true;
    return false;
  }
  [[nodiscard]] std::string path() const { return target.substr(0, target.find('?')); }
  [[nodiscard]] std::string query() const {
    const std::size_t mark = target.find('?');
    return mark == std::string::npos ? std::string() : target.substr(mark + 1);
  }
};

/// The client's end, as a handler sees it. The connection is kept for another request unless the handler ended it.
class http_connection {
 public:
  http_connection(int fd, const std::atomic<bool>& stopping) : fd_(fd), stopping_(stopping) {}

  /// Raw bytes. False once the client has gone.
  bool send(std::string_view bytes) {
    while (open_ && !bytes.empty()) {
      const ssize_t put = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (put < 0 && errno == EINTR) continue;
      if (put <= 0) open_ = false;
      if (put > 0) bytes.remove_prefix(static_cast<std::size_t>(put));
    }
    return open_;
  }

  /// A status line and fields, with the empty line that ends them.
  bool send_head(int status, const http_fields& fields) {
    std::string head = mortise::concat("HTTP/1.1 ", status, " Answer\r\n");
    for (const auto& [name, value] : fields) mortise::append(head, name, ": ", value, "\r\n");
    return send(head + "\r\n");
  }

  /// A whole and honest answer. To a HEAD, `body` is what a GET would get: its size is told, it is not sent.
  void answer(int status, http_fields fields, std::string_view body) {
    if (status != 204 && status != 304) fields.emplace_back("Content-Length", std::to_string(body.size()));
    const std::string own(body);  // a case may change what the body is of as soon as the client has all of it
    if (send_head(status, fields) && !head_only_) send(own);
  }
  void redirect(int status, const std::string& location) { answer(status, {{"Location", location}}, ""); }

  /// A file's bytes, or the range of them that is asked for ("bytes=N-" or "bytes=N-M").
  void serve(const http_request& asked, std::string_view all, http_fields fields = {}) {
    const std::string range = asked.field("range");
    if (!range.starts_with("bytes=")) return answer(200, std::move(fields), all);
    const std::size_t dash = range.find('-');
    const std::size_t first = std::stoull(range.substr(6));
    if (first >= all.size()) {
      fields.emplace_back("Content-Range", mortise::concat("bytes */", all.size()));
      return answer(416, std::move(fields), "");
    }
    std::size_t end = all.size();
    if (dash + 1 < range.size()) end = std::min<std::size_t>(end, std::stoull(range.substr(dash + 1)) + 1);
    fields.emplace_back("Content-Range", mortise::concat("bytes ", first, '-', end - 1, '/', all.size()));
    answer(206, std::move(fields), all.substr(first, end - first));
  }

  /// Ends the connection after what was sent.
  void drop() { open_ = false; }
  /// Ends it by a reset: what was sent may be lost on the way.
  void reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    open_ = false;
  }
  /// Says nothing for so long, or until the client has gone or the server stops.
  void stall(std::chrono::milliseconds most = std::chrono::minutes(1)) {
    const auto end = std::chrono::steady_clock::now() + most;
    while (open_ && !stopping_ && std::chrono::steady_clock::now() < end) {
      pollfd gone{fd_, POLLRDHUP, 0};
      if (::poll(&gone, 1, 5) > 0) open_ = false;
    }
  }
  /// One byte at a time, `pause` between them.
  void drip(std::string_view bytes, std::chrono::milliseconds pause) {
    for (const char each : bytes) {
      if (!send({&each, 1})) return;
      stall(pause);
    }
  }
  [[nodiscard]] bool is_open() const { return open_ && !stopping_; }

 private:
  friend class http_server;
  int fd_;
  const std::atomic<bool>& stopping_;
  bool open_ = true;
  bool head_only_ = false;
};

/// Listens until destroyed; a thread for each connection. The handler is called by several threads at once.
class http_server {
 public:
  using handler = std::function<void(const http_request&, http_connection&)>;

  /// On a free port of 127.0.0.1, or at a socket path.
  explicit http_server(handler answers, const std::string& socket_path = {})
      : answers_(std::move(answers)), socket_path_(socket_path) {
    if (socket_path.empty()) {
      listen_at_port();
    } else {
      listen_at_path();
    }
    acceptor_ = std::thread([this] { accept_all(); });
  }
  http_server(const http_server&) = delete;
  http_server& operator=(const http_server&) = delete;
  ~http_server() {
    stopping_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (const auto& each : clients_) ::shutdown(each.get(), SHUT_RDWR);
    }
    for (std::thread& each : workers_) each.join();
    if (!socket_path_.empty()) ::unlink(socket_path_.c_str());
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string host() const { return mortise::concat("127.0.0.1:", port_); }
  /// The address of a target that begins with '/'.
  [[nodiscard]] std::string url(std::string_view target = "/") const {
    if (socket_path_.empty()) return mortise::concat("http://", host(), target);
    return mortise::concat("http+unix://", mortise::percent_encoded(socket_path_), target);
  }
  /// What it was asked until now, in order.
  [[nodiscard]] std::vector<http_request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }
  [[nodiscard]] std::size_t count() const { return requests().size(); }
  void forget() {
    const std::lock_guard lock(mutex_);
    requests_.clear();
  }

 private:
  static void check(bool worked, const char* what) {
    if (!worked) throw std::runtime_error(mortise::concat(what, ": ", std::strerror(errno)));
  }

  void listen_at_port() {
    listener_ = mortise::sys::unique_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    check(::bind(listener_.get(), generic, length) == 0 && ::listen(listener_.get(), 64) == 0, "listen");
    check(::getsockname(listener_.get(), generic, &length) == 0, "getsockname");
    port_ = ntohs(address.sin_port);
  }

  void listen_at_path() {
    listener_ = mortise::sys::unique_fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    socket_path_.copy(address.sun_path, sizeof address.sun_path - 1);
    check(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
              ::listen(listener_.get(), 64) == 0,
          "listen");
  }

  void accept_all() {
    while (!stopping_) {
      const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      const int on = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      const std::lock_guard lock(mutex_);
      clients_.emplace_back(fd);
      workers_.emplace_back([this, fd, number = static_cast<unsigned>(clients_.size())] { converse(fd, number); });
    }
  }

  void converse(int fd, unsigned number) {
    http_connection to(fd, stopping_);
    std::string pending;
    http_request asked;
    while (to.is_open() && read_request(fd, pending, asked)) {
      asked.connection = number;
      to.head_only_ = asked.method == "HEAD";
      {
        const std::lock_guard lock(mutex_);
        requests_.push_back(asked);
      }
      answers_(asked, to);
    }
    close_client(fd);
  }

  void close_client(int fd) {
    const std::lock_guard lock(mutex_);
    for (auto& each : clients_)
      if (each.get() == fd) each.reset();
  }

  /// Reads one request; `pending` keeps what came behind it. False at the end of the connection.
  static bool read_request(int fd, std::string& pending, http_request& into) {
    std::size_t end = 0;
    while ((end = pending.find("\r\n\r\n")) == std::string::npos)
      if (!read_more(fd, pending) || pending[0] < 'A' || pending[0] > 'Z') return false;  // a TLS client, maybe
    into = {};
    std::string_view head = std::string_view(pending).substr(0, end);
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const std::size_t space = line.find(' ');
    into.method = line.substr(0, space);
    into.target = line.substr(space + 1, line.rfind(' ') - space - 1);
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    while (!head.empty()) {
      const std::string_view field = head.substr(0, head.find("\r\n"));
      const std::size_t colon = field.find(':');
      std::string_view value = field.substr(std::min(field.size(), colon + 1));
      while (value.starts_with(' ')) value.remove_prefix(1);
      into.fields.emplace_back(field.substr(0, colon), value);
      head.remove_prefix(std::min(head.size(), field.size() + 2));
    }
    const std::size_t size = mortise::parse_number<std::size_t>(into.field("content-length")).value_or(0);
    pending.erase(0, end + 4);
    while (pending.size() < size)
      if (!read_more(fd, pending)) return false;
    into.body = pending.substr(0, size);
    pending.erase(0, size);
    return true;
  }

  static bool read_more(int fd, std::string& into) {
    char buffer[4096];
    const ssize_t got = ::recv(fd, buffer, sizeof buffer, 0);
    if (got > 0) into.append(buffer, static_cast<std::size_t>(got));
    return got > 0 || (got < 0 && errno == EINTR);
  }

  handler answers_;
  std::string socket_path_;
  std::uint16_t port_ = 0;
  mortise::sys::unique_fd listener_;
  std::atomic<bool> stopping_ = false;
  mutable std::mutex mutex_;
  std::vector<http_request> requests_;
  std::list<mortise::sys::unique_fd> clients_;
  std::list<std::thread> workers_;
  std::thread acceptor_;
};

}  // namespace support
