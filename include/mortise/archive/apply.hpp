// SPDX-License-Identifier: Apache-2.0
#pragma once
/// \file
/// One layer from its tar into a directory, in the form that overlayfs or aufs reads: OCI image-spec layer.md.
/// Needs: libarchive.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <mortise/archive/apply_request.hpp>
#include <mortise/archive/attributes.hpp>
#include <mortise/archive/cursor.hpp>
#include <mortise/archive/entry.hpp>
#include <mortise/archive/entry_path.hpp>
#include <mortise/archive/extent.hpp>
#include <mortise/archive/lower.hpp>
#include <mortise/archive/marks.hpp>
#include <mortise/archive/meter.hpp>
#include <mortise/archive/path_set.hpp>
#include <mortise/archive/tar.hpp>
#include <mortise/archive/way.hpp>
#include <mortise/archive/whiteout.hpp>
#include <mortise/archive/writer.hpp>
#include <mortise/base/reader.hpp>
#include <mortise/base/status.hpp>
#include <mortise/model/layer.hpp>
#include <mortise/sys/fd.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace mortise::archive {

namespace detail {

/// The engine of apply(): one object for one layer.
class applier {
 public:
  applier(reader& tar, const apply_request& request, const marks& form, bool keeps_owners)
      : request_(request),
        marks_(form),
        keeps_owners_(keeps_owners),
        meter_(request),
        source_(tar, meter_),
        tar_(source_, request.limits),
        cursor_(request.staging, form),
        attributes_(keeps_owners),
        writer_(request.staging, form, cursor_, attributes_),
        way_(request, form, cursor_, writer_, meter_) {}

  absl::StatusOr<applied> run() {
    MORTISE_RETURN_IF_ERROR(annotate(begin_root(), "unpack layer"));
    entry current;
    for (;;) {
      const auto more = tar_.next(current);
      if (!more.ok()) return annotate(more.status(), "unpack layer");
      if (!*more) break;
      absl::Status status = meter_.count_entry(current);
      if (status.ok()) status = apply_entry(current);
      if (!status.ok()) return annotate(status, concat("unpack '", printable(current.path), '\''));
    }
    MORTISE_RETURN_IF_ERROR(annotate(cursor_.finish(), "unpack layer"));
    MORTISE_RETURN_IF_ERROR(annotate(tar_.drain(), "unpack layer"));
    meter_.report();
    result_.entries = meter_.entries();
    result_.bytes = meter_.bytes();
    result_.skipped_xattrs = attributes_.skipped();
    result_.depends_on_lower = way_.depends_on_lower();
    return result_;
  }

 private:
  absl::Status begin_root() {
    struct stat about{};
    if (::fstat(request_.staging, &about) != 0) return errno_error(errno, "stat staging directory");
    cursor_.set_final(0755, about.st_atim, about.st_mtim);
    return absl::OkStatus();
  }

  absl::Status apply_entry(const entry& about) {
    MORTISE_ASSIGN_OR_RETURN(const entry_path path, entry_path::parse(about.path, request_.limits));
    if (request_.only) return apply_below(about, path);
    if (path.is_root()) return apply_root(about);
    if (path.text().find(whiteout_prefix) == std::string::npos) return apply_named(about, path);
    MORTISE_ASSIGN_OR_RETURN(const bool meant, has_meaning_below(path.parent()));
    if (!meant) return absl::OkStatus();
    const whiteout mark = classify_whiteout(path.name());
    switch (mark.kind) {
      case whiteout_kind::none:
        return apply_named(about, path);
      case whiteout_kind::name:
        return apply_whiteout(path, std::string(mark.target));
      case whiteout_kind::opaque:
        return apply_opaque(path);
      case whiteout_kind::metadata:
        return absl::OkStatus();
      case whiteout_kind::invalid:
        break;
    }
    return error(absl::StatusCode::kInvalidArgument, "it is a whiteout of a directory's own name");
  }

  /// An entry of a tar of which a subtree is wanted.
  absl::Status apply_below(const entry& about, const entry_path& path) {
    const auto below = request_.only->find(path);
    if (!below) return absl::OkStatus();
    MORTISE_RETURN_IF_ERROR(marks_.expect_no_mark(below->text()));
    return below->is_root() ? apply_root(about) : apply_named(about, *below);
  }

  absl::Status apply_root(const entry& about) {
    if (about.type != entry_type::directory)
      return error(absl::StatusCode::kInvalidArgument,
                   concat("the root is a ", name_of(about.type), ", and must be a directory"));
    MORTISE_RETURN_IF_ERROR(cursor_.ascend_towards(""));
    result_.root_entry = true;
    return writer_.set_directory(about, true);
  }

  absl::Status apply_named(const entry& about, const entry_path& path) {
    if (about.type == entry_type::hard_link) return apply_hard_link(about, path);
    const bool device = about.type == entry_type::character_device || about.type == entry_type::block_device;
    if (about.type == entry_type::character_device && about.device == 0)
      return error(absl::StatusCode::kInvalidArgument,
                   "it is the device 0:0, which would delete a name of lower layers");
    MORTISE_RETURN_IF_ERROR(way_.enter(path.parent()));
    if (!copied_up_.empty()) copied_up_.erase(way_.path_of(path.name()));
    if (device && !keeps_owners_) {
      ++result_.skipped_devices;
      return absl::OkStatus();
    }
    way_.take_hollow(path.name());
    if (about.type == entry_type::directory) return writer_.make_directory(path.name(), about);
    if (about.type != entry_type::regular) return writer_.make_node(path.name(), about);
    return writer_.make_file(path.name(), about, [this]() -> absl::StatusOr<extent> {
      MORTISE_ASSIGN_OR_RETURN(const extent piece, tar_.data());
      return counted(piece);
    });
  }

  absl::StatusOr<extent> counted(const extent& piece) {
    MORTISE_RETURN_IF_ERROR(meter_.count_bytes(piece.bytes.size()));
    return piece;
  }

  // --- hard links --------------------------------------------------------------------------------------------

  absl::Status apply_hard_link(const entry& about, const entry_path& path) {
    auto target = entry_path::parse(about.link_target, request_.limits);
    if (target.ok() && request_.only) target = request_.only->target(*target);
    absl::Status status = target.status();
    if (status.ok()) status = marks_.expect_no_mark(target->text());
    if (status.ok()) status = link(path, *target);
    return status.ok() ? status : annotate(status, concat("link to '", printable(about.link_target), '\''));
  }

  absl::Status link(const entry_path& path, const entry_path& target) {
    if (target.is_root()) return error(absl::StatusCode::kInvalidArgument, "a hard link to the root directory");
    if (target.text() == path.text()) return error(absl::StatusCode::kInvalidArgument, "a hard link to itself");
    MORTISE_RETURN_IF_ERROR(way_.enter(path.parent()));
    way_.take_hollow(path.name());
    MORTISE_ASSIGN_OR_RETURN(bool done, writer_.make_link(path.name(), target));
    if (done) return absl::OkStatus();
    if (request_.only) return error(absl::StatusCode::kInvalidArgument, "it is not in the archive before the link");
    MORTISE_ASSIGN_OR_RETURN(const entry_path copy, copy_up(target));
    MORTISE_RETURN_IF_ERROR(way_.enter(path.parent()));
    MORTISE_ASSIGN_OR_RETURN(done, writer_.make_link(path.name(), copy));
    return done ? absl::OkStatus() : error(absl::StatusCode::kInternal, "its target was copied up, but is not there");
  }

  /// Brings a lower layer's file into this one, so that it can be linked to: as overlayfs does for link(2). Says
  /// where it lies, which is somewhere else if a lower layer's symbolic link was on the way.
  absl::StatusOr<entry_path> copy_up(const entry_path& target) {
    MORTISE_RETURN_IF_ERROR(way_.enter(target.parent()));
    MORTISE_ASSIGN_OR_RETURN(entry_path path, entry_path::parse(way_.path_of(target.name()), request_.limits));
    struct stat about{};
    MORTISE_ASSIGN_OR_RETURN(const presence found, marks_.find(cursor_.fd(), path.name(), about));
    if (found != presence::missing) return path;
    std::optional<lower_node> node;
    if (!cursor_.hides_lower()) {
      MORTISE_ASSIGN_OR_RETURN(node, way_.find_lower(path.text()));
    }
    if (!node) return error(absl::StatusCode::kInvalidArgument, "neither this layer nor one below has it");
    if (S_ISDIR(node->about.st_mode)) return error(absl::StatusCode::kInvalidArgument, "it is a directory");
    MORTISE_RETURN_IF_ERROR(copied_up_.insert(path.text()));
    MORTISE_RETURN_IF_ERROR(copy(*node, path.name()));
    return path;
  }

  absl::Status copy(const lower_node& node, const char* name) {
    entry about;
    MORTISE_RETURN_IF_ERROR(describe(node, about));
    MORTISE_RETURN_IF_ERROR(meter_.count_node(about));
    if (about.type != entry_type::regular) return writer_.make_node(name, about);
    MORTISE_ASSIGN_OR_RETURN(const sys::unique_fd from,
                             sys::open_at(node.directory.get(), node.name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    file_source source(from.get());
    return writer_.make_file(name, about, [&]() -> absl::StatusOr<extent> {
      MORTISE_ASSIGN_OR_RETURN(const extent piece, source.next());
      return counted(piece);
    });
  }

  // --- whiteouts ---------------------------------------------------------------------------------------------

  /// Deletes a name of lower layers. What this layer itself has there stays, wherever in the tar it comes; but a
  /// directory then no longer shows what is below it.
  absl::Status apply_whiteout(const entry_path& path, const std::string& name) {
    MORTISE_ASSIGN_OR_RETURN(const bool shows, way_.enter_to_hide(path.parent()));
    if (!shows) return absl::OkStatus();
    struct stat about{};
    MORTISE_ASSIGN_OR_RETURN(const presence found, marks_.find(cursor_.fd(), name, about));
    if (found == presence::deleted) return absl::OkStatus();
    const bool exists = found == presence::there;
    if (exists && (copied_up_.erase(way_.path_of(name)) || way_.take_hollow(name))) {  // there only for what is below
      MORTISE_RETURN_IF_ERROR(writer_.remove(name));
    } else if (exists && S_ISDIR(about.st_mode)) {
      MORTISE_RETURN_IF_ERROR(cursor_.descend(name));
      return hide_lower();
    } else if (exists) {
      return absl::OkStatus();
    }
    return writer_.make_whiteout(name);
  }

  absl::Status apply_opaque(const entry_path& path) {
    MORTISE_RETURN_IF_ERROR(way_.enter(path.parent()));
    if (cursor_.path().empty()) result_.opaque_root = true;
    return hide_lower();
  }

  /// Makes the current directory opaque. Whiteouts already in it have nothing left to hide, and overlayfs would list
  /// them as if they were files; files of lower layers that were linked to are gone as well. Once is enough: a layer
  /// may say it a million times.
  absl::Status hide_lower() {
    if (cursor_.hides_lower()) return absl::OkStatus();
    MORTISE_RETURN_IF_ERROR(cursor_.hide_lower());
    return writer_.remove_marks(!copied_up_.empty(),
                                [this](const std::string& name) { return copied_up_.erase(way_.path_of(name)); });
  }

  const apply_request& request_;
  marks marks_;
  bool keeps_owners_;
  meter meter_;
  metered_reader source_;
  tar_reader tar_;
  cursor cursor_;
  attribute_writer attributes_;
  writer writer_;
  way way_;
  path_set copied_up_;  ///< files that are here only to be linked to
  applied result_;
};

}  // namespace detail

/// Unpacks one uncompressed layer tar into `request.staging`, in the form that `Format` (model::overlay_layers,
/// model::unprivileged_overlay_layers or model::aufs_layers) describes.
/// Effects: writes inside the staging directory only, and reads `tar` to its end, past the end of the archive, so
/// that verifying readers on the way have seen every byte when it succeeds. Layers may be unpacked by several
/// threads at once, each into a directory of its own.
/// Fails with: INVALID_ARGUMENT for what a layer must not hold, RESOURCE_EXHAUSTED beyond the limits or on a full
/// disk, CANCELLED, DEADLINE_EXCEEDED, the reader's own failure, or an errno. The message names the entry.
/// Leaves behind on failure: a half-written staging directory, for the caller to remove.
template <class Format>
absl::StatusOr<applied> apply(reader& tar, const apply_request& request) {
  return detail::applier(tar, request, marks::of<Format>(), Format::keeps_owners).run();
}

}  // namespace mortise::archive
