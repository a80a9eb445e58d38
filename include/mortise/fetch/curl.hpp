// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// The transport of http:, https: and http+unix: URIs. Needs: libcurl (7.87 or later).

#include <curl/curl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <concepts>
#include <memory>
#include <mortise/fetch/curl_library.hpp>
#include <mortise/fetch/transport.hpp>
#include <mortise/sys/file.hpp>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

namespace mortise::fetch {

namespace detail {

/// The most that the head of an answer may have, interim answers and trailers included.
inline constexpr std::size_t most_head_fields = 256;
inline constexpr std::size_t most_head_bytes = std::size_t{128} << 10U;
/// The most that a file of authorities may have.
inline constexpr std::size_t most_authority_bytes = std::size_t{8} << 20U;
/// How long it takes at most to notice that a transfer is cancelled or asleep.
inline constexpr int poll_milliseconds = 50;

/// An easy handle in a multi handle of its own, which keeps its connections between transfers.
class curl_handle {
 public:
  explicit curl_handle(const curl_library& library)
      : library_(library), multi_(library.multi_init()), easy_(library.easy_init()) {}
  curl_handle(const curl_handle&) = delete;
  curl_handle& operator=(const curl_handle&) = delete;
  ~curl_handle() {
    library_.easy_cleanup(easy_);
    library_.multi_cleanup(multi_);
  }

  [[nodiscard]] bool is_complete() const { return multi_ != nullptr && easy_ != nullptr; }
  [[nodiscard]] CURLM* multi() const { return multi_; }
  [[nodiscard]] CURL* easy() const { return easy_; }

 private:
  const curl_library& library_;
  CURLM* multi_;
  CURL* easy_;
};

/// Handles that no transfer uses just now. The one used last goes first: its connections are the likeliest to live.
class curl_pool {
 public:
  explicit curl_pool(const curl_library& library) : library_(library) {}

  std::unique_ptr<curl_handle> take() {
    const std::lock_guard lock(mutex_);
    if (idle_.empty()) return std::make_unique<curl_handle>(library_);
    auto out = std::move(idle_.back());
    idle_.pop_back();
    return out;
  }
  void put_back(std::unique_ptr<curl_handle> handle) {
    const std::lock_guard lock(mutex_);
    idle_.push_back(std::move(handle));
  }
  [[nodiscard]] const curl_library& library() const { return library_; }

 private:
  const curl_library& library_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<curl_handle>> idle_;
};

/// What libcurl hears of one answer, made into a response and a body for the sink.
class curl_answer {
 public:
  curl_answer(const exchange& what, sink& into) : what_(what), into_(into) {}

  static std::size_t on_field(const char* data, std::size_t size, std::size_t count, void* self) {
    auto* const answer = static_cast<curl_answer*>(self);
    answer->failure_ = answer->take_field({data, size * count});
    return answer->failure_.ok() ? size * count : 0;
  }
  static std::size_t on_body(const char* data, std::size_t size, std::size_t count, void* self) {
    auto* const answer = static_cast<curl_answer*>(self);
    answer->failure_ = answer->take_body(std::as_bytes(std::span(data, size * count)));
    return answer->failure_.ok() ? size * count : 0;
  }

  [[nodiscard]] const absl::Status& failure() const { return failure_; }
  [[nodiscard]] bool has_begun() const { return begun_; }
  [[nodiscard]] response& about() { return about_; }

  /// Whether nothing came for too long. Only the head as a whole and bytes of the body count, so that a head which
  /// drips in does not take forever.
  [[nodiscard]] bool is_asleep() const { return std::chrono::steady_clock::now() - last_ > what_.inactivity; }

 private:
  absl::Status take_field(std::string_view line) {
    head_bytes_ += line.size();
    if (head_bytes_ > most_head_bytes || ++head_fields_ > most_head_fields)
      return error(
          absl::StatusCode::kResourceExhausted,
          concat("the head of the answer has more than ", most_head_fields, " fields or ", most_head_bytes, " bytes"));
    while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
    if (begun_) return absl::OkStatus();  // a trailer
    if (line.empty()) return end_head();
    if (line.starts_with(' ') || line.starts_with('\t')) return absl::OkStatus();  // a folded line, as nobody sends it
    if (line.starts_with("HTTP/")) {
      about_ = {};
      const std::size_t space = line.find(' ');
      about_.status = parse_number<int>(line.substr(std::min(line.size(), space + 1), 3)).value_or(0);
      return space == std::string_view::npos ? error(absl::StatusCode::kUnavailable, "no status") : absl::OkStatus();
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return absl::OkStatus();
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
    about_.headers.push_back({std::string(line.substr(0, colon)), std::string(value)});
    return absl::OkStatus();
  }

  absl::Status end_head() {
    if (about_.status < 200) return absl::OkStatus();  // an interim answer
    last_ = std::chrono::steady_clock::now();
    begun_ = true;
    const auto coded = field_of(about_.headers, "transfer-encoding");
    const auto length = field_of(about_.headers, "content-length");
    if (length && !coded) about_.total = parse_number<std::uint64_t>(*length);
    if (const auto type = field_of(about_.headers, "content-type")) about_.media_type = *type;
    if (what_.verb != method::head && about_.total.value_or(0) > what_.limit) return too_large();
    return into_.begin(about_);
  }

  absl::Status take_body(std::span<const std::byte> piece) {
    last_ = std::chrono::steady_clock::now();
    if (piece.size() > what_.limit - taken_) return too_large();
    taken_ += piece.size();
    return into_.write(piece);
  }

  [[nodiscard]] absl::Status too_large() const {
    return error(absl::StatusCode::kResourceExhausted, concat("the body has more than ", what_.limit, " bytes"));
  }

  const exchange& what_;
  sink& into_;
  response about_;
  bool begun_ = false;
  std::size_t head_fields_ = 0;
  std::size_t head_bytes_ = 0;
  std::uint64_t taken_ = 0;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  absl::Status failure_;
};

/// libcurl's own way leaves connections open to programs that are started meanwhile.
inline curl_socket_t open_socket(void* /*unused*/, curlsocktype /*purpose*/, curl_sockaddr* address) {
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/// One exchange over one handle, from its options to its outcome. Leaves the handle fit for the next.
class curl_transfer {
 public:
  curl_transfer(const curl_library& library, curl_handle& handle, const exchange& what, sink& into)
      : library_(library), handle_(handle), what_(what), answer_(what, into) {}
  curl_transfer(const curl_transfer&) = delete;
  curl_transfer& operator=(const curl_transfer&) = delete;
  ~curl_transfer() {
    library_.easy_reset(handle_.easy());
    library_.slist_free_all(fields_);
  }

  absl::StatusOr<response> run() {
    set_options();
    MORTISE_RETURN_IF_ERROR(set_address());
    MORTISE_RETURN_IF_ERROR(set_fields());
    if (what_.to.scheme == "https") MORTISE_RETURN_IF_ERROR(set_tls());
    if (refused_ != CURLE_OK)
      return error(absl::StatusCode::kUnimplemented,
                   concat("set up libcurl: ", library_.easy_strerror(refused_), " (it may be too old)"));
    library_.multi_add_handle(handle_.multi(), handle_.easy());
    const absl::Status outcome = perform();
    library_.multi_remove_handle(handle_.multi(), handle_.easy());
    if (!answer_.failure().ok()) return answer_.failure();
    MORTISE_RETURN_IF_ERROR(outcome);
    if (!answer_.has_begun()) return error(absl::StatusCode::kUnavailable, "the answer has no head");
    return std::move(answer_.about());
  }

 private:
  template <class Value>
  void set(CURLoption option, Value value) {
    static_assert(std::is_pointer_v<Value> || std::same_as<Value, long> || std::same_as<Value, curl_off_t>);
    if (const CURLcode code = library_.easy_setopt(handle_.easy(), option, value); code != CURLE_OK) refused_ = code;
  }

  void set_options() {
    set(CURLOPT_ERRORBUFFER, problem_);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_QUICK_EXIT, 1L);  // a cancelled transfer does not wait for the resolver
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 0L);
    set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
    set(CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));  // a proxy sees none of our fields
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
    set(CURLOPT_PATH_AS_IS, 1L);
    set(CURLOPT_TCP_KEEPALIVE, 1L);
    set(CURLOPT_BUFFERSIZE, 128L << 10);
    set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::max<std::int64_t>(what_.connecting.count(), 1)));
    set(CURLOPT_OPENSOCKETFUNCTION, &open_socket);
    set(CURLOPT_HEADERFUNCTION, &curl_answer::on_field);
    set(CURLOPT_HEADERDATA, &answer_);
    set(CURLOPT_WRITEFUNCTION, &curl_answer::on_body);
    set(CURLOPT_WRITEDATA, &answer_);
    if (what_.verb == method::head) set(CURLOPT_NOBODY, 1L);
    if (what_.verb == method::post) {
      set(CURLOPT_POST, 1L);
      set(CURLOPT_POSTFIELDS, what_.body.c_str());
      set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(what_.body.size()));
    }
  }

  absl::Status set_address() {
    uri to = what_.to;
    if (to.scheme == "http+unix") {
      MORTISE_ASSIGN_OR_RETURN(const std::string path, percent_decoded_path(to.host.value_or("")));
      if (path.empty() || to.port)
        return error(absl::StatusCode::kInvalidArgument,
                     "no socket (write its path percent-encoded, as in http+unix://%2Frun%2Fx.sock/path)");
      set(CURLOPT_UNIX_SOCKET_PATH, path.c_str());
      set(CURLOPT_PROXY, "");
      to.scheme = "http";
      to.host = "localhost";
    } else if (to.host.value_or("").find('%') != std::string::npos) {
      // libcurl would decode it, and connect to another host than the one that credentials were chosen for.
      return error(absl::StatusCode::kInvalidArgument, "a host is written without percent-escapes");
    }
    if (to.path.empty()) to.path = "/";
    set(CURLOPT_URL, to_string(to).c_str());
    return absl::OkStatus();
  }

  absl::Status set_fields() {
    for (const header& each : what_.headers) {
      if (!is_token(each.name) || each.value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos)
        return error(absl::StatusCode::kInvalidArgument,
                     concat("a header field '", printable(each.name), "' cannot be sent"));
      MORTISE_RETURN_IF_ERROR(add_field(each.value.empty() ? concat(each.name, ';')  // libcurl's way to send it empty
                                                           : concat(each.name, ": ", each.value)));
    }
    if (what_.verb == method::post) MORTISE_RETURN_IF_ERROR(add_field("Expect:"));  // no waiting for status 100
    set(CURLOPT_HTTPHEADER, fields_);
    return absl::OkStatus();
  }

  absl::Status add_field(const std::string& text) {
    curl_slist* const longer = library_.slist_append(fields_, text.c_str());
    if (longer == nullptr) return error(absl::StatusCode::kResourceExhausted, "no memory for a header field");
    fields_ = longer;
    return absl::OkStatus();
  }

  static bool is_token(std::string_view name) {
    const auto fits = [](char each) {
      return is_one_of(lower(each), letters) || is_one_of(each, digits) || is_one_of(each, "!#$%&'*+-.^_`|~");
    };
    return !name.empty() && std::all_of(name.begin(), name.end(), fits);
  }

  absl::Status set_tls() {
    set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!what_.tls.certificate.empty()) set(CURLOPT_SSLCERT, what_.tls.certificate.c_str());
    if (!what_.tls.key.empty()) set(CURLOPT_SSLKEY, what_.tls.key.c_str());
    if (what_.tls.authorities.empty()) return absl::OkStatus();
    // libcurl takes one list: the system's, and then ours.
    std::string all;
    const char* const system = library_.version_info(CURLVERSION_NOW)->cainfo;
    if (system != nullptr)
      if (auto usual = sys::read_file(system, most_authority_bytes); usual.ok()) all = *std::move(usual);
    for (const std::string& each : what_.tls.authorities) {
      MORTISE_ASSIGN_OR_RETURN(const std::string more, sys::read_file(each, most_authority_bytes));
      append(all, '\n', more);
    }
    curl_blob blob{all.data(), all.size(), CURL_BLOB_COPY};
    set(CURLOPT_CAINFO_BLOB, &blob);
    return absl::OkStatus();
  }

  absl::Status perform() {
    for (int running = 1;;) {
      if (library_.multi_perform(handle_.multi(), &running) != CURLM_OK)
        return error(absl::StatusCode::kInternal, "libcurl failed");
      if (running == 0) return outcome();
      if (what_.cancelled != nullptr && what_.cancelled->load(std::memory_order_relaxed))
        return error(absl::StatusCode::kCancelled, "cancelled by the caller");
      if (answer_.is_asleep())
        return error(absl::StatusCode::kDeadlineExceeded, concat("nothing came for ", what_.inactivity.count(), " ms"));
      library_.multi_poll(handle_.multi(), nullptr, 0, poll_milliseconds, nullptr);
    }
  }

  absl::Status outcome() {
    int left = 0;
    const CURLMsg* const said = library_.multi_info_read(handle_.multi(), &left);
    if (said == nullptr) return error(absl::StatusCode::kInternal, "libcurl failed");
    const CURLcode code = said->data.result;
    if (code == CURLE_OK) return absl::OkStatus();
    const std::string cause = printable(problem_[0] != '\0' ? problem_ : library_.easy_strerror(code));
    switch (code) {
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_SSL_ISSUER_ERROR:
      case CURLE_SSL_INVALIDCERTSTATUS:
        return error(absl::StatusCode::kPermissionDenied,
                     concat(cause, " (if the server is what it should be, add the authority of its certificate)"));
      case CURLE_SSL_CACERT_BADFILE:
      case CURLE_SSL_CERTPROBLEM:
        return error(absl::StatusCode::kFailedPrecondition, concat("use TLS files: ", cause));
      case CURLE_URL_MALFORMAT:
        return error(absl::StatusCode::kInvalidArgument, cause);
      case CURLE_OUT_OF_MEMORY:
        return error(absl::StatusCode::kResourceExhausted, cause);
      case CURLE_OPERATION_TIMEDOUT:
        return error(absl::StatusCode::kDeadlineExceeded, cause);
      default:
        return error(absl::StatusCode::kUnavailable, cause);
    }
  }

  const curl_library& library_;
  curl_handle& handle_;
  const exchange& what_;
  curl_answer answer_;
  curl_slist* fields_ = nullptr;
  CURLcode refused_ = CURLE_OK;
  char problem_[CURL_ERROR_SIZE] = {};
};

}  // namespace detail

/// The transport by libcurl. http+unix://SOCKET/PATH, SOCKET being a percent-encoded path, talks to a socket of this
/// host. HTTP/2 over TLS where the server has it; connections are kept, and shared by copies. Proxies are those of the
/// environment; no netrc, no cookies, no redirects.
class curl {
 public:
  static constexpr std::array<std::string_view, 3> schemes = {"http", "https", "http+unix"};

  curl() : curl(curl_library::linked()) {}
  explicit curl(const curl_library& library) : pool_(std::make_shared<detail::curl_pool>(library)) {}

  absl::StatusOr<response> exchange(const fetch::exchange& what, sink& into) const {
    auto handle = pool_->take();
    if (!handle->is_complete()) return error(absl::StatusCode::kResourceExhausted, "start libcurl: no memory");
    auto out = detail::curl_transfer(pool_->library(), *handle, what, into).run();
    // After a failure there is no connection worth keeping, and a handle of libcurl 7.88 whose host had no address
    // takes no size of its buffer any more.
    if (out.ok()) pool_->put_back(std::move(handle));
    return out;
  }

 private:
  std::shared_ptr<detail::curl_pool> pool_;
};

static_assert(transport<curl>);

}  // namespace mortise::fetch
