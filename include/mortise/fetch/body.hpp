// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// One body out of as many answers as it takes: the sink sees each byte once, and answers that do not fit together are
/// an error.

#include <algorithm>
#include <cstdint>
#include <mortise/fetch/call.hpp>
#include <mortise/fetch/range.hpp>
#include <optional>
#include <span>
#include <string>

namespace mortise::fetch {

/// The body that a GET wants, as far as it has come.
class body {
 public:
  /// Both must outlive it.
  body(const call& what, sink& into) : what_(what), into_(into), reached_(what.offset), total_(what.total) {}

  /// Whether the next request asks for a part only.
  [[nodiscard]] bool wants_part() const { return what_.verb == method::get && (reached_ > 0 || what_.end); }
  /// Its Range field.
  [[nodiscard]] std::string range() const { return range_field(reached_, what_.end); }
  /// The byte that comes next.
  [[nodiscard]] std::uint64_t reached() const { return reached_; }
  /// What the first answer of status 2xx said.
  [[nodiscard]] const response& about() const { return about_; }

  /// Takes the head of an answer of status 2xx that `from` gave; its `total` is the size of its own body.
  absl::Status begin(response about, const uri& from) {
    skip_ = 0;
    part_end_.reset();
    if (what_.verb != method::get) {
      if (about.total.value_or(0) > what_.limit && what_.verb == method::post) return too_large(*about.total);
      return tell(std::move(about));
    }
    MORTISE_RETURN_IF_ERROR(about.status == 206 ? take_part(about) : take_whole(about));
    MORTISE_RETURN_IF_ERROR(agree_on(about.total));
    MORTISE_RETURN_IF_ERROR(check_unchanged(about, from));
    about.offset = reached_;
    return tell(std::move(about));
  }

  absl::Status write(std::span<const std::byte> piece) {
    const std::size_t skipped = std::min<std::uint64_t>(skip_, piece.size());
    skip_ -= skipped;
    piece = piece.subspan(skipped);
    if (piece.empty()) return absl::OkStatus();
    if (piece.size() > what_.limit - std::min(reached_, what_.limit)) return too_large(reached_ + piece.size());
    if (const auto stop = std::min(part_end_.value_or(UINT64_MAX), total_.value_or(UINT64_MAX));
        piece.size() > stop - std::min(reached_, stop))
      return contradiction(concat("more than the ", stop, " bytes that it announced"));
    MORTISE_RETURN_IF_ERROR(into_.write(piece));
    reached_ += piece.size();
    return absl::OkStatus();
  }

  /// After an answer that came whole. Fails with UNAVAILABLE where bytes are still missing.
  [[nodiscard]] absl::Status end() const {
    if (what_.verb != method::get || !begun_) return absl::OkStatus();
    std::uint64_t wanted = reached_ + skip_;
    if (what_.end || total_) {
      wanted = std::min(what_.end.value_or(UINT64_MAX), total_.value_or(UINT64_MAX));
    } else if (part_end_) {
      wanted = *part_end_;
    }
    if (skip_ == 0 && reached_ >= wanted) return absl::OkStatus();
    return error(absl::StatusCode::kUnavailable, concat("the answer ended at byte ", reached_ - skip_, " of ", wanted));
  }

  /// Takes an answer of status 416: there is nothing from here on. That is an end like any other where the resource
  /// ends just here, and else fails with OUT_OF_RANGE.
  absl::Status take_nothing(response about) {
    const auto stated = content_range::parse(field_of(about.headers, "content-range").value_or(""));
    if (stated) MORTISE_RETURN_IF_ERROR(agree_on(stated->total));
    if (total_ != reached_)
      return error(absl::StatusCode::kOutOfRange,
                   concat("the server has nothing from byte ", reached_, " on",
                          total_ ? concat(", of ", *total_, " bytes in all") : std::string()));
    about.status = 206;
    about.offset = reached_;
    about.total = total_;
    return tell(std::move(about));
  }

 private:
  absl::Status tell(response about) {
    if (begun_) return absl::OkStatus();
    begun_ = true;
    about_ = std::move(about);
    return into_.begin(about_);
  }

  absl::Status take_part(response& about) {
    if (!wants_part()) return contradiction("status 206, which was not asked for");
    MORTISE_RETURN_IF_ERROR(check_encoding(about));
    const auto stated = content_range::parse(field_of(about.headers, "content-range").value_or(""));
    if (!stated) return contradiction("status 206 without a Content-Range that makes sense");
    if (stated->first != reached_ || stated->end > what_.end.value_or(UINT64_MAX))
      return contradiction(concat("bytes ", stated->first, " to ", stated->end, " where ", reached_, " to ",
                                  what_.end ? concat(*what_.end) : "the end", " was asked for"));
    if (about.total && *about.total != stated->end - stated->first)
      return contradiction("a Content-Length that is not the size of its range");
    part_end_ = stated->end;
    about.total = stated->total;
    return absl::OkStatus();
  }

  /// A server may ignore a range; what was already had is passed over then.
  absl::Status take_whole(response& about) {
    if (!wants_part()) return absl::OkStatus();
    if (what_.end)
      return error(absl::StatusCode::kUnimplemented, concat("status ", about.status, ": the server ignores ranges"));
    MORTISE_RETURN_IF_ERROR(check_encoding(about));
    skip_ = reached_;
    about.status = 206;
    if (about.total.value_or(reached_) >= reached_) return absl::OkStatus();
    if (begun_) return contradiction(concat("a size of ", *about.total, " bytes after it sent ", reached_));
    return error(absl::StatusCode::kOutOfRange, concat("offset ", reached_, " is behind its end at ", *about.total));
  }

  /// Offsets are those of the resource; within a coding that a server applied on its way they mean nothing.
  static absl::Status check_encoding(const response& about) {
    const auto coding = field_of(about.headers, "content-encoding");
    if (!coding || coding->empty() || detail::lowered(*coding) == "identity") return absl::OkStatus();
    return error(absl::StatusCode::kFailedPrecondition,
                 concat("a part in Content-Encoding '", printable(*coding), "' has no place in the whole"));
  }

  absl::Status agree_on(std::optional<std::uint64_t> total) {
    if (!total) return absl::OkStatus();
    if (total_ && *total_ != *total)
      return contradiction(concat("a size of ", *total, " bytes where it should be ", *total_));
    if (*total > what_.limit) return too_large(*total);
    total_ = total;
    return absl::OkStatus();
  }

  /// A part of a new version must not follow one of the old. Entity tags of different servers say nothing.
  absl::Status check_unchanged(const response& about, const uri& from) {
    const auto tag = field_of(about.headers, "etag");
    if (!tag || !tag->starts_with('"')) return absl::OkStatus();
    if (tagged_by_ && same_origin(*tagged_by_, from) && tag_ != *tag)
      return error(absl::StatusCode::kDataLoss, "it changed while it was fetched");
    tag_ = *tag;
    tagged_by_ = from;
    return absl::OkStatus();
  }

  static absl::Status contradiction(std::string_view what) {
    return error(absl::StatusCode::kDataLoss, concat("the server contradicts itself: ", what));
  }
  [[nodiscard]] absl::Status too_large(std::uint64_t size) const {
    return error(absl::StatusCode::kResourceExhausted, concat(size, " bytes or more, of at most ", what_.limit));
  }

  const call& what_;
  sink& into_;
  std::uint64_t reached_;
  std::uint64_t skip_ = 0;                 ///< bytes of this answer that were had before
  std::optional<std::uint64_t> part_end_;  ///< where this answer's part ends
  std::optional<std::uint64_t> total_;     ///< as the caller knows it, or the first answer says
  std::string tag_;
  std::optional<uri> tagged_by_;
  bool begun_ = false;
  response about_;
};

}  // namespace mortise::fetch
