// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// A blob on its way into a store: a file that grows, in several places at once where its origin gives parts, and that
/// is read from its beginning while it still does. Needs: libcrypto.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <mortise/base/text.hpp>
#include <mortise/digest/openssl.hpp>
#include <mortise/image/file_lock.hpp>
#include <mortise/image/store_directory.hpp>
#include <mortise/model/descriptor.hpp>
#include <mortise/sys/fd.hpp>
#include <mortise/sys/file.hpp>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mortise::image {

/// What a process got of a blob and could not finish stays in the store as partial/<digest>, and the next one goes on
/// there; it trusts nothing of it, since every byte is hashed again. Between processes one fetches a blob, under a lock
/// of its name, while others wait for it to be whole. Written by the threads that fetch, read by one that unpacks.
class blob_spool {
 public:
  /// Both must outlive it.
  blob_spool(const store_directory& store, const model::descriptor& blob)
      : store_(store), blob_(blob), hash_(blob.digest.algorithm()) {}
  blob_spool(const blob_spool&) = delete;
  blob_spool& operator=(const blob_spool&) = delete;

  /// A part of the blob that one thread fetches, from `at` to `last`.
  struct piece {
    std::size_t index = 0;
    std::uint64_t at = 0;
    std::uint64_t last = 0;
  };

  /// Takes the blob's lock and what the store has of it; what is there is hashed on the way. `most` bytes are the
  /// largest piece, where it is worth more than one.
  /// Fails with CANCELLED once `stop()` is true.
  absl::Status open(std::uint64_t most, const std::function<bool()>& stop) {
    MORTISE_ASSIGN_OR_RETURN(
        auto lock, file_lock::acquire(store_.locks(), concat("blob-", blob_.digest.hex()), [&stop] { return stop(); }));
    std::unique_lock guard(mutex_);
    lock_.emplace(std::move(lock));
    MORTISE_ASSIGN_OR_RETURN(have_, open_file());
    resumed_ = have_ > 0;
    plan(most);
    opened_ = true;
    ++active_;
    advance(guard, {0, {}});
    leave();
    return failure_;
  }

  /// A piece that nobody has taken yet; whoever takes one says `end_piece` of it.
  std::optional<piece> take_piece() {
    const std::lock_guard guard(mutex_);
    if (!opened_ || verified_ || !failure_.ok() || next_ == pieces_.size()) return std::nullopt;
    ++active_;
    const piece_state& taken = pieces_[next_];
    return piece{next_++, taken.at, taken.last};
  }

  /// The next bytes of a piece. Fails where they are more than were asked for, or cannot be written.
  absl::Status write(const piece& of, std::span<const std::byte> bytes) {
    std::unique_lock guard(mutex_);
    piece_state& state = pieces_[of.index];
    if (bytes.size() > state.last - state.at)
      return error(absl::StatusCode::kDataLoss,
                   concat("fetch blob ", blob_.digest.text(), ": more came than its size"));
    const std::uint64_t at = state.at;
    guard.unlock();
    MORTISE_RETURN_IF_ERROR(write_at(at, bytes));
    guard.lock();
    state.at += bytes.size();
    advance(guard, {at, bytes});
    return failure_;
  }

  /// A piece came to its end, or could not. A part that is not to be had (UNIMPLEMENTED) makes the blob one piece.
  void end_piece(const piece& of, absl::Status status) {
    const std::lock_guard guard(mutex_);
    if (status.ok() && pieces_[of.index].at != pieces_[of.index].last)
      status = error(absl::StatusCode::kDataLoss,
                     concat("fetch blob ", blob_.digest.text(), ": fewer bytes came than its size of ", blob_.size));
    if (absl::IsUnimplemented(status) && (pieces_.size() > 1 || resumed_)) {
      only_whole_ = true;
      next_ = pieces_.size();
    } else if (!status.ok()) {
      set_failure(std::move(status));
    }
    leave();
  }

  /// Ends all waiting for it with `status`, unless it is whole already.
  void fail(const absl::Status& status) {
    const std::lock_guard guard(mutex_);
    if (!verified_) set_failure(status);
  }

  /// How many bytes are there, from the beginning on.
  [[nodiscard]] std::uint64_t have() const {
    const std::lock_guard guard(mutex_);
    return have_;
  }
  /// Whether a part of it was there before: if it turns out to be wrong, it may be right the next time.
  [[nodiscard]] bool resumed() const {
    const std::lock_guard guard(mutex_);
    return resumed_;
  }
  [[nodiscard]] const model::descriptor& blob() const { return blob_; }

  /// Reads it from the beginning, waiting for what is not there yet. Its end is reached only by a whole blob whose
  /// digest is right. Fails with what the fetch failed with, and whatever `wanted()` says in a wait.
  [[nodiscard]] std::unique_ptr<reader> follow(std::function<absl::Status()> wanted) {
    return std::make_unique<follower>(*this, std::move(wanted));
  }

 private:
  struct piece_state {
    std::uint64_t at;
    std::uint64_t last;
  };

  class follower final : public reader {
   public:
    follower(blob_spool& from, std::function<absl::Status()> wanted) : from_(from), wanted_(std::move(wanted)) {}
    absl::StatusOr<std::size_t> read(std::span<std::byte> into) override {
      MORTISE_ASSIGN_OR_RETURN(const std::uint64_t have, from_.wait_beyond(at_, wanted_));
      if (have == at_) return std::size_t{0};
      into = into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), have - at_)));
      MORTISE_ASSIGN_OR_RETURN(const std::size_t got, from_.read_at(at_, into));
      at_ += got;
      return got;
    }

   private:
    blob_spool& from_;
    std::function<absl::Status()> wanted_;
    std::uint64_t at_ = 0;
  };

  [[nodiscard]] std::string partial() const { return store_directory::partial_name(blob_.digest); }
  [[nodiscard]] std::string marker() const { return concat(partial(), ".have"); }

  /// The whole blob if the store has it, else what there is of it; how much that is.
  absl::StatusOr<std::uint64_t> open_file() {
    struct stat about{};
    auto whole = sys::open_at(store_.fd(), store_directory::blob_name(blob_.digest), O_RDONLY | O_NOFOLLOW);
    in_store_ = whole.ok() && ::fstat(whole->get(), &about) == 0 && S_ISREG(about.st_mode) &&
                static_cast<std::uint64_t>(about.st_size) == blob_.size;
    if (in_store_) {
      file_ = *std::move(whole);
      return blob_.size;
    }
    MORTISE_ASSIGN_OR_RETURN(file_, sys::open_at(store_.fd(), partial(), O_RDWR | O_CREAT | O_NOFOLLOW, 0600));
    if (::fstat(file_.get(), &about) != 0) return errno_error(errno, "stat partial blob");
    const auto length = static_cast<std::uint64_t>(about.st_size);
    const auto marked = sys::read_file_at(store_.fd(), marker(), 32);
    const std::uint64_t sound = marked.ok() ? parse_number<std::uint64_t>(*marked).value_or(0) : length;
    const std::uint64_t have = sound <= length && length <= blob_.size ? sound : 0;
    if (have != length && ::ftruncate(file_.get(), static_cast<off_t>(have)) != 0)
      return errno_error(errno, "truncate partial blob");
    (void)::unlinkat(store_.fd(), marker().c_str(), 0);
    return have;
  }

  void plan(std::uint64_t most) {
    pieces_.clear();
    next_ = front_ = 0;
    std::uint64_t at = have_;
    const bool several = blob_.size - at > 2 * most;
    do {
      const std::uint64_t last = several ? std::min(blob_.size, at + most) : blob_.size;
      pieces_.push_back({at, last});
      at = last;
    } while (at < blob_.size);
    if (in_store_ || have_ == blob_.size) next_ = front_ = pieces_.size();
    if (several) mark(0);
  }

  absl::Status write_at(std::uint64_t at, std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
      const ssize_t done = ::pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(at));
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return errno_error(errno, concat("write blob ", blob_.digest.text()));
      at += static_cast<std::uint64_t>(done);
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::size_t> read_at(std::uint64_t at, std::span<std::byte> into) const {
    for (;;) {
      const ssize_t got = ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(at));
      if (got > 0) return static_cast<std::size_t>(got);
      if (got == 0) return error(absl::StatusCode::kDataLoss, concat("read blob ", blob_.digest.text(), ": it shrank"));
      if (errno != EINTR) return errno_error(errno, concat("read blob ", blob_.digest.text()));
    }
  }

  /// Bytes that were written just now, and where: they need not be read back.
  struct recent_bytes {
    std::uint64_t at;
    std::span<const std::byte> bytes;
  };

  /// Takes account of what has been written. Whoever finds that nobody hashes does, up to where the bytes are whole.
  void advance(std::unique_lock<std::mutex>& guard, const recent_bytes& recent) {
    while (front_ < pieces_.size() && pieces_[front_].at == pieces_[front_].last) ++front_;
    have_ = front_ < pieces_.size() ? pieces_[front_].at : blob_.size;
    if (pieces_.size() > 1 && have_ < blob_.size) mark(std::uint64_t{1} << 20);
    changed_.notify_all();
    if (hashing_ || !failure_.ok()) return;
    hashing_ = true;
    while (hashed_ < have_ && failure_.ok()) {
      const std::uint64_t from = hashed_;
      const std::uint64_t to = have_;
      guard.unlock();
      const auto got = hash_some(from, to, recent);
      guard.lock();
      if (!got.ok()) set_failure(got.status());
      if (got.ok()) hashed_ = from + *got;
    }
    hashing_ = false;
    if (hashed_ == blob_.size && !verified_ && failure_.ok()) finish();
  }

  absl::StatusOr<std::size_t> hash_some(std::uint64_t from, std::uint64_t to, const recent_bytes& recent) {
    if (from >= recent.at && from < recent.at + recent.bytes.size()) {
      const auto next = recent.bytes.subspan(static_cast<std::size_t>(from - recent.at));
      hash_.update(next);
      return next.size();
    }
    if (buffer_.empty()) buffer_.resize(std::size_t{256} << 10);
    const auto into =
        std::span(buffer_).first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer_.size(), to - from)));
    MORTISE_ASSIGN_OR_RETURN(const std::size_t got, read_at(from, into));
    hash_.update(into.first(got));
    return got;
  }

  /// With several pieces the file's length does not say how much of it is whole: a file beside it does, give or take
  /// `least` bytes.
  void mark(std::uint64_t least) {
    if (have_ - marked_ < least) return;
    if (!marker_) {
      auto made = sys::open_at(store_.fd(), marker(), O_WRONLY | O_CREAT | O_NOFOLLOW, 0600);
      if (!made.ok()) return;  // then what is there is fetched again, if it comes to that
      marker_ = *std::move(made);
    }
    std::array<char, 20> text{};
    std::uint64_t left = have_;
    for (auto each = text.rbegin(); each != text.rend(); ++each, left /= 10) *each = static_cast<char>('0' + left % 10);
    if (::pwrite(marker_.get(), text.data(), text.size(), 0) == static_cast<ssize_t>(text.size())) marked_ = have_;
  }

  /// Every byte is there and hashed.
  void finish() {
    const model::digest actual = hash_.finish();
    const std::string name = store_directory::blob_name(blob_.digest);
    if (actual != blob_.digest) {
      (void)::unlinkat(store_.fd(), (in_store_ ? name : partial()).c_str(), 0);
      set_failure(error(absl::StatusCode::kDataLoss, concat("verify blob ", blob_.digest.text(), ": its digest is ",
                                                            actual.text(), ", expected ", blob_.digest.text())));
      return;
    }
    // Not fsynced: whoever reads it verifies it again, so what a power cut takes of it costs a fetch and no more.
    if (!in_store_ && ::renameat(store_.fd(), partial().c_str(), store_.fd(), name.c_str()) != 0)
      return set_failure(errno_error(errno, concat("publish blob ", blob_.digest.text())));
    (void)::unlinkat(store_.fd(), marker().c_str(), 0);
    verified_ = true;
    changed_.notify_all();
  }

  void set_failure(absl::Status status) {
    if (failure_.ok()) failure_ = std::move(status);
    const int problem = errno_of(failure_);
    const bool full = problem == ENOSPC || problem == EDQUOT;
    if (full && !in_store_ && opened_) (void)::unlinkat(store_.fd(), partial().c_str(), 0);  // others need the room
    changed_.notify_all();
  }

  /// One thread less is at work on it; the last one gives the lock back, or begins anew with the whole blob.
  void leave() {
    if (--active_ > 0) return;
    if (only_whole_ && failure_.ok() && !verified_) {
      only_whole_ = false;
      resumed_ = false;
      if (::ftruncate(file_.get(), 0) != 0) set_failure(errno_error(errno, "truncate partial blob"));
      have_ = hashed_ = marked_ = 0;
      hash_ = digest::openssl(blob_.digest.algorithm());
      plan(blob_.size);
      return;
    }
    if (verified_ || !failure_.ok()) lock_.reset();
  }

  /// How much is there, once it is more than `at`, or all of it and verified.
  absl::StatusOr<std::uint64_t> wait_beyond(std::uint64_t at, const std::function<absl::Status()>& wanted) {
    std::unique_lock guard(mutex_);
    for (;;) {
      if (have_ > at) return have_;
      if (verified_ && at == blob_.size) return at;
      if (!failure_.ok()) return failure_;
      guard.unlock();
      MORTISE_RETURN_IF_ERROR(wanted());
      guard.lock();
      if (have_ > at || verified_ || !failure_.ok()) continue;
      changed_.wait_for(guard, std::chrono::milliseconds(20));  // wakes to see that it is not wanted any more
    }
  }

  const store_directory& store_;
  const model::descriptor& blob_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<file_lock> lock_;
  sys::unique_fd file_;
  sys::unique_fd marker_;
  bool opened_ = false;
  bool in_store_ = false;  ///< it was whole when we came
  bool resumed_ = false;
  bool only_whole_ = false;
  std::vector<piece_state> pieces_;
  std::size_t next_ = 0;   ///< the first piece that nobody has taken
  std::size_t front_ = 0;  ///< the first piece that is not complete
  std::size_t active_ = 0;
  std::uint64_t have_ = 0;
  std::uint64_t marked_ = 0;
  std::uint64_t hashed_ = 0;
  bool hashing_ = false;
  std::vector<std::byte> buffer_;
  digest::openssl hash_;
  bool verified_ = false;
  absl::Status failure_;
};

}  // namespace mortise::image
