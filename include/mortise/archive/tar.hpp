// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// tar by libarchive: v7, ustar, GNU and pax headers, sparse files. Only its tar reader is used: not its filters
/// (some of which run programs), not its other formats, not its disk writer.
/// Needs: libarchive.

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <mortise/archive/acl_counter.hpp>
#include <mortise/archive/entry.hpp>
#include <mortise/archive/extent.hpp>
#include <mortise/archive/limits.hpp>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mortise::archive {

namespace detail {

/// This thread is in the "C" locale while one of these lives. libarchive converts pax names from UTF-8 to the
/// locale's encoding and normalises them on the way; in the "C" locale it hands out the very bytes of the archive.
class plain_locale {
 public:
  plain_locale() : before_(::uselocale(c_locale())) {}
  ~plain_locale() { ::uselocale(before_); }
  plain_locale(const plain_locale&) = delete;
  plain_locale& operator=(const plain_locale&) = delete;

 private:
  static locale_t c_locale() {
    static const locale_t plain = ::newlocale(LC_ALL_MASK, "C", nullptr);
    return plain;
  }
  locale_t before_;
};

}  // namespace detail

/// Reads one tar archive, entry by entry. An unknown type of entry is read as a regular file, as POSIX asks, and a
/// name that holds a NUL ends there, as libarchive reads it.
/// Effects: reads `source`, which must outlive it.
/// Fails with: INVALID_ARGUMENT for what is not a sound tar, RESOURCE_EXHAUSTED for headers beyond the limits, the
/// source's own failure as it is.
class tar_reader {
 public:
  /// `buffer_size` is what is read at once: where `source` can skip, less of it is for nothing if it is small.
  explicit tar_reader(reader& source, const limits& caps = {}, std::size_t buffer_size = std::size_t{512} << 10)
      : source_(source),
        limits_(caps),
        buffer_size_(buffer_size),
        buffer_(std::make_unique_for_overwrite<std::byte[]>(buffer_size)) {}
  tar_reader(const tar_reader&) = delete;
  tar_reader& operator=(const tar_reader&) = delete;

  /// Goes to the next entry, skipping what is left of the one before; false is the end of the archive.
  absl::StatusOr<bool> next(entry& into) {
    const detail::plain_locale plain;
    MORTISE_RETURN_IF_ERROR(started_ ? skip_data() : start());
    allowance_ = limits_.header.count + buffer_size_;
    MORTISE_RETURN_IF_ERROR(count_acls());
    const int code = ::archive_read_next_header(archive_.get(), &current_);
    acls_.end();
    if (!cause_.ok()) return cause_;  // which libarchive may well take for the end
    if (code == ARCHIVE_EOF) return false;
    if (code != ARCHIVE_OK && !only_converted(code)) return failure("read tar header");
    MORTISE_RETURN_IF_ERROR(take_names(into));
    absl::Status status = take_numbers(into);
    if (status.ok()) status = take_xattrs(into);
    if (!status.ok()) return annotate(status, quoted(into.path));
    return true;
  }

  /// The next piece of the current entry's data.
  absl::StatusOr<extent> data() {
    allowance_ = limits_.header.count + buffer_size_;
    const void* bytes = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    const int code = ::archive_read_data_block(archive_.get(), &bytes, &size, &offset);
    if (!cause_.ok()) return cause_;
    if (code == ARCHIVE_EOF) return extent{};
    if (code != ARCHIVE_OK) return failure("read tar data");
    if (offset < 0) return error(absl::StatusCode::kInvalidArgument, "read tar data: negative offset in a sparse file");
    return extent{static_cast<std::uint64_t>(offset), {static_cast<const std::byte*>(bytes), size}};
  }

  /// Where in the archive the piece begins that `data` gave last.
  [[nodiscard]] std::uint64_t data_position() const {
    return static_cast<std::uint64_t>(::archive_filter_bytes(archive_.get(), 0));
  }
  /// Whether the current entry's data is said to have holes: then its pieces lie anywhere in the file.
  [[nodiscard]] bool is_sparse() const { return ::archive_entry_sparse_count(current_) != 0; }

  /// Reads what stands behind the end of the archive (padding, mostly), so that the source reaches its own end,
  /// where a verifying reader gives its verdict.
  absl::Status drain() {
    for (;;) {
      MORTISE_ASSIGN_OR_RETURN(const std::size_t got, source_.read({buffer_.get(), buffer_size_}));
      if (got == 0) return absl::OkStatus();
    }
  }

 private:
  static constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

  struct free_archive {
    void operator()(struct archive* handle) const { ::archive_read_free(handle); }
  };

  absl::Status start() {
    started_ = true;
    archive_.reset(::archive_read_new());
    if (archive_ == nullptr) return error(absl::StatusCode::kResourceExhausted, "set up libarchive: out of memory");
    ::archive_read_support_format_tar(archive_.get());
    ::archive_read_support_format_empty(archive_.get());  // no bytes at all: a layer without entries
    allowance_ = limits_.header.count + buffer_size_;
    if (::archive_read_open2(archive_.get(), this, nullptr, &pull, &pass_over, nullptr) == ARCHIVE_OK)
      return absl::OkStatus();
    return failure("read tar");
  }

  absl::Status skip_data() {
    allowance_ = unlimited;
    if (::archive_read_data_skip(archive_.get()) == ARCHIVE_OK) return absl::OkStatus();
    return failure("skip tar data");
  }

  /// Of the entry that comes: what of it is here already, and later what is read of it.
  absl::Status count_acls() {
    const std::uint64_t ahead = read_ - data_position();
    acls_.begin();
    if (!cause_.ok() || ahead > held_) return cause_;
    return cause_ = annotate(acls_.take({buffer_.get() + (held_ - ahead), ahead}), "read tar header");
  }

  /// libarchive's read callback. What one call of ours may pull in is bounded, because libarchive keeps the whole
  /// of a sparse file's map in memory, at ten times its size.
  static la_ssize_t pull(struct archive* handle, void* self, const void** bytes) {
    tar_reader& me = *static_cast<tar_reader*>(self);
    if (me.allowance_ == 0) {
      me.cause_ = error(absl::StatusCode::kResourceExhausted,
                        concat("read tar header: more than the ", me.limits_.header.count, " bytes allowed"));
    } else if (auto got = me.source_.read({me.buffer_.get(), me.buffer_size_}); got.ok()) {
      if (me.allowance_ != unlimited) me.allowance_ -= std::min<std::uint64_t>(me.allowance_, *got);
      me.held_ = *got;
      me.read_ += *got;
      me.cause_ = first_error(me.cause_, annotate(me.acls_.take({me.buffer_.get(), *got}), "read tar header"));
      *bytes = me.buffer_.get();
      if (me.cause_.ok()) return static_cast<la_ssize_t>(*got);
    } else {
      me.cause_ = got.status();
    }
    ::archive_set_error(handle, EIO, "see cause_");
    return -1;
  }

  /// libarchive's skip callback. Where it cannot be, libarchive reads.
  static la_int64_t pass_over(struct archive* handle, void* self, la_int64_t most) {
    tar_reader& me = *static_cast<tar_reader*>(self);
    auto got = me.source_.skip(most > 0 ? static_cast<std::uint64_t>(most) : 0);
    if (got.ok()) {
      me.acls_.pass(*got);
      me.held_ = 0;
      me.read_ += *got;
      return static_cast<la_int64_t>(*got);
    }
    me.cause_ = got.status();
    ::archive_set_error(handle, EIO, "see cause_");
    return ARCHIVE_FATAL;
  }

  /// Whether a warning is only about a name that has no form in the "C" locale, and so was left as it is. Any other
  /// warning means that libarchive ignored something: another reader might not, so nobody should.
  [[nodiscard]] bool only_converted(int code) const {
    return code == ARCHIVE_WARN && ::archive_errno(archive_.get()) == EILSEQ;
  }

  /// Why libarchive failed: the source's own words if it was the source.
  [[nodiscard]] absl::Status failure(std::string_view what) const {
    if (!cause_.ok()) return cause_;
    const char* const text = ::archive_error_string(archive_.get());
    return error(absl::StatusCode::kInvalidArgument, concat(what, ": ", text != nullptr ? text : "unknown failure"));
  }

  static std::string quoted(std::string_view path) { return concat("read tar entry '", printable(path), '\''); }

  absl::Status take_names(entry& into) const {
    const char* const path = ::archive_entry_pathname(current_);
    if (path == nullptr || *path == 0)
      return error(absl::StatusCode::kInvalidArgument, "read tar entry: it has no name");
    into.path = path;
    const char* const hard = ::archive_entry_hardlink(current_);
    const char* const soft = ::archive_entry_symlink(current_);
    into.link_target = hard != nullptr ? hard : soft != nullptr ? soft : "";
    const absl::Status status = take_type(into, hard != nullptr);
    return status.ok() ? status : annotate(status, quoted(into.path));
  }

  absl::Status take_type(entry& into, bool hard_link) const {
    switch (hard_link ? 0 : ::archive_entry_filetype(current_)) {
      case AE_IFREG:
        into.type = into.path.back() == '/' ? entry_type::directory : entry_type::regular;
        break;
      case AE_IFDIR:
        into.type = entry_type::directory;
        break;
      case AE_IFLNK:
        into.type = entry_type::symbolic_link;
        break;
      case AE_IFCHR:
        into.type = entry_type::character_device;
        break;
      case AE_IFBLK:
        into.type = entry_type::block_device;
        break;
      case AE_IFIFO:
        into.type = entry_type::fifo;
        break;
      case 0:
        if (hard_link) {
          into.type = entry_type::hard_link;
          break;
        }
        [[fallthrough]];
      default:
        return error(absl::StatusCode::kInvalidArgument, "its type is not one that a layer may hold");
    }
    const bool is_link = into.type == entry_type::hard_link || into.type == entry_type::symbolic_link;
    if (is_link && into.link_target.empty()) return error(absl::StatusCode::kInvalidArgument, "it links to nothing");
    return absl::OkStatus();
  }

  absl::Status take_numbers(entry& into) const {
    // The largest id is (uid_t)-1, which chown(2) takes for "leave it".
    constexpr la_int64_t most = std::numeric_limits<uid_t>::max() - 1LL;
    const la_int64_t uid = ::archive_entry_uid(current_);
    const la_int64_t gid = ::archive_entry_gid(current_);
    if (uid < 0 || uid > most || gid < 0 || gid > most)
      return error(absl::StatusCode::kInvalidArgument, concat("its owner ", uid, ':', gid, " is not a possible one"));
    const la_int64_t size = ::archive_entry_size(current_);
    if (size < 0) return error(absl::StatusCode::kInvalidArgument, "its size is negative");
    into.uid = static_cast<uid_t>(uid);
    into.gid = static_cast<gid_t>(gid);
    into.size = into.type == entry_type::regular ? static_cast<std::uint64_t>(size) : 0;
    into.mode = ::archive_entry_perm(current_) & 07777U;
    // Wider numbers would be cut by mknod(2), perhaps to those of another device.
    const dev_t major_number = ::archive_entry_rdevmajor(current_);
    const dev_t minor_number = ::archive_entry_rdevminor(current_);
    if (major_number > 0xfff || minor_number > 0xfffff)
      return error(absl::StatusCode::kInvalidArgument, "its device number is not a possible one");
    into.device = makedev(static_cast<unsigned>(major_number), static_cast<unsigned>(minor_number));
    into.modified = sound(::archive_entry_mtime(current_), ::archive_entry_mtime_nsec(current_));
    into.accessed = ::archive_entry_atime_is_set(current_) != 0
                        ? sound(::archive_entry_atime(current_), ::archive_entry_atime_nsec(current_))
                        : into.modified;
    return absl::OkStatus();
  }

  /// Seconds are left to the kernel, which clamps them to what the file system can hold.
  static timespec sound(time_t seconds, long nanoseconds) {
    return {seconds, nanoseconds >= 0 && nanoseconds < 1'000'000'000 ? nanoseconds : 0};
  }

  absl::Status take_xattrs(entry& into) const {
    into.xattrs.clear();
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    std::uint64_t total = 0;
    ::archive_entry_xattr_reset(current_);
    while (::archive_entry_xattr_next(current_, &name, &value, &size) == ARCHIVE_OK) {
      if (name == nullptr) continue;
      into.xattrs.push_back({name, {static_cast<const char*>(value), size}});
      total += into.xattrs.back().name.size() + size;
      if (total > limits_.xattrs.count)
        return error(absl::StatusCode::kResourceExhausted,
                     concat("more than the ", limits_.xattrs.count, " bytes of extended attributes allowed"));
    }
    return absl::OkStatus();
  }

  reader& source_;
  limits limits_;
  std::size_t buffer_size_;
  std::unique_ptr<std::byte[]> buffer_;
  std::unique_ptr<struct archive, free_archive> archive_;
  struct archive_entry* current_ = nullptr;
  std::uint64_t allowance_ = 0;
  std::uint64_t read_ = 0;  ///< of the source, skipped bytes included
  std::size_t held_ = 0;    ///< in the buffer
  acl_counter acls_;
  absl::Status cause_;
  bool started_ = false;
};

}  // namespace mortise::archive
