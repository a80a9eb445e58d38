// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// Where the members of a tar archive lie, so that an image archive is read in place. Names serve for
/// look-up only and never become paths on the host. Layers are not read here but in archive/.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/image/file_section.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mortise::image {

namespace detail {

/// "./a//b/../c" as "a/c"; nothing where it leads above the archive's root.
inline std::optional<std::string> lexical_path(std::string_view path) {
  std::vector<std::string_view> kept;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      kept.push_back(part);
    } else if (kept.empty()) {
      return std::nullopt;
    } else {
      kept.pop_back();
    }
  }
  return join(kept, "/");
}

/// One 512-byte header of POSIX ustar, GNU tar or their ancestor: tar(5).
class tar_header {
 public:
  static constexpr std::size_t size = 512;
  [[nodiscard]] std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(raw_)); }

  [[nodiscard]] bool blank() const {
    return std::all_of(raw_.begin(), raw_.end(), [](char each) { return each == 0; });
  }
  /// Whether the checksum holds, its own field counted as spaces.
  [[nodiscard]] bool valid() const {
    std::uint64_t sum = 8U * ' ';
    for (std::size_t at = 0; at < size; ++at)
      if (at < 148 || at >= 156) sum += static_cast<unsigned char>(raw_[at]);
    return number(148, 8) == sum;
  }
  [[nodiscard]] char type() const { return raw_[156]; }
  [[nodiscard]] std::optional<std::uint64_t> length() const { return number(124, 12); }
  [[nodiscard]] std::string_view link() const { return text(157, 100); }
  [[nodiscard]] std::string name() const {
    const bool posix = std::string_view(raw_.data() + 257, 6) == std::string_view("ustar\0", 6);
    const std::string_view prefix = posix ? text(345, 155) : std::string_view{};
    return prefix.empty() ? std::string(text(0, 100)) : concat(prefix, '/', text(0, 100));
  }

 private:
  [[nodiscard]] std::string_view text(std::size_t at, std::size_t most) const {
    const std::string_view field(raw_.data() + at, most);
    return field.substr(0, field.find('\0'));
  }
  /// Octal digits, or GNU's base 256 where the first bit is set.
  [[nodiscard]] std::optional<std::uint64_t> number(std::size_t at, std::size_t width) const {
    std::string_view field(raw_.data() + at, width);
    if ((static_cast<unsigned char>(field.front()) & 0x80U) == 0) {
      field = field.substr(0, field.find('\0'));
      while (field.starts_with(' ')) field.remove_prefix(1);
      while (field.ends_with(' ')) field.remove_suffix(1);
      return field.empty() ? std::optional<std::uint64_t>(0) : parse_number<std::uint64_t>(field, 8);
    }
    std::uint64_t value = static_cast<unsigned char>(field.front()) & 0x7fU;
    for (const char each : field.substr(1)) {
      if (value >> 55 != 0) return std::nullopt;
      value = value << 8 | static_cast<unsigned char>(each);
    }
    return value;
  }

  std::array<char, size> raw_{};
};

/// What an extended header says about the member after it.
struct tar_overrides {
  std::optional<std::string> name, link;
  std::optional<std::uint64_t> length;
  bool sparse = false;
};

/// "27 path=some/long/name\n", one after the other: pax(1).
inline bool read_pax(std::string_view text, tar_overrides& into) {
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    const auto length = parse_number<std::size_t>(text.substr(0, space));
    if (space == std::string_view::npos || !length || *length > text.size() || *length < space + 2) return false;
    const std::string_view record = text.substr(space + 1, *length - space - 2);
    text.remove_prefix(*length);
    const std::size_t equals = record.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view key = record.substr(0, equals);
    const std::string_view value = record.substr(equals + 1);
    if (key == "path") into.name = value;
    if (key == "linkpath") into.link = value;
    if (key.starts_with("GNU.sparse.")) into.sparse = true;
    if (key != "size") continue;
    into.length = parse_number<std::uint64_t>(value);
    if (!into.length) return false;
  }
  return true;
}

}  // namespace detail

/// The members of one archive by name; of two with one name the later counts.
class tar_index {
 public:
  /// Reads the headers of `archive`, skipping over contents.
  /// Fails with INVALID_ARGUMENT for what is no tar, RESOURCE_EXHAUSTED past its bounds, DATA_LOSS for a
  /// truncated archive.
  static absl::StatusOr<tar_index> build(const file_section& archive) {
    tar_index out(archive);
    detail::tar_overrides next;
    for (std::uint64_t at = 0; at < archive.size;) {
      detail::tar_header header;
      MORTISE_ASSIGN_OR_RETURN(const std::size_t got, archive.read_at(at, header.bytes()));
      if (got < detail::tar_header::size)
        return out.refuse(at, "the archive is truncated", absl::StatusCode::kDataLoss);
      if (header.blank()) return out;
      if (!header.valid()) return out.refuse(at, "this is no tar header");
      const auto length = next.length ? next.length : header.length();
      if (!length) return out.refuse(at, "the member's size is no number");
      at += detail::tar_header::size;
      if (*length > archive.size - at) return out.refuse(at, "the archive is truncated", absl::StatusCode::kDataLoss);
      MORTISE_RETURN_IF_ERROR(out.take(header, {archive.file, archive.offset + at, *length}, next));
      at += std::min((*length + 511) & ~std::uint64_t{511}, archive.size - at);
    }
    return out;
  }

  /// A member's content, symbolic and hard links of the archive followed. NOT_FOUND where there is none.
  [[nodiscard]] absl::StatusOr<file_section> find(std::string_view name) const {
    const auto missing = [name](std::string_view why) {
      return error(absl::StatusCode::kNotFound, concat("find '", printable(name), "' in the archive: ", why));
    };
    auto path = detail::lexical_path(name);
    for (int followed = 0; path && followed < 8; ++followed) {
      const auto found = members_.find(*path);
      if (found == members_.end()) return missing("there is no such member");
      if (found->second.link.empty()) return found->second.content;
      path = detail::lexical_path(found->second.link);
    }
    return missing(path ? "too many links" : "a link leads out of the archive");
  }

 private:
  struct member {
    file_section content;
    std::string link;  ///< from the archive's root
  };
  static constexpr std::size_t most_members = 100'000;
  static constexpr std::size_t most_name = 4096;
  static constexpr std::size_t most_names = std::size_t{32} << 20;  // all are kept
  static constexpr std::uint64_t most_extension = 1 << 20;

  explicit tar_index(file_section archive) : archive_(std::move(archive)) {}

  [[nodiscard]] absl::Status refuse(std::uint64_t at, std::string_view why,
                                    absl::StatusCode code = absl::StatusCode::kInvalidArgument) const {
    return error(code, concat("index tar archive at byte ", at, ": ", why));
  }

  absl::Status take(const detail::tar_header& header, const file_section& content, detail::tar_overrides& next) {
    switch (header.type()) {
      case 'x':
      case 'L':
      case 'K':
        return extend(header.type(), content, next);
      case 'g':
        return absl::OkStatus();
      default:
        return add(header, content, std::exchange(next, {}));
    }
  }

  absl::Status extend(char type, const file_section& content, detail::tar_overrides& next) {
    if (content.size > most_extension)
      return refuse(content.offset, "an extended header is longer than 1 MiB", absl::StatusCode::kResourceExhausted);
    section_reader from(content);
    MORTISE_ASSIGN_OR_RETURN(std::string text, read_text(from, most_extension));
    if (type == 'x' && !detail::read_pax(text, next)) return refuse(content.offset, "a pax record is malformed");
    if (type == 'x') return absl::OkStatus();
    text.resize(std::min(text.size(), text.find('\0')));
    (type == 'L' ? next.name : next.link) = std::move(text);
    return absl::OkStatus();
  }

  absl::Status add(const detail::tar_header& header, const file_section& content, detail::tar_overrides said) {
    const std::string name = said.name ? *std::move(said.name) : header.name();
    const std::string link = said.link ? *std::move(said.link) : std::string(header.link());
    if (name.size() > most_name || link.size() > most_name)
      return refuse(content.offset, "a name is longer than 4096 bytes", absl::StatusCode::kResourceExhausted);
    const auto path = detail::lexical_path(name);
    if (!path || said.sparse) return absl::OkStatus();  // never asked for: not an image's part
    member entry{content, {}};
    switch (header.type()) {
      case '\0':
      case '0':
      case '7':
        break;
      case '1':
        entry.link = concat('/', link);
        break;
      case '2':
        entry.link = link.starts_with('/') ? link : concat(path->substr(0, path->rfind('/') + 1), link);
        break;
      default:
        return absl::OkStatus();
    }
    if (members_.size() >= most_members)
      return refuse(content.offset, "more than 100000 members", absl::StatusCode::kResourceExhausted);
    names_bytes_ += path->size() + entry.link.size();
    if (names_bytes_ > most_names)
      return refuse(content.offset, "the names take more than 32 MiB", absl::StatusCode::kResourceExhausted);
    members_.insert_or_assign(*path, std::move(entry));
    return absl::OkStatus();
  }

  file_section archive_;
  std::map<std::string, member, std::less<>> members_;
  std::size_t names_bytes_ = 0;
};

}  // namespace mortise::image
