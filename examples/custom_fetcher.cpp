// SPDX-License-Identifier: Apache-2.0
// Proves that a URI scheme of your own is one class, and stands beside ours in one set: this one asks the peers that
// you name, here directories, in turn. Needs nothing: custom-fetcher PEER[:PEER...] URI, as in
//   custom-fetcher /srv/a:/srv/b p2p:layer.tar >layer.tar      custom-fetcher - file:///etc/hostname
#include <cstdio>
#include <mortise/fetch/any_of.hpp>
#include <mortise/fetch/file.hpp>

using namespace mortise;

/// Fetches p2p:NAME from the first peer that has a file of that name.
/// Fails with INVALID_ARGUMENT for a name that could lead out of a peer's directory, NOT_FOUND where no peer has it.
struct p2p {
  static constexpr std::array<std::string_view, 1> schemes = {"p2p"};

  absl::StatusOr<fetch::response> fetch(const fetch::uri& from, const fetch::request& what, fetch::sink& into) const {
    if (from.host || from.query || from.path.empty() || from.path.find_first_of("/%") != std::string::npos)
      return error(absl::StatusCode::kInvalidArgument, "fetch p2p: URI: not a plain name (p2p:NAME)");
    for (const std::string_view peer : peers) {
      MORTISE_ASSIGN_OR_RETURN(const fetch::uri at, fetch::file_uri(concat(peer, '/', from.path)));
      auto out = fetch::file().fetch(at, what, into);
      if (!absl::IsNotFound(out.status())) return out;
    }
    return error(absl::StatusCode::kNotFound,
                 concat("fetch '", fetch::shown(from), "': none of ", peers.size(), " peers has it"));
  }

  std::vector<std::string_view> peers;
};

using fetcher = fetch::any_of<p2p, fetch::file>;
static_assert(fetch::fetcher<fetcher>);

/// Where a body goes: standard output.
struct output final : fetch::sink {
  absl::Status begin(const fetch::response& about) override {
    std::fputs(concat(about.total.value_or(0), " bytes\n").c_str(), stderr);
    return absl::OkStatus();
  }
  absl::Status write(std::span<const std::byte> piece) override {
    const bool all = std::fwrite(piece.data(), 1, piece.size(), stdout) == piece.size();
    return all ? absl::OkStatus() : errno_error(errno, "write output");
  }
};

absl::Status run(std::string_view peers, const char* from) {
  const fetcher fetches(std::in_place, p2p{split(peers, ':')}, fetch::file{});
  MORTISE_ASSIGN_OR_RETURN(const fetch::uri at, fetch::parse_uri(from));
  output into;
  MORTISE_RETURN_IF_ERROR(fetches.fetch(at, {}, into));
  return std::fflush(stdout) == 0 ? absl::OkStatus() : errno_error(errno, "write output");
}

int main(int argc, char** argv) {
  if (argc != 3) return std::fputs("usage: custom-fetcher PEER[:PEER...] URI\n", stderr), 2;
  const absl::Status done = run(argv[1], argv[2]);
  if (done.ok()) return 0;
  std::fputs(concat("custom-fetcher: ", message(done), '\n').c_str(), stderr);
  return 1;
}
